//! The join: whatever is said in whatever order, one end.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    deal::{Adjustment, Deal, Sale, Unfit},
    event::{AdjustmentEntity, Head, Transaction},
    prices::Prices,
};
use crate::Clawback;

const BUYER: &str = "wsp_01j9z3k5m8n2p4q6r7s8t9v0wx";

fn prices() -> Prices {
    let table = json!({ "pri_a": { "credits": 1_000, "name": "A" }, "pri_b": { "credits": 333, "expires_days": 30 } });
    let pairs = [("ENVIRONMENT", "dev".to_owned()), ("PADDLE_PRICES", table.to_string())];
    let settings = piecework_core::Settings::from_values(pairs.map(|(n, v)| (n.to_owned(), v)));
    Prices::new(&settings.unwrap()).unwrap()
}

/// Two of A for 20.00 and one of B for 5.00.
fn sold() -> Value {
    let line = |id: &str, price: &str, cents: &str| json!({ "id": id, "price_id": price, "totals": { "total": cents } });
    json!({
        "id": "txn_1", "status": "completed", "currency_code": "USD", "custom_data": { "workspace": BUYER },
        "items": [{ "price": { "id": "pri_a" }, "quantity": 2 }, { "price": { "id": "pri_b" }, "quantity": 1 }],
        "details": { "totals": { "total": "2500", "grand_total": "2500", "currency_code": "USD" },
            "line_items": [line("txnitm_a", "pri_a", "2000"), line("txnitm_b", "pri_b", "500")] },
    })
}

fn sale(transaction: &Value) -> Result<Sale, Unfit> {
    let transaction: Transaction = serde_json::from_value(transaction.clone()).unwrap();
    Sale::read(transaction, None, &prices(), "2026-11-20T10:00:00Z".parse().unwrap())
}

/// What is said of an adjustment at a second.
fn said(id: &str, action: &str, status: &str, items: &Value, second: u8) -> (String, Adjustment) {
    let entity = json!({ "id": id, "action": action, "type": "partial", "status": status, "transaction_id": "txn_1",
        "currency_code": "USD", "items": items, "totals": { "total": "0" } });
    let entity: AdjustmentEntity = serde_json::from_value(entity).unwrap();
    let at = format!("2026-11-20T10:00:{second:02}.000001Z").parse().unwrap();
    (id.to_owned(), Adjustment::read(&entity, at, &format!("evt_{id}{second}")).unwrap().unwrap())
}

fn part(line: &str, cents: u64) -> Value {
    json!({ "item_id": line, "type": "partial", "amount": cents.to_string() })
}

fn full(line: &str) -> Value {
    json!({ "item_id": line, "type": "full", "amount": null })
}

fn asked(all: &[(String, Adjustment)]) -> Clawback {
    let mut deal = Deal::new("txn_1".to_owned());
    deal.merge_sale(sale(&sold()).unwrap());
    for (id, said) in all {
        deal.merge_adjustment(id, said.clone());
    }
    deal.asked()
}

#[test]
fn a_sale_is_read_by_the_price_table_line_by_line() {
    let sale = sale(&sold()).unwrap();
    assert_eq!((sale.credits(), sale.name.as_str()), (2_333, "2 × A, 333 credits"));
    assert_eq!(sale.expires_at.unwrap().to_string(), "2026-12-20T10:00:00Z");
    assert_eq!(
        sale.lines.iter().map(|l| (l.credits, l.total)).collect::<Vec<_>>(),
        [(2_000, Some(2_000)), (333, Some(500))]
    );
    // Without line items, as in the reference's own example, nothing is known of lines but their credits.
    let mut bare = sold();
    bare["details"].as_object_mut().unwrap().remove("line_items");
    assert_eq!(self::sale(&bare).unwrap().lines[0].item, None);
    let mut absurd = sold();
    absurd["items"] = json!(vec![json!({ "price": { "id": "pri_a" }, "quantity": 1_000_000 }); 1_001]);
    assert_eq!(self::sale(&absurd), Err(Unfit::TooMuch));
}

