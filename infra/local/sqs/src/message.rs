//! Messages: what may be sent, how large it counts, and the MD5 sums that SDKs compare.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use md5::{Digest, Md5};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{SqsError, invalid};

/// A typed value that travels beside the body. Exactly one of the values is set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MessageAttribute {
    /// `String`, `Number` or `Binary`, with an optional label: `Number.cents`.
    #[serde(default)]
    pub data_type: String,
    /// The value of a `String` or `Number`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub string_value: Option<String>,
    /// The value of a `Binary`; base64 in JSON.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "base64_value")]
    pub binary_value: Option<Vec<u8>>,
}

impl MessageAttribute {
    /// A `String` attribute.
    pub fn string(value: impl Into<String>) -> Self {
        Self { data_type: "String".to_owned(), string_value: Some(value.into()), binary_value: None }
    }

    fn value(&self) -> &[u8] {
        match (&self.string_value, &self.binary_value) {
            (Some(text), _) => text.as_bytes(),
            (None, Some(bytes)) => bytes,
            (None, None) => &[],
        }
    }
}

mod base64_value {
    use super::*;

    pub(super) fn serialize<S: Serializer>(value: &Option<Vec<u8>>, to: S) -> Result<S::Ok, S::Error> {
        value.as_ref().map(|bytes| STANDARD.encode(bytes)).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<u8>>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| STANDARD.decode(text).map_err(serde::de::Error::custom)).transpose()
    }
}

/// Message attributes by name, in the order in which their MD5 is taken.
pub type MessageAttributes = BTreeMap<String, MessageAttribute>;

/// What may accompany a body.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SendOptions {
    /// Seconds until the message can be received, 0 to 900; the queue's delay when absent. Not on FIFO queues.
    pub delay_seconds: Option<i64>,
    /// At most 10.
    pub message_attributes: MessageAttributes,
    /// `AWSTraceHeader` is the only one there is.
    pub message_system_attributes: MessageAttributes,
    /// Required on FIFO queues, 1 to 128 characters.
    pub message_group_id: Option<String>,
    /// FIFO queues only, 1 to 128 characters; the SHA-256 of the body when the queue deduplicates by content.
    pub message_deduplication_id: Option<String>,
}

/// What a send answered.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Sent {
    /// A UUID.
    pub message_id: String,
    /// Lower-case hexadecimal.
    #[serde(rename = "MD5OfMessageBody")]
    pub md5_of_body: String,
    /// Present when there were attributes.
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    pub md5_of_attributes: Option<String>,
    /// Present when there were system attributes.
    #[serde(rename = "MD5OfMessageSystemAttributes", skip_serializing_if = "Option::is_none")]
    pub md5_of_system_attributes: Option<String>,
    /// FIFO queues only: 20 digits, growing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence_number: Option<String>,
}

/// A received message, with all that the queue knows about it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Message {
    /// A UUID, the same for every delivery and in the dead-letter queue.
    pub message_id: String,
    /// Stands for this one delivery.
    pub receipt_handle: String,
    /// The body as sent.
    pub body: String,
    /// Lower-case hexadecimal MD5 of the body.
    #[serde(rename = "MD5OfBody")]
    pub md5_of_body: String,
    /// System attributes: `ApproximateReceiveCount`, `SentTimestamp` and such. Times in epoch milliseconds.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// MD5 of `message_attributes`, when there are any.
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    pub md5_of_message_attributes: Option<String>,
    /// What the sender set.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub message_attributes: MessageAttributes,
}

