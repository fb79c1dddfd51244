use piecework_core::{Fault, Kind, Problem};

use crate::TaskState;

/// Why an operation on tasks failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such task in this workspace.
    #[error("no such task")]
    NoSuchTask,
    /// The task's state does not allow it.
    #[error("the task is {0:?}")]
    WrongState(TaskState),
    /// The task's results have aged out.
    #[error("the results are no longer kept")]
    ResultsGone,
    /// A list without addresses.
    #[error("the list is empty")]
    EmptyList,
    /// A pasted list that is too long for a request.
    #[error("{0} addresses pasted")]
    TooManyPasted(usize),
    /// A file that is larger than is taken.
    #[error("the file is larger than {limit} octets")]
    FileTooLarge {
        /// The limit for its kind, octets.
        limit: u64,
    },
    /// A file that cannot be read as a list.
    #[error(transparent)]
    Unreadable(#[from] tabular::ListError),
    /// A value of the request that cannot be used.
    #[error("{pointer}: {detail}")]
    Unusable {
        /// JSON Pointer into the body, or `query:name`.
        pointer: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// Credits.
    #[error(transparent)]
    Billing(#[from] billing::Error),
    /// The store.
    #[error(transparent)]
    Aws(#[from] aws::Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::NoSuchTask => Problem::new(Kind::NotFound),
            Error::WrongState(state) => Problem::new(Kind::WrongState)
                .detail(format!("The task is {}.", state.name()))
                .with("state", state.name()),
            Error::ResultsGone => Problem::new(Kind::Gone).detail("Results are kept for 30 days."),
            Error::EmptyList => {
                Problem::new(Kind::EmptyList).fault(Fault::body("/emails", "must have at least one address"))
            }
            Error::TooManyPasted(count) => Problem::new(Kind::TooManyRows)
                .detail(format!(
                    "{count} addresses; a pasted list has at most {}. Upload a file for more, up to {} rows.",
                    crate::MAX_PASTED,
                    crate::MAX_ROWS
                ))
                .with("limit", crate::MAX_PASTED),
            Error::FileTooLarge { limit } => Problem::new(Kind::FileTooLarge)
                .detail(format!("At most {limit} octets."))
                .with("limit", limit)
                .fault(Fault::body("/size", format!("must be at most {limit}"))),
            Error::Unreadable(tabular::ListError::TooManyRows { limit }) => {
                Problem::new(Kind::TooManyRows).detail(format!("At most {limit} rows.")).with("limit", limit)
            }
            Error::Unreadable(error) => {
                Problem::new(Kind::UnreadableFile).detail(error.to_string()).with("reason", error.code())
            }
            Error::Unusable { pointer, detail } => match pointer.strip_prefix("query:") {
                Some(name) => Problem::new(Kind::InvalidQuery).fault(Fault::query(name, detail)),
                None => Problem::new(Kind::InvalidBody).fault(Fault::body(pointer, detail)),
            },
            Error::Billing(error) => error.into(),
            Error::Aws(error) => error.into(),
        }
    }
}

impl From<aws::CommitError> for Error {
    fn from(error: aws::CommitError) -> Self {
        Self::Aws(error.into())
    }
}
