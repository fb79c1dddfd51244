use piecework_core::{Kind, Problem};

/// Why credits could not be moved.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The balance does not cover it.
    #[error("{required} credits are needed and {available} are available")]
    Insufficient {
        /// Credits needed.
        required: u64,
        /// Credits available.
        available: u64,
    },
    /// There is no such payment, or none that the caller may know of.
    #[error("no such payment")]
    NoSuchPayment,
    /// The store failed.
    #[error(transparent)]
    Aws(#[from] aws::Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Insufficient { required, available } => Problem::new(Kind::InsufficientCredits)
                .detail(format!("This costs up to {required} credits; {available} are available."))
                .with("required", required)
                .with("available", available),
            Error::NoSuchPayment => Problem::new(Kind::NotFound),
            Error::Aws(error) => error.into(),
        }
    }
}
