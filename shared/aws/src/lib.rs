//! DynamoDB, S3 and SQS as Piecework uses them. The only crate that names an AWS SDK client.

mod bucket;
mod clients;
mod expression;
pub mod idempotency;
mod log;
mod mail;
pub mod metrics;
mod outbox;
mod outside;
mod queue;
mod report;
mod span;
mod start;
mod table;
mod transaction;

pub use bucket::{Bucket, ObjectReader, ObjectWriter, PresignedUpload};
pub use clients::{Clients, Deps};
pub use expression::{Cond, Update, Value};
pub use mail::{Letter, Mailer};
pub use outbox::{event_item, passing_event_item};
pub use outside::{Answered, Ask, Got, Outside, OutsideError};
pub use queue::{Queue, QueueCounts};
pub use report::report_errors;
pub use span::{Span, SpanKind};
pub use start::start;
pub use table::{Found, Item, Key, Query, Table};
pub use transaction::{CommitError, Transaction};

use piecework_core::{Kind, Problem};

/// How often an operation looks again because somebody else changed what it stands on, before it says that it cannot be done now.
pub const RACES: usize = 8;

/// A call to AWS that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Throttled, timed out or briefly broken; the SDK's own retries are used up. Worth trying again later.
    #[error("{service} does not answer: {cause}")]
    Unavailable {
        /// Which service.
        service: &'static str,
        /// What it said.
        cause: String,
    },
    /// Refused for a reason that trying again will not change.
    #[error("{service} refused {operation}: {cause}")]
    Refused {
        /// Which service.
        service: &'static str,
        /// What was asked.
        operation: &'static str,
        /// What it said.
        cause: String,
    },
    /// An item or object is not of the shape that the code expects.
    #[error("a stored record cannot be read: {0}")]
    Shape(String),
}

impl Error {
    /// [`RACES`] were lost, over what this area keeps.
    pub fn races(area: &'static str) -> Self {
        Self::Unavailable { service: area, cause: "too many races".to_owned() }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let kind =
            if matches!(error, Error::Unavailable { .. }) { Kind::Unavailable } else { Kind::Internal };
        let mut problem = Problem::new(kind);
        problem.cause = Some(Box::new(error));
        problem
    }
}

impl From<serde_dynamo::Error> for Error {
    fn from(error: serde_dynamo::Error) -> Self {
        Self::Shape(error.to_string())
    }
}

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::{display::DisplayErrorContext, metadata::ProvideErrorMetadata};

/// Sorts an SDK error: is trying again later worth it?
fn sdk_error<E, R>(service: &'static str, operation: &'static str, error: SdkError<E, R>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    const PASSING: &[&str] = &[
        "ThrottlingException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "InternalServerError",
        "TransactionConflictException",
        "TransactionInProgressException",
        "ServiceUnavailable",
        "SlowDown",
        "InternalError",
        "RequestThrottled",
        "OverLimit",
    ];
    let passing = match &error {
        SdkError::ServiceError(e) => e.err().code().is_some_and(|code| PASSING.contains(&code)),
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => true,
        _ => false,
    };
    let cause = DisplayErrorContext(&error).to_string();
    if passing { Error::Unavailable { service, cause } } else { Error::Refused { service, operation, cause } }
}
