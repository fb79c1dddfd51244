//! Objects announced to queues, in the form of S3's event notifications.

use local_s3::{EventKind, ObjectEvent};
use serde_json::{Value, json};

use crate::template::model::{Bucket, Notification};
use crate::{ACCOUNT_ID, REGION};

/// The names of the queues that want to know.
pub fn targets<'a>(buckets: &'a [Bucket], event: &ObjectEvent) -> impl Iterator<Item = &'a str> {
    let (bucket, key, name) = (event.bucket.clone(), event.key.clone(), event.kind.name());
    let wanted = move |n: &&Notification| {
        let pattern = n.event.strip_prefix("s3:").unwrap_or(&n.event);
        let named = match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == pattern,
        };
        named && key.starts_with(&n.prefix) && key.ends_with(&n.suffix)
    };
    let notifications = buckets.iter().filter(move |b| b.name == bucket).flat_map(|b| &b.notifications);
    notifications.filter(wanted).map(|n| n.queue.as_str())
}

/// The message (S3 user guide, "Event message structure", version 2.1).
pub fn notification(event: &ObjectEvent) -> Value {
    let mut object = json!({"key": encode(&event.key), "sequencer": event.sequencer});
    if event.kind != EventKind::Removed {
        object["size"] = event.size.into();
        object["eTag"] = event.etag.as_str().into();
    }
    json!({"Records": [{
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": REGION,
        "eventTime": event.time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        "eventName": event.kind.name(),
        "userIdentity": {"principalId": ACCOUNT_ID},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": event.sequencer, "x-amz-id-2": "local"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "local",
            "bucket": {
                "name": event.bucket,
                "ownerIdentity": {"principalId": ACCOUNT_ID},
                "arn": format!("arn:aws:s3:::{}", event.bucket),
            },
            "object": object,
        },
    }]})
}

/// Form encoding, slashes kept: what S3 does to a key in a notification.
fn encode(key: &str) -> String {
    let mut out = String::new();
    for byte in key.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'/' | b'-' | b'_' | b'.' | b'*' => out.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::model::ResourceId;
    use local_s3::CreatedBy;

    fn event(key: &str, kind: EventKind) -> ObjectEvent {
        ObjectEvent {
            kind,
            bucket: "uploads".into(),
            key: key.into(),
            size: 3,
            etag: "e".into(),
            sequencer: "0".into(),
            time: "2026-11-20T10:00:00Z".parse().unwrap(),
            version_id: None,
        }
    }

    fn buckets(event: &str) -> Vec<Bucket> {
        vec![Bucket {
            id: ResourceId { stack: "s".into(), logical: "B".into() },
            name: "uploads".into(),
            notifications: vec![Notification {
                event: event.into(),
                prefix: "in/".into(),
                suffix: ".csv".into(),
                queue: "q".into(),
            }],
        }]
    }

    #[test]
    fn only_what_a_bucket_names_is_announced() {
        let put = EventKind::Created(CreatedBy::Put);
        for (pattern, key, kind, expected) in [
            ("s3:ObjectCreated:*", "in/a.csv", put, 1),
            ("s3:ObjectCreated:Put", "in/a.csv", put, 1),
            ("s3:ObjectCreated:Copy", "in/a.csv", put, 0),
            ("s3:ObjectRemoved:*", "in/a.csv", put, 0),
            ("s3:ObjectRemoved:*", "in/a.csv", EventKind::Removed, 1),
            ("s3:ObjectCreated:*", "out/a.csv", put, 0),
            ("s3:ObjectCreated:*", "in/a.txt", put, 0),
        ] {
            assert_eq!(targets(&buckets(pattern), &event(key, kind)).count(), expected, "{pattern} {key}");
        }
    }

    #[test]
    fn keys_are_form_encoded() {
        assert_eq!(encode("a b/ü+1.csv"), "a+b/%C3%BC%2B1.csv");
    }
}
