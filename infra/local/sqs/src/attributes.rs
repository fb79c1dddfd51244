//! Queue attributes: ranges, defaults, and the typed settings that the rest reads.

use std::collections::BTreeMap;

use crate::error::{SqsError, invalid};

/// Attribute names and values as the wire carries them.
pub(crate) type Attributes = BTreeMap<String, String>;

/// The largest message, and the largest batch, in bytes including attributes.
pub(crate) const MAX_BYTES: usize = 1_048_576;

/// Name, smallest, largest and default value of the numeric attributes.
const NUMBERS: [(&str, i64, i64, i64); 5] = [
    ("DelaySeconds", 0, 900, 0),
    ("MaximumMessageSize", 1_024, 1_048_576, 1_048_576),
    ("MessageRetentionPeriod", 60, 1_209_600, 345_600),
    ("ReceiveMessageWaitTimeSeconds", 0, 20, 0),
    ("VisibilityTimeout", 0, 43_200, 30),
];

/// Kept and given back; nothing here acts on them.
const OPAQUE: [&str; 4] = ["Policy", "RedriveAllowPolicy", "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds"];

/// Attributes that exist only on FIFO queues, with their values, the default first.
const FIFO: [(&str, [&str; 2]); 3] = [
    ("ContentBasedDeduplication", ["false", "true"]),
    ("DeduplicationScope", ["queue", "messageGroup"]),
    ("FifoThroughputLimit", ["perQueue", "perMessageGroupId"]),
];

/// Where messages go that were received too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Redrive {
    pub target_arn: String,
    pub max_receives: i64,
}

/// What a queue's attributes mean. Times in milliseconds.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub delay: i64,
    pub visibility: i64,
    pub retention: i64,
    pub wait: i64,
    pub max_bytes: usize,
    pub redrive: Option<Redrive>,
    pub content_dedup: bool,
    pub dedup_per_group: bool,
}

impl Settings {
    pub(crate) fn of(attributes: &Attributes) -> Self {
        let number = |name: &str| {
            let default = NUMBERS.iter().find(|row| row.0 == name).map_or(0, |row| row.3);
            attributes.get(name).and_then(|text| text.parse().ok()).unwrap_or(default)
        };
        let is = |name: &str, value: &str| attributes.get(name).is_some_and(|found| found == value);
        Self {
            delay: number("DelaySeconds") * 1_000,
            visibility: number("VisibilityTimeout") * 1_000,
            retention: number("MessageRetentionPeriod") * 1_000,
            wait: number("ReceiveMessageWaitTimeSeconds") * 1_000,
            max_bytes: usize::try_from(number("MaximumMessageSize")).unwrap_or(MAX_BYTES),
            redrive: attributes.get("RedrivePolicy").and_then(|text| parse_redrive(text)),
            content_dedup: is("ContentBasedDeduplication", "true"),
            dedup_per_group: is("DeduplicationScope", "messageGroup"),
        }
    }
}

/// `maxReceiveCount` comes as a number or as a string of one.
fn parse_redrive(text: &str) -> Option<Redrive> {
    let policy: serde_json::Value = serde_json::from_str(text).ok()?;
    let count = &policy["maxReceiveCount"];
    let max_receives = count.as_i64().or_else(|| count.as_str()?.parse().ok())?;
    let target_arn = policy["deadLetterTargetArn"].as_str()?.to_owned();
    (1..=1_000).contains(&max_receives).then_some(Redrive { target_arn, max_receives })
}

/// 1 to 80 letters, digits, hyphens and underscores, the `.fifo` of a FIFO queue included in the 80.
pub(crate) fn check_name(name: &str, fifo: bool) -> Result<(), SqsError> {
    let stem = if fifo { name.strip_suffix(".fifo") } else { Some(name) };
    let plain = |stem: &str| {
        !stem.is_empty() && stem.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if name.len() <= 80 && stem.is_some_and(plain) {
        return Ok(());
    }
    let reason = if fifo {
        "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in length."
    } else {
        "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
    };
    Err(invalid("QueueName", name, reason))
}

/// Checks what a caller wants to set and brings it to the form in which it is kept. An empty value means
/// "back to the default" for policies and keys.
pub(crate) fn normalise(given: Attributes, fifo: bool) -> Result<Attributes, SqsError> {
    given
        .into_iter()
        .map(|(name, value)| {
            let kept = normalise_one(&name, &value, fifo)?;
            Ok((name, kept))
        })
        .collect()
}

fn normalise_one(name: &str, value: &str, fifo: bool) -> Result<String, SqsError> {
    let refused = || SqsError::InvalidAttributeValue(name.to_owned());
    if let Some((_, min, max, _)) = NUMBERS.iter().find(|row| row.0 == name) {
        let number: i64 = value.parse().map_err(|_| refused())?;
        return if (*min..=*max).contains(&number) { Ok(number.to_string()) } else { Err(refused()) };
    }
    if let Some((_, values)) = FIFO.iter().find(|row| row.0 == name) {
        return match (fifo, values.contains(&value)) {
            (true, true) => Ok(value.to_owned()),
            (true, false) => Err(refused()),
            (false, _) => Err(SqsError::InvalidAttributeName(name.to_owned())),
        };
    }
    match name {
        "FifoQueue" if fifo && value == "true" => Ok(value.to_owned()),
        "FifoQueue" => Err(refused()),
        "SqsManagedSseEnabled" if matches!(value, "true" | "false") => Ok(value.to_owned()),
        "SqsManagedSseEnabled" => Err(refused()),
        "RedrivePolicy" if value.is_empty() => Ok(String::new()),
        "RedrivePolicy" => {
            let redrive = parse_redrive(value).ok_or_else(|| {
                invalid(name, value, "Needs deadLetterTargetArn and a maxReceiveCount from 1 to 1000.")
            })?;
            let (arn, count) = (redrive.target_arn, redrive.max_receives);
            Ok(serde_json::json!({ "deadLetterTargetArn": arn, "maxReceiveCount": count }).to_string())
        }
        _ if OPAQUE.contains(&name) => Ok(value.to_owned()),
        _ => Err(SqsError::InvalidAttributeName(name.to_owned())),
    }
}

/// The attributes a reader sees: what was set over the defaults.
pub(crate) fn effective(set: &Attributes, fifo: bool) -> Attributes {
    let mut all: Attributes = NUMBERS.iter().map(|row| (row.0.to_owned(), row.3.to_string())).collect();
    all.insert("SqsManagedSseEnabled".to_owned(), "true".to_owned());
    if fifo {
        all.insert("FifoQueue".to_owned(), "true".to_owned());
        all.extend(FIFO.iter().map(|(name, values)| ((*name).to_owned(), values[0].to_owned())));
    }
    all.extend(set.iter().filter(|(_, value)| !value.is_empty()).map(|(k, v)| (k.clone(), v.clone())));
    all
}

/// Names that `GetQueueAttributes` knows beyond those that can be set.
pub(crate) const COMPUTED: [&str; 6] = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "QueueArn",
];

/// Whether `name` is an attribute of any queue.
pub(crate) fn is_known(name: &str) -> bool {
    COMPUTED.contains(&name)
        || OPAQUE.contains(&name)
        || NUMBERS.iter().any(|row| row.0 == name)
        || FIFO.iter().any(|row| row.0 == name)
        || matches!(name, "FifoQueue" | "RedrivePolicy" | "SqsManagedSseEnabled")
}