impl Message {
    /// Keeps what the caller asked for, as `ReceiveMessage` does: nothing unless named, `All`, and for
    /// message attributes `.*` and prefixes such as `trace.*` too.
    pub(crate) fn narrow(&mut self, system: &[String], named: &[String]) {
        self.attributes.retain(|name, _| system.iter().any(|asked| asked == "All" || asked == name));
        self.message_attributes.retain(|name, _| {
            named.iter().any(|asked| match asked.strip_suffix(".*") {
                Some(prefix) => name.starts_with(prefix),
                None => asked == "All" || asked == name,
            })
        });
        self.md5_of_message_attributes = md5_of_attributes(&self.message_attributes);
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(crate) fn md5_hex(bytes: &[u8]) -> String {
    hex(&Md5::digest(bytes))
}

/// By name: length and name, length and type, 1 for text or 2 for binary, length and value; lengths as four
/// bytes, big-endian (SQS developer guide, "Calculating the MD5 message digest for message attributes").
pub(crate) fn md5_of_attributes(attributes: &MessageAttributes) -> Option<String> {
    if attributes.is_empty() {
        return None;
    }
    fn sized(digest: &mut Md5, bytes: &[u8]) {
        digest.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        digest.update(bytes);
    }
    let mut digest = Md5::new();
    for (name, attribute) in attributes {
        sized(&mut digest, name.as_bytes());
        sized(&mut digest, attribute.data_type.as_bytes());
        digest.update([if attribute.string_value.is_some() { 1 } else { 2 }]);
        sized(&mut digest, attribute.value());
    }
    Some(hex(&digest.finalize()))
}

/// The bytes a message counts for: body, and names, types and values of its attributes.
pub(crate) fn size(body: &str, attributes: &MessageAttributes) -> usize {
    let of = |(name, attribute): (&String, &MessageAttribute)| {
        name.len() + attribute.data_type.len() + attribute.value().len()
    };
    body.len() + attributes.iter().map(of).sum::<usize>()
}

/// The character set of XML 1.0.
fn is_allowed(text: &str) -> bool {
    text.chars().all(|c| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..))
}

/// Refuses a body that is empty or holds characters outside XML 1.0.
pub(crate) fn check_body(body: &str) -> Result<(), SqsError> {
    match body {
        "" => Err(SqsError::MissingParameter("MessageBody".to_owned())),
        _ if is_allowed(body) => Ok(()),
        _ => Err(SqsError::InvalidMessageContents),
    }
}

/// Refuses attributes that SQS refuses: more than 10, odd names or types, no value, text outside XML 1.0.
pub(crate) fn check_attributes(attributes: &MessageAttributes) -> Result<(), SqsError> {
    if attributes.len() > 10 {
        let reason =
            format!("Number of message attributes [{}] exceeds the allowed maximum [10].", attributes.len());
        return Err(SqsError::InvalidParameterValue(reason));
    }
    for (name, attribute) in attributes {
        check_attribute(name, attribute)?;
    }
    Ok(())
}

fn check_attribute(name: &str, attribute: &MessageAttribute) -> Result<(), SqsError> {
    let lower = name.to_ascii_lowercase();
    let named = (1..=256).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        && !(name.starts_with('.') || name.ends_with('.') || name.contains(".."))
        && !(lower.starts_with("aws.") || lower.starts_with("amazon."));
    if !named {
        return Err(invalid("MessageAttributeName", name, "It is not an allowed message attribute name."));
    }
    check_value(name, attribute)
}

fn check_value(name: &str, attribute: &MessageAttribute) -> Result<(), SqsError> {
    let kind = attribute.data_type.split('.').next().unwrap_or_default();
    let refuse =
        |reason: &str| SqsError::InvalidParameterValue(format!("The message attribute '{name}' {reason}"));
    if attribute.data_type.len() > 256 {
        return Err(refuse("has a type longer than 256 bytes."));
    }
    match (kind, &attribute.string_value, &attribute.binary_value) {
        ("String" | "Number" | "Binary", None, None) => {
            Err(refuse("must contain non-empty message attribute value."))
        }
        ("String" | "Number", Some(text), None) if text.is_empty() => {
            Err(refuse("must contain non-empty message attribute value."))
        }
        ("String" | "Number", Some(text), None) if !is_allowed(text) => Err(SqsError::InvalidMessageContents),
        ("Number", Some(text), None) if text.trim().parse::<f64>().is_err() => {
            Err(refuse("should be a number."))
        }
        ("String" | "Number", Some(_), None) => Ok(()),
        ("Binary", None, Some(bytes)) if !bytes.is_empty() => Ok(()),
        ("String" | "Number" | "Binary", ..) => Err(refuse("has a value that does not match its type.")),
        _ => Err(refuse(
            "has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.",
        )),
    }
}

/// Group and deduplication ids: 1 to 128 letters, digits and ASCII punctuation.
pub(crate) fn check_id(parameter: &str, id: &str) -> Result<(), SqsError> {
    if (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(());
    }
    Err(invalid(
        parameter,
        id,
        &format!("{parameter} can only include alphanumeric and punctuation characters. 1 to 128 in length."),
    ))
}

/// One delivery of one message. Its text form is opaque to callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub queue: i64,
    pub row: i64,
    /// The receive count at delivery: a later delivery has a larger one.
    pub delivery: i64,
}

impl Receipt {
    pub(crate) fn encode(self) -> String {
        URL_SAFE_NO_PAD.encode(format!("sqs1.{}.{}.{}", self.queue, self.row, self.delivery))
    }

    pub(crate) fn decode(handle: &str) -> Result<Self, SqsError> {
        let read = || {
            let text = String::from_utf8(URL_SAFE_NO_PAD.decode(handle).ok()?).ok()?;
            let mut parts = text.strip_prefix("sqs1.")?.splitn(3, '.').map(|part| part.parse().ok());
            Some(Self { queue: parts.next()??, row: parts.next()??, delivery: parts.next()?? })
        };
        read().ok_or(SqsError::ReceiptHandleIsInvalid)
    }
}

/// A random (version 4) UUID in its usual text form.
pub(crate) fn uuid() -> String {
    let bits = (rand::random::<u128>() & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let text = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}
