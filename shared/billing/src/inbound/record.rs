//! What is kept of a call.

use std::{collections::BTreeMap, net::IpAddr};

use bytes::Bytes;
use jiff::Timestamp;
use piecework_core::typed_id;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

typed_id!(InboundId, "inb", "A call of a payment provider.");

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// Paddle Billing: credits.
    Paddle,
    /// PayFast: wallet money.
    Payfast,
}

impl Provider {
    /// Its name in keys and event kinds.
    pub fn name(self) -> &'static str {
        match self {
            Self::Paddle => "paddle",
            Self::Payfast => "payfast",
        }
    }
}

/// Where a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Refused: not signed by the provider, or not sent by it.
    BadSignature,
    /// Refused: signed too long ago, or in the future.
    Stale,
    /// Refused: longer than what is kept.
    TooLarge,
    /// Refused: signed, and not of the provider's form.
    Malformed,
    /// Accepted and not yet acted on.
    Received,
    /// Acted on.
    Applied,
    /// There was nothing to do.
    Ignored,
    /// Kept until what it is about is known.
    Parked,
    /// It cannot be acted on as things are; the reason says why, and it can be replayed when that is mended.
    Failed,
}

impl Status {
    /// Its name in keys and query strings.
    pub fn name(self) -> &'static str {
        match self {
            Self::BadSignature => "bad_signature",
            Self::Stale => "stale",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::Received => "received",
            Self::Applied => "applied",
            Self::Ignored => "ignored",
            Self::Parked => "parked",
            Self::Failed => "failed",
        }
    }

    /// Whether it passed the door.
    pub fn accepted(self) -> bool {
        matches!(self, Self::Received | Self::Applied | Self::Ignored | Self::Parked | Self::Failed)
    }
}

/// What became of an accepted call, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Applied, ignored, parked or failed.
    pub status: Status,
    /// Why, in a sentence without personal data.
    pub reason: Option<String>,
}

impl Outcome {
    /// It was acted on.
    pub fn applied() -> Self {
        Self { status: Status::Applied, reason: None }
    }
    /// There was nothing to do.
    pub fn ignored(reason: impl ToString) -> Self {
        Self { status: Status::Ignored, reason: Some(reason.to_string()) }
    }
    /// What it is about is not known yet.
    pub fn parked(reason: impl ToString) -> Self {
        Self { status: Status::Parked, reason: Some(reason.to_string()) }
    }
    /// It cannot be acted on.
    pub fn failed(reason: impl ToString) -> Self {
        Self { status: Status::Failed, reason: Some(reason.to_string()) }
    }
}

/// A call as it comes.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who says to be calling.
    pub provider: Provider,
    /// The body's very octets.
    pub body: Bytes,
    /// The header fields worth keeping, by name in lower case.
    pub headers: BTreeMap<String, String>,
    /// Where from.
    pub source: Option<IpAddr>,
}

impl Call {
    /// A call; of its header fields only those that explain it are kept.
    pub fn new<'a>(
        provider: Provider,
        body: Bytes,
        headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        source: Option<IpAddr>,
    ) -> Self {
        const WORTH_KEEPING: [&str; 5] =
            ["content-type", "paddle-signature", "referer", "user-agent", "x-forwarded-for"];
        const LONGEST: usize = 1000;
        let text = |value: &[u8]| String::from_utf8_lossy(value).chars().take(LONGEST).collect();
        let headers = headers.into_iter().filter(|(name, _)| WORTH_KEEPING.contains(name));
        let headers = headers.map(|(name, value)| (name.to_owned(), text(value))).collect();
        Self { provider, body, headers, source }
    }
}

/// A call that was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InboundCall {
    /// Its id.
    pub id: InboundId,
    /// Who called.
    pub provider: Provider,
    /// Where it stands.
    pub status: Status,
    /// Why, if there is more to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The provider's own id of the event, if it was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// The provider's name for what happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// Where it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The header fields that explain it.
    pub headers: BTreeMap<String, String>,
    /// Octets of the body as it came.
    pub size: u64,
    /// SHA-256 of the body as it came, in hexadecimal.
    pub sha256: String,
    /// How often the provider sent the same event again.
    #[serde(default)]
    pub repeats: u64,
    /// When it came.
    #[schema(value_type = String, format = DateTime)]
    pub received_at: Timestamp,
    /// When it was last acted on with another outcome than before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub processed_at: Option<Timestamp>,
}

/// A call with its body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct InboundDetail {
    /// The call.
    #[serde(flatten)]
    pub call: InboundCall,
    /// The body, or as much of it as was kept; other octets than UTF-8 are replaced.
    pub body: String,
    /// Octets of the body that were kept.
    pub kept: u64,
}
