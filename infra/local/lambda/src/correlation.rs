//! The correlation id of an event, wherever its source puts one.

use serde::Deserialize;
use std::collections::HashMap;

#[derive(Deserialize)]
struct Peek {
    #[serde(default)]
    headers: HashMap<String, String>,
    #[serde(default, rename = "requestContext")]
    request_context: Context,
    #[serde(default, rename = "Records")]
    records: Vec<Record>,
}

#[derive(Default, Deserialize)]
struct Context {
    #[serde(rename = "requestId")]
    request_id: Option<String>,
}

#[derive(Deserialize)]
struct Record {
    #[serde(default, rename = "messageAttributes")]
    attributes: HashMap<String, Attribute>,
    body: Option<String>,
}

/// A queue message that is one of Piecework's own events.
#[derive(Deserialize)]
struct Message {
    correlation_id: Option<String>,
}

#[derive(Deserialize)]
struct Attribute {
    #[serde(rename = "stringValue")]
    value: Option<String>,
}

/// `correlation_id`, `x-correlation-id`, `correlationId`: the name's spelling does not matter.
fn names_it(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphabetic).collect();
    plain.eq_ignore_ascii_case("correlationid") || plain.eq_ignore_ascii_case("xcorrelationid")
}

/// From an HTTP event's header, else from the first queue message that has one in its attributes or its body, else
/// API Gateway's request id; none for other events and for what is not JSON.
pub(crate) fn of(payload: &[u8]) -> Option<String> {
    let peek: Peek = serde_json::from_slice(payload).ok()?;
    let header = peek.headers.into_iter().find(|(name, _)| names_it(name)).map(|(_, value)| value);
    let queued = || peek.records.into_iter().find_map(of_message);
    header.or_else(queued).or(peek.request_context.request_id)
}

fn of_message(record: Record) -> Option<String> {
    let attribute = record.attributes.into_iter().find(|(name, _)| names_it(name)).and_then(|(_, a)| a.value);
    attribute.or_else(|| serde_json::from_str::<Message>(&record.body?).ok()?.correlation_id)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_correlation_id_is_found_in_http_and_queue_events_only() {
        let of = |json: &str| super::of(json.as_bytes());
        let http = r#"{"headers":{"x-correlation-id":"c1"},"requestContext":{"requestId":"r1"}}"#;
        assert_eq!(of(http).as_deref(), Some("c1"));
        assert_eq!(of(r#"{"headers":{},"requestContext":{"requestId":"r1"}}"#).as_deref(), Some("r1"));
        let queue =
            r#"{"Records":[{"messageId":"m","messageAttributes":{"correlation_id":{"stringValue":"c2"}}}]}"#;
        assert_eq!(of(queue).as_deref(), Some("c2"));
        let body = r#"{"Records":[{"body":"text"},{"body":"{\"id\":1,\"correlation_id\":\"c3\"}"}]}"#;
        assert_eq!(of(body).as_deref(), Some("c3"));
        assert_eq!(of(r#"{"Records":[{"dynamodb":{}}]}"#), None);
        assert_eq!(of("[1]"), None);
        assert_eq!(of("not json"), None);
    }
}