#[test]
fn a_part_of_the_price_is_that_part_of_the_credits_rounded_down_once_for_all() {
    let b = |id: &str, cents| said(id, "refund", "approved", &json!([part("txnitm_b", cents)]), 1);
    assert_eq!(asked(&[b("adj_1", 1)]).refund, 0, "0.666 of a credit");
    assert_eq!(asked(&[b("adj_1", 1), b("adj_2", 1)]).refund, 1, "1.332 credits");
    assert_eq!(asked(&[b("adj_1", 250), b("adj_2", 249)]).refund, 332);
    assert_eq!(asked(&[b("adj_1", 250), b("adj_2", 250)]).refund, 333);
    assert_eq!(asked(&[b("adj_1", 400), b("adj_2", 400)]).refund, 333, "never more than was bought");
    let both = json!([part("txnitm_a", 1_000), full("txnitm_b")]);
    assert_eq!(asked(&[said("adj_1", "refund", "approved", &both, 1)]).refund, 1_333);
    let tax = json!([{ "item_id": "txnitm_a", "type": "tax", "amount": "300" }]);
    assert_eq!(asked(&[said("adj_1", "refund", "approved", &tax, 1)]).refund, 0);
    // A line that the sale does not name counts by its part of the whole price.
    let stranger = json!([part("txnitm_x", 1_250)]);
    assert_eq!(asked(&[said("adj_1", "refund", "approved", &stranger, 1)]).refund, 1_000 + 166);
}

#[test]
fn of_a_chargeback_that_was_reversed_another_may_be_left() {
    let all = json!([full("txnitm_a"), full("txnitm_b")]);
    let first = said("adj_1", "chargeback", "approved", &all, 1);
    let reversed = said("adj_1", "chargeback", "reversed", &all, 2);
    let reverse = said("adj_2", "chargeback_reverse", "approved", &all, 3);
    let second = said("adj_3", "chargeback", "approved", &all, 4);
    let of = |all: &[&(String, Adjustment)]| {
        asked(&all.iter().map(|a| (*a).clone()).collect::<Vec<_>>()).chargeback
    };
    assert_eq!(of(&[&first]), 2_333);
    assert_eq!(of(&[&first, &reversed]), 0);
    assert_eq!(of(&[&first, &reverse]), 0, "said by an adjustment of its own");
    assert_eq!(of(&[&first, &reversed, &reverse]), 0, "said twice");
    assert_eq!(of(&[&first, &reversed, &reverse, &second]), 2_333);
    assert_eq!(of(&[&reverse]), 0);
}

#[test]
fn a_head_must_look_like_an_event_of_paddles() {
    let head = |id: &str, kind: &str| {
        Head::read(json!({ "event_id": id, "event_type": kind }).to_string().as_bytes())
    };
    assert!(head("evt_01hv8x29kz0t586xy6zn1a62ny", "transaction.completed").is_some());
    for (id, kind) in [
        ("", "a.b"),
        ("evt_", "a.b"),
        ("evt_A", "a.b"),
        ("evt_a#b", "a.b"),
        ("txn_a", "a.b"),
        ("evt_a", ""),
        ("evt_a", "A b"),
    ] {
        assert!(head(id, kind).is_none(), "{id} {kind}");
    }
    assert!(Head::read(b"[]").is_none() && Head::read(b"").is_none());
}

proptest! {
    #[test]
    fn merging_forgets_the_order_and_the_repeats(
        words in prop::collection::vec((0u8..4, 0usize..3, 0usize..4, 0u64..2_600, 0u8..30), 1..9),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..24), first in any::<prop::sample::Index>(),
    ) {
        let words: Vec<_> = words.iter().enumerate().map(|(at, (id, action, status, cents, second))| {
            let action = ["refund", "chargeback", "chargeback_reverse"][*action];
            let status = ["pending_approval", "approved", "rejected", "reversed"][*status];
            let items = json!([part("txnitm_a", *cents), part("txnitm_b", cents / 5)]);
            // Paddle does not say two things at once.
            said(&format!("adj_{id}"), action, status, &items, second / 10 * 10 + u8::try_from(at).unwrap())
        }).collect();
        let sale = sale(&sold()).unwrap();
        let mut straight = Deal::new("txn_1".to_owned());
        straight.merge_sale(sale.clone());
        words.iter().for_each(|(id, said)| straight.merge_adjustment(id, said.clone()));
        let mut shuffled = Deal::new("txn_1".to_owned());
        let mut walk: Vec<usize> = order.iter().map(|at| at.index(words.len())).collect();
        walk.extend((0..words.len()).rev());
        let sold_at = first.index(walk.len());
        for (step, at) in walk.into_iter().enumerate() {
            if step == sold_at {
                shuffled.merge_sale(sale.clone());
            }
            shuffled.merge_adjustment(&words[at].0, words[at].1.clone());
        }
        prop_assert_eq!(&straight, &shuffled);
        let asked = straight.asked();
        prop_assert!(asked.refund + asked.chargeback <= sale.credits());
    }
}
