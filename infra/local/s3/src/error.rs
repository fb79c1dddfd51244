//! What can go wrong, and the S3 answer it becomes.

use s3s::{S3Error, S3ErrorCode};

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the store could not be read or written.
    #[error("store file: {0}")]
    Io(#[from] std::io::Error),
    /// The SQLite index failed.
    #[error("store index: {0}")]
    Index(#[from] rusqlite::Error),
    /// A row of the index does not hold what this version writes.
    #[error("store index row: {0}")]
    Row(#[from] serde_json::Error),
    /// Another server has the same folder open.
    #[error("{0} is in use by another server")]
    InUse(std::path::PathBuf),
    /// A refusal with its S3 error code, such as `NoSuchKey`.
    #[error("{0}")]
    S3(#[from] S3Error),
    /// The worker thread ended without an answer.
    #[error("store worker: {0}")]
    Worker(#[from] tokio::task::JoinError),
}

impl From<Error> for S3Error {
    fn from(error: Error) -> Self {
        match error {
            Error::S3(refusal) => refusal,
            fault => {
                tracing::error!(error = &fault as &dyn std::error::Error, "the store failed");
                Self::internal_error(fault)
            }
        }
    }
}

/// An S3 error code that `s3s` has no name for; always 400.
pub(crate) fn bad_request(code: &str, message: impl Into<std::borrow::Cow<'static, str>>) -> S3Error {
    let code = S3ErrorCode::from_bytes(code.as_bytes()).unwrap_or(S3ErrorCode::InvalidRequest);
    let mut error = S3Error::with_message(code, message);
    error.set_status_code(http::StatusCode::BAD_REQUEST);
    error
}

/// No object of that name.
pub(crate) fn no_such_key() -> S3Error {
    s3s::s3_error!(NoSuchKey, "The specified key does not exist.")
}

/// A condition of the request does not hold.
pub(crate) fn precondition_failed() -> S3Error {
    s3s::s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
}
