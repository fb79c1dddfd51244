use piecework_core::{Kind, Problem};

/// Why nothing could be moved.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The balance does not cover it.
    #[error("{required} are needed and {available} are available")]
    Insufficient {
        /// How much is needed.
        required: u64,
        /// How much is available.
        available: u64,
    },
    /// The balance covers it, by more lots than one debit can draw from.
    #[error("the credits lie in too many lots; {at_once} can be spent at once")]
    Scattered {
        /// How much can be spent at once.
        at_once: u64,
    },
    /// There is no such payment, or none that the caller may know of.
    #[error("no such payment")]
    NoSuchPayment,
    /// There is no such entry in this book.
    #[error("no such entry")]
    NoSuchEntry,
    /// No such call of a provider is kept.
    #[error("no such call")]
    NoSuchCall,
    /// The call was refused at the door.
    #[error("the call was not accepted")]
    NotAccepted,
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
            Error::Scattered { at_once } => Problem::new(Kind::WrongState).detail(format!(
                "These credits were bought or given in many parts; at most {at_once} can be spent at once. Ask for less at a time."
            )),
            Error::NotAccepted => {
                Problem::new(Kind::WrongState).detail("Only calls that were accepted can be replayed.")
            }
            Error::NoSuchEntry | Error::NoSuchCall | Error::NoSuchPayment => Problem::new(Kind::NotFound),
            Error::Aws(error) => error.into(),
        }
    }
}
