//! What Paddle sends, as far as credits go: everything else in it is left alone.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

/// What every event has.
#[derive(Debug, Deserialize)]
pub(super) struct Head {
    pub event_id: String,
    pub event_type: String,
}

impl Head {
    /// The head of a body, if it is an event of Paddle's: ids are keys here, so they must look like ids.
    pub fn read(body: &[u8]) -> Option<Self> {
        let head: Self = serde_json::from_slice(body).ok()?;
        let id = head.event_id.strip_prefix("evt_")?;
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let kind = |b: u8| b.is_ascii_lowercase() || b"._".contains(&b);
        let fine = (1..=60).contains(&id.len())
            && plain(id)
            && (1..=100).contains(&head.event_type.len())
            && head.event_type.bytes().all(kind);
        fine.then_some(head)
    }
}

/// An event with its entity.
#[derive(Debug, Deserialize)]
pub(super) struct Event<'a> {
    pub event_id: String,
    pub event_type: String,
    pub occurred_at: Timestamp,
    #[serde(borrow)]
    pub data: &'a RawValue,
}

/// A transaction, as it was when it was completed.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Transaction {
    pub id: String,
    pub status: String,
    pub currency_code: Option<String>,
    pub origin: Option<String>,
    pub custom_data: Option<serde_json::Value>,
    pub items: Vec<Item>,
    pub details: Details,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Item {
    pub price: PriceRef,
    pub quantity: i64,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct PriceRef {
    pub id: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Details {
    pub totals: Totals,
    #[serde(default)]
    pub line_items: Vec<LineItem>,
}

/// Amounts are integers of the currency's minor unit, as strings.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Totals {
    pub grand_total: Option<String>,
    pub total: Option<String>,
    pub currency_code: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct LineItem {
    pub id: String,
    pub price_id: String,
    pub totals: Option<Totals>,
}

/// An adjustment, as it is after the event.
#[derive(Debug, Deserialize)]
pub(super) struct AdjustmentEntity {
    pub id: String,
    pub action: String,
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub transaction_id: String,
    pub status: String,
    pub currency_code: Option<String>,
    #[serde(default)]
    pub items: Vec<AdjustedItem>,
    pub totals: Option<Totals>,
}

#[derive(Debug, Deserialize)]
pub(super) struct AdjustedItem {
    pub item_id: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub amount: Option<String>,
    pub totals: Option<Totals>,
}

/// The text of a member of `custom_data`.
pub(super) fn custom(data: Option<&serde_json::Value>, name: &str) -> Option<String> {
    Some(data?.get(name)?.as_str()?.to_owned())
}

/// An amount that is not below zero.
pub(super) fn amount(text: Option<&String>) -> Option<u64> {
    text?.parse().ok()
}

/// The line items of a transaction, by price; several of one price in their order.
pub(super) fn by_price(lines: Vec<LineItem>) -> BTreeMap<String, Vec<LineItem>> {
    let mut found: BTreeMap<String, Vec<LineItem>> = BTreeMap::new();
    for line in lines.into_iter().rev() {
        found.entry(line.price_id.clone()).or_default().push(line);
    }
    found
}
