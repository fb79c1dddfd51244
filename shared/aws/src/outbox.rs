//! The event item: a domain event stored beside its entity. The table's stream carries it to the dispatcher.

use piecework_core::DomainEvent;
use serde::Serialize;

#[derive(Serialize)]
struct EventItem<'a> {
    pk: String,
    sk: String,
    #[serde(rename = "type")]
    kind: &'static str,
    event: &'a DomainEvent,
}

/// The item that keeps `event` in the partition `pk` of its entity: sort key `EVENT#<id>`, so that a timeline is one query.
pub fn event_item<'a>(pk: &str, event: &'a DomainEvent) -> impl Serialize + use<'a> {
    EventItem { pk: pk.to_owned(), sk: format!("EVENT#{}", event.id), kind: "event", event }
}
