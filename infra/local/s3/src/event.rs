//! Object events, as S3 notifications describe them.

use serde::{Deserialize, Serialize};

/// How an object came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CreatedBy {
    /// `PutObject`, presigned or not.
    Put,
    /// A browser form upload with a policy.
    Post,
    /// `CompleteMultipartUpload`.
    CompleteMultipartUpload,
    /// `CopyObject`.
    Copy,
}

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventKind {
    /// A new object, or a new body for an old key.
    Created(CreatedBy),
    /// The object is gone.
    Removed,
}

impl EventKind {
    /// The name S3 gives it in `Records[].eventName`, such as `ObjectCreated:Put`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Created(CreatedBy::Put) => "ObjectCreated:Put",
            Self::Created(CreatedBy::Post) => "ObjectCreated:Post",
            Self::Created(CreatedBy::CompleteMultipartUpload) => "ObjectCreated:CompleteMultipartUpload",
            Self::Created(CreatedBy::Copy) => "ObjectCreated:Copy",
            Self::Removed => "ObjectRemoved:Delete",
        }
    }
}

/// One committed change. Delivered at least once: written with the change itself, and told again after a
/// crash if the callback had not returned, so a consumer must tolerate a repeat (same `sequencer`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectEvent {
    /// What happened.
    pub kind: EventKind,
    /// The bucket.
    pub bucket: String,
    /// The key, not URL-encoded (a notification record encodes it).
    pub key: String,
    /// Bytes; 0 for a removal.
    pub size: u64,
    /// The ETag without quotes; empty for a removal.
    pub etag: String,
    /// Sixteen upper-case hex digits; of two events of one key the later compares greater.
    pub sequencer: String,
    /// When it was committed.
    pub time: jiff::Timestamp,
    /// Always `None`: buckets are not versioned.
    pub version_id: Option<String>,
}
