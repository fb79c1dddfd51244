use piecework_core::{Fault, Kind, Problem};

/// Why an account operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key is not there, revoked, expired or wrong: a caller is not told which.
    #[error("the API key is not valid")]
    BadKey,
    /// A key cannot be given more than its maker has.
    #[error("a key cannot be given a scope that its maker does not have")]
    ScopeNotHeld,
    /// A value of the new key that cannot be used.
    #[error("{pointer}: {detail}")]
    Unusable {
        /// JSON Pointer into the body.
        pointer: &'static str,
        /// What is wrong.
        detail: &'static str,
    },
    /// There is no such key in this workspace.
    #[error("no such key")]
    NoSuchKey,
    /// The store failed.
    #[error(transparent)]
    Aws(#[from] aws::Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::BadKey => Problem::new(Kind::Unauthenticated).detail("The API key is not valid."),
            Error::ScopeNotHeld => Problem::new(Kind::Forbidden)
                .detail("A key cannot be given a scope that its maker does not have."),
            Error::Unusable { pointer, detail } => {
                Problem::new(Kind::InvalidBody).fault(Fault::body(pointer, detail))
            }
            Error::NoSuchKey => Problem::new(Kind::NotFound),
            Error::Aws(error) => error.into(),
        }
    }
}
