//! Refusals, with the codes that AWS SDKs parse.

use std::sync::Arc;

/// Why a request was refused. Names and codes are those of the SQS service model.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SqsError {
    /// No queue has this name or address.
    #[error("The specified queue does not exist.")]
    QueueDoesNotExist,
    /// A queue of this name has other attributes.
    #[error("A queue already exists with the same name and a different value for attribute {0}")]
    QueueNameExists(String),
    /// A purge ran within the last 60 seconds.
    #[error("Only one PurgeQueue operation on {0} is allowed every 60 seconds.")]
    PurgeQueueInProgress(String),
    /// A batch without entries.
    #[error("There should be at least one entry in the request.")]
    EmptyBatchRequest,
    /// A batch of more than 10 entries.
    #[error("Maximum number of entries per request are 10. You have sent {0}.")]
    TooManyEntriesInBatchRequest(usize),
    /// Two entries of a batch share an id.
    #[error("Id {0} repeated.")]
    BatchEntryIdsNotDistinct(String),
    /// An entry id that is not 1 to 80 letters, digits, hyphens or underscores.
    #[error(
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long."
    )]
    InvalidBatchEntryId,
    /// A batch whose messages together exceed 1 MiB.
    #[error("Batch requests cannot be longer than 1048576 bytes. You have sent {0} bytes.")]
    BatchRequestTooLong(usize),
    /// A character outside XML 1.0.
    #[error(
        "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF"
    )]
    InvalidMessageContents,
    /// An unknown queue attribute.
    #[error("Unknown Attribute {0}.")]
    InvalidAttributeName(String),
    /// A queue attribute outside its range.
    #[error("Invalid value for the parameter {0}.")]
    InvalidAttributeValue(String),
    /// A parameter outside its range; the text says which and why.
    #[error("{0}")]
    InvalidParameterValue(String),
    /// A required parameter is absent.
    #[error("The request must contain the parameter {0}.")]
    MissingParameter(String),
    /// A receipt handle this server never issued for this queue.
    #[error("The input receipt handle is invalid.")]
    ReceiptHandleIsInvalid,
    /// The message is not held by whoever shows this receipt handle.
    #[error("The specified message isn't in flight.")]
    MessageNotInflight,
    /// 120,000 messages of the queue are in flight.
    #[error("Too many messages in flight.")]
    OverLimit,
    /// An operation this server does not have.
    #[error("The operation {0} is not known here.")]
    UnknownOperation(String),
    /// A body that is not the JSON of the operation.
    #[error("The request body could not be read: {0}")]
    Serialization(String),
    /// The database failed. Nothing of the request was kept.
    #[error("The database failed: {0}")]
    Database(Arc<rusqlite::Error>),
    /// The server has been shut down.
    #[error("The server is shutting down.")]
    Stopped,
}

impl From<rusqlite::Error> for SqsError {
    fn from(cause: rusqlite::Error) -> Self {
        Self::Database(Arc::new(cause))
    }
}

impl SqsError {
    /// The JSON `__type` and the older query-protocol code that SDKs prefer when the
    /// `x-amzn-query-error` header carries it.
    fn names(&self) -> (&'static str, &'static str) {
        match self {
            Self::QueueDoesNotExist => {
                ("com.amazonaws.sqs#QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue")
            }
            Self::QueueNameExists(_) => ("com.amazonaws.sqs#QueueNameExists", "QueueAlreadyExists"),
            Self::PurgeQueueInProgress(_) => {
                ("com.amazonaws.sqs#PurgeQueueInProgress", "AWS.SimpleQueueService.PurgeQueueInProgress")
            }
            Self::EmptyBatchRequest => {
                ("com.amazonaws.sqs#EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest")
            }
            Self::TooManyEntriesInBatchRequest(_) => (
                "com.amazonaws.sqs#TooManyEntriesInBatchRequest",
                "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            ),
            Self::BatchEntryIdsNotDistinct(_) => (
                "com.amazonaws.sqs#BatchEntryIdsNotDistinct",
                "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
            ),
            Self::InvalidBatchEntryId => {
                ("com.amazonaws.sqs#InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId")
            }
            Self::BatchRequestTooLong(_) => {
                ("com.amazonaws.sqs#BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong")
            }
            Self::InvalidMessageContents => {
                ("com.amazonaws.sqs#InvalidMessageContents", "InvalidMessageContents")
            }
            Self::InvalidAttributeName(_) => {
                ("com.amazonaws.sqs#InvalidAttributeName", "InvalidAttributeName")
            }
            Self::InvalidAttributeValue(_) => {
                ("com.amazonaws.sqs#InvalidAttributeValue", "InvalidAttributeValue")
            }
            Self::ReceiptHandleIsInvalid => {
                ("com.amazonaws.sqs#ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid")
            }
            Self::MessageNotInflight => {
                ("com.amazonaws.sqs#MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight")
            }
            Self::OverLimit => ("com.amazonaws.sqs#OverLimit", "OverLimit"),
            Self::InvalidParameterValue(_) => {
                ("com.amazon.coral.service#InvalidParameterValueException", "InvalidParameterValue")
            }
            Self::MissingParameter(_) => {
                ("com.amazon.coral.service#MissingRequiredParameterException", "MissingParameter")
            }
            Self::UnknownOperation(_) => {
                ("com.amazon.coral.service#UnknownOperationException", "InvalidAction")
            }
            Self::Serialization(_) => {
                ("com.amazon.coral.service#SerializationException", "MalformedQueryString")
            }
            Self::Database(_) => ("com.amazon.coral.service#InternalFailure", "InternalFailure"),
            Self::Stopped => ("com.amazon.coral.service#ServiceUnavailableException", "ServiceUnavailable"),
        }
    }

    /// The `__type` of the JSON error body.
    pub fn shape(&self) -> &'static str {
        self.names().0
    }

    /// The code SDKs report, such as `AWS.SimpleQueueService.NonExistentQueue`.
    pub fn code(&self) -> &'static str {
        self.names().1
    }

    /// Whether the caller is at fault (`Sender`), rather than this server (`Receiver`).
    pub fn sender_fault(&self) -> bool {
        !matches!(self, Self::Database(_) | Self::Stopped)
    }

    /// The HTTP status: 400, 403 for a denial, 5xx for our own faults.
    pub fn status(&self) -> u16 {
        match self {
            Self::Database(_) => 500,
            Self::Stopped => 503,
            _ => 400,
        }
    }
}

/// A parameter's value is refused, in the words AWS uses.
pub(crate) fn invalid(parameter: &str, value: impl std::fmt::Display, reason: &str) -> SqsError {
    SqsError::InvalidParameterValue(format!(
        "Value {value} for parameter {parameter} is invalid. Reason: {reason}"
    ))
}
