use piecework_core::{Fault, Kind, Problem};

use crate::TokenError;

/// Why an account operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key is not there, revoked, expired or wrong: a caller is not told which.
    #[error("the API key is not valid")]
    BadKey,
    /// The bearer token is not good; a caller is told why.
    #[error("the bearer token is refused: {0}")]
    BadToken(#[from] TokenError),
    /// There is no such provider to sign in with.
    #[error("no such provider")]
    NoSuchProvider,
    /// A login that cannot be ended, or begun.
    #[error("{0}")]
    BadSignIn(&'static str),
    /// The provider did not let them in.
    #[error("the provider answers {0}")]
    SignInDeclined(&'static str),
    /// The refresh token is not one, was used before, or its session is over.
    #[error("the session is over")]
    BadSession,
    /// The refresh token was used a moment ago.
    #[error("the refresh token was used a moment ago")]
    SessionRaced,
    /// The key was revoked, has expired or was rolled before.
    #[error("the key is over, or was rolled before")]
    KeyIsOver,
    /// There is no such user any more.
    #[error("no such user")]
    NoSuchUser,
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
            Error::BadToken(error) => Problem::new(Kind::Unauthenticated).detail(error.to_string()),
            Error::KeyIsOver => Problem::new(Kind::WrongState)
                .detail("The key was revoked, has expired or was rolled before. Make a new one."),
            Error::NoSuchProvider => Problem::new(Kind::NotFound),
            Error::BadSignIn(detail) => Problem::new(Kind::InvalidQuery).detail(detail),
            Error::SignInDeclined(code) => {
                Problem::new(Kind::InvalidQuery).detail(format!("The provider answers: {code}."))
            }
            Error::BadSession => {
                Problem::new(Kind::Unauthenticated).detail("The session is over. Sign in again.")
            }
            Error::SessionRaced => Problem::new(Kind::WrongState)
                .detail("This refresh token was used a moment ago. Use the tokens that came of it."),
            Error::NoSuchUser => Problem::new(Kind::NotFound),
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
