//! The event item: a domain event stored beside its entity. The table's stream carries it to the dispatcher.

use jiff::SignedDuration;
use piecework_core::{DomainEvent, now};
use serde::Serialize;

#[derive(Serialize)]
struct EventItem<'a> {
    pk: String,
    sk: String,
    #[serde(rename = "type")]
    kind: &'static str,
    event: &'a DomainEvent,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
}

/// How long an event is kept that no timeline needs.
const PASSING: SignedDuration = SignedDuration::from_hours(24);

/// The item that keeps `event` in the partition `pk` of its entity: sort key `EVENT#<id>`, so that a timeline is one query.
pub fn event_item<'a>(pk: &str, event: &'a DomainEvent) -> impl Serialize + use<'a> {
    EventItem { pk: pk.to_owned(), sk: format!("EVENT#{}", event.id), kind: "event", event, expires_at: None }
}

/// The same for an event between processors, which nobody looks up later: it goes within a day by itself.
pub fn passing_event_item<'a>(pk: &str, event: &'a DomainEvent) -> impl Serialize + use<'a> {
    let expires_at = Some((now() + PASSING).as_second());
    EventItem { pk: pk.to_owned(), sk: format!("EVENT#{}", event.id), kind: "event", event, expires_at }
}
