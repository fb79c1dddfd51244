use std::time::Duration;

use piecework_core::Problem;

/// Why a message was not dealt with.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Not now: the message comes back after a while.
    #[error("try again in {after:?}: {cause}")]
    Retry {
        /// When.
        after: Duration,
        /// Why not now.
        cause: String,
    },
    /// Not ever: the message goes to the dead-letter queue.
    #[error("rejected: {reason}")]
    Reject {
        /// Why never. Kept with the message; no personal data.
        reason: String,
    },
}

impl Failure {
    /// Try again after so many seconds.
    pub fn retry(after_seconds: u64, cause: impl ToString) -> Self {
        Self::Retry { after: Duration::from_secs(after_seconds), cause: cause.to_string() }
    }
    /// Never try again.
    pub fn reject(reason: impl ToString) -> Self {
        Self::Reject { reason: reason.to_string() }
    }
}

/// How long a message waits after a failure that nobody foresaw.
const DEFAULT_WAIT: u64 = 20;

impl From<aws::Error> for Failure {
    fn from(error: aws::Error) -> Self {
        // Also for a refusal: a missing permission is mended by a deployment, not by losing the message.
        Self::retry(DEFAULT_WAIT, error)
    }
}

impl From<aws::CommitError> for Failure {
    fn from(error: aws::CommitError) -> Self {
        Self::retry(DEFAULT_WAIT, error)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let cause =
            problem.cause.as_ref().map_or_else(|| problem.to_string(), |cause| format!("{problem} {cause}"));
        Self::retry(DEFAULT_WAIT, cause)
    }
}
