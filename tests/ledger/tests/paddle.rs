//! What Paddle says, in its words (reference, section 4).

use jiff::{SignedDuration, Timestamp};
use ledger_tests::{Action, Adjustment, CENTS, PRICES, Purchase, Said, Word};
use serde_json::{Value, json};

/// The ids of what one purchase is about: alike in all that is said of it, and unlike any other's.
pub struct Names {
    stem: String,
    workspace: String,
    began: Timestamp,
}

impl Names {
    /// Of the purchase of this number; `play` is unlike any other.
    pub fn new(play: &str, number: usize, workspace: &str, expired: bool) -> Self {
        let ago = SignedDuration::from_hours(if expired { 24 * 60 } else { 24 });
        Self {
            stem: format!("{play}p{number}"),
            workspace: workspace.to_owned(),
            began: Timestamp::now() - ago,
        }
    }

    pub fn transaction(&self) -> String {
        format!("txn_{}", self.stem)
    }

    fn line(&self, number: usize) -> String {
        format!("txnitm_{}l{number}", self.stem)
    }

    /// The id of an event: the same however often it is sent.
    pub fn event(&self, said: Said) -> String {
        event(&self.stem, said)
    }

    /// What is said of a purchase, as it is sent.
    pub fn say(&self, purchase: &Purchase, said: Said) -> Value {
        let (kind, data) = match said {
            Said::Paid => ("transaction.paid", self.sale(purchase, "paid")),
            Said::Completed => ("transaction.completed", self.sale(purchase, "completed")),
            Said::Adjusted(at, word) => {
                let adjustment = &purchase.adjustments[at];
                let kind = if word == 0 { "adjustment.created" } else { "adjustment.updated" };
                let action = match adjustment.action {
                    Action::Refund => "refund",
                    Action::Chargeback => "chargeback",
                };
                let id = format!("adj_{}a{at}", self.stem);
                (kind, self.adjusted(purchase, adjustment, &id, action, adjustment.words[word]))
            }
            Said::Reversal(at) => {
                let id = format!("adj_{}r{at}", self.stem);
                let adjustment = &purchase.adjustments[at];
                let data = self.adjusted(purchase, adjustment, &id, "chargeback_reverse", Word::Approved);
                ("adjustment.created", data)
            }
        };
        let order = purchase.said().iter().position(|other| *other == said).unwrap_or_default();
        let at = self.began + SignedDuration::from_secs(i64::try_from(order).unwrap_or_default());
        json!({ "event_id": self.event(said), "event_type": kind, "occurred_at": at.to_string(),
            "notification_id": format!("ntf_{}{order}", self.stem), "data": data })
    }

    fn sale(&self, purchase: &Purchase, status: &str) -> Value {
        let lines = || purchase.lines.iter().enumerate();
        let items = lines().map(
            |(_, line)| json!({ "price": { "id": PRICES[line.price].0, "billing_cycle": null }, "quantity": line.quantity }),
        );
        let paid = lines().map(|(number, line)| {
            json!({ "id": self.line(number), "price_id": PRICES[line.price].0, "quantity": line.quantity,
                "totals": { "total": cents(line.credits()) } })
        });
        let total = cents(purchase.credits());
        json!({ "id": self.transaction(), "status": status, "origin": "web", "currency_code": "USD",
            "custom_data": { "workspace": self.workspace }, "items": items.collect::<Vec<_>>(),
            "details": { "totals": { "total": total, "grand_total": total, "currency_code": "USD" },
                "line_items": paid.collect::<Vec<_>>() } })
    }

    fn adjusted(
        &self,
        purchase: &Purchase,
        adjustment: &Adjustment,
        id: &str,
        action: &str,
        word: Word,
    ) -> Value {
        let status = match word {
            Word::Pending => "pending_approval",
            Word::Approved => "approved",
            Word::Rejected => "rejected",
            Word::Reversed => "reversed",
        };
        let full = adjustment.parts.is_empty();
        let items: Vec<Value> = match full {
            true => (0..purchase.lines.len())
                .map(|line| json!({ "item_id": self.line(line), "type": "full", "amount": null }))
                .collect(),
            false => adjustment
                .parts
                .iter()
                .map(|(line, credits)| {
                    json!({ "item_id": self.line(*line), "type": "partial", "amount": cents(*credits),
                        "totals": { "total": cents(*credits) } })
                })
                .collect(),
        };
        json!({ "id": id, "action": action, "type": if full { "full" } else { "partial" }, "status": status,
            "transaction_id": self.transaction(), "currency_code": "USD", "items": items })
    }
}

fn cents(credits: u64) -> String {
    (credits * CENTS).to_string()
}

/// The id of an event of the purchase whose ids have this stem.
pub fn event(stem: &str, said: Said) -> String {
    let what = match said {
        Said::Paid => "paid".to_owned(),
        Said::Completed => "completed".to_owned(),
        Said::Adjusted(adjustment, word) => format!("a{adjustment}w{word}"),
        Said::Reversal(adjustment) => format!("r{adjustment}"),
    };
    format!("evt_{}{what}", stem)
}
