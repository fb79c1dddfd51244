//! The services behind the gate.

/// A service, by the protocol it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// DynamoDB and its streams: JSON 1.0.
    DynamoDb,
    /// S3: REST and XML, path style.
    S3,
    /// SQS: JSON 1.0.
    Sqs,
    /// KMS, Secrets Manager and SSM, told apart by their targets: JSON 1.1.
    Keys,
    /// SES, API v2: REST and JSON.
    Ses,
}
