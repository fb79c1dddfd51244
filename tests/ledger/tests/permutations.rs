//! Every order and repeat of what Paddle says of a purchase: one end, in answers and tables.

use std::collections::BTreeMap;

use futures::{StreamExt as _, stream};
use itertools::Itertools as _;
use ledger_tests::{Action, Adjustment, History, Line, Purchase, Said, Step, Word, check, text};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    driver::{Driver, run},
    paddle::event,
};

/// How many at a time.
const AT_ONCE: usize = 12;

fn adjustment(action: Action, credits: u64, words: &[Word], reversal: bool) -> Adjustment {
    Adjustment { action, parts: vec![(0, credits)], words: words.to_vec(), reversal }
}

/// What is said of a purchase, one after the other and each twice, and all of it again.
fn history(number: usize, purchase: &Purchase, order: &[Said]) -> History {
    let again = order.iter().chain(order).chain(order.iter().rev());
    let mut heard: Vec<Said> = Vec::new();
    for (at, said) in again.enumerate() {
        // The first time each of them stands beside its repeat.
        heard.extend(std::iter::repeat_n(*said, if at < order.len() { 2 } else { 1 }));
    }
    let groups = heard.into_iter().map(|said| vec![Step::Hear(0, said)]).collect();
    History { seed: number as u64, start: 5, purchases: vec![purchase.clone()], groups }
}

/// Members that are times or ids of ours, which differ from one run to the next; and how often a record changed.
const DIFFERS: [&str; 10] =
    ["id", "pk", "sk", "lot", "granted_at", "occurred_at", "expires_at", "gsi1sk", "gsi2sk", "version"];

/// A row without what must differ, its members in order.
fn plain(value: &Value, play: &str, workspace: &str) -> Value {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<&String, &Value> =
                members.iter().filter(|(name, _)| !DIFFERS.contains(&name.as_str())).collect();
            let sorted = sorted.into_iter();
            sorted.map(|(name, value)| (name.replace(play, "PLAY"), plain(value, play, workspace))).collect()
        }
        Value::Array(list) => list.iter().map(|value| plain(value, play, workspace)).collect(),
        Value::String(text) if text.starts_with("usr_") => "USER".into(),
        Value::String(text) => text.replace(play, "PLAY").replace(workspace, "WORKSPACE").into(),
        other => other.clone(),
    }
}

/// Everything that the tables know of a purchase in the end: balance, lots, the join, and how each call ended. Entries and events
/// tell the way, and differ with it.
async fn end(driver: &Driver, history: &History) -> String {
    let evidence = driver.play(history, false).await.unwrap();
    let faults = check(history, &evidence);
    assert!(faults.is_empty(), "{:?}: {faults:#?}", history.groups);
    let transaction = &evidence.transactions[0];
    let play = transaction.trim_start_matches("txn_").to_owned();
    let mut rows: Vec<Value> = evidence.rows_at("BOOK#").cloned().collect();
    rows.extend(driver.tables.partition(&format!("PADDLE#{transaction}")).await);
    rows.extend(driver.tables.partition(&format!("GRANT#purchase#{transaction}")).await);
    for said in history.purchases[0].said() {
        let event = event(&play, said);
        for seen in driver.tables.partition(&format!("INBOUND#paddle#{event}")).await {
            let call = driver.tables.partition(&format!("INBOUND#{}", text(&seen, "call"))).await;
            rows.extend(
                call.iter()
                    .filter(|row| text(row, "sk") == "CALL")
                    .map(|call| json!([call["event_type"], call["status"], call["reason"]])),
            );
        }
    }
    let rows: Vec<Value> = rows.iter().map(|row| plain(row, &play, &evidence.workspace)).collect();
    assert!(rows.len() >= 5, "{rows:?}");
    Value::from(rows).to_string()
}

#[test]
fn every_order_and_repeat_of_a_purchases_events_ends_in_the_same_tables() {
    let line = Line { price: 0, quantity: 3 };
    let refund = || adjustment(Action::Refund, 5, &[Word::Pending, Word::Approved], false);
    let chargeback = || adjustment(Action::Chargeback, 9, &[Word::Approved, Word::Reversed], true);
    let (sale, asked, approved) = (Said::Completed, Said::Adjusted(0, 0), Said::Adjusted(0, 1));
    let sets: [(Vec<Adjustment>, Vec<Said>, i64); 4] = [
        (vec![refund()], vec![Said::Paid, sale, asked, approved], 5),
        (vec![chargeback()], vec![sale, asked, approved, Said::Reversal(0)], 0),
        (vec![refund(), chargeback()], vec![sale, asked, approved, Said::Adjusted(1, 0)], 12),
        (
            vec![refund(), chargeback()],
            vec![sale, approved, Said::Adjusted(1, 0), Said::Adjusted(1, 1), Said::Reversal(1)],
            5,
        ),
    ];
    run(async {
        let driver = Driver::start().await;
        for (adjustments, said, clawed) in sets {
            let purchase = Purchase { lines: vec![line], adjustments };
            let orders: Vec<Vec<Said>> = said.iter().copied().permutations(said.len()).collect();
            let played = stream::iter(orders.iter().enumerate()).map(|(number, order)| {
                let history = history(number, &purchase, order);
                let driver = &driver;
                async move { (order, end(driver, &history).await) }
            });
            let ends: Vec<_> = played.buffer_unordered(AT_ONCE).collect().await;
            assert!(ends[0].1.contains(&format!("\"clawed\":{clawed},")), "{}", ends[0].1);
            for (order, end) in &ends {
                assert_eq!(end, &ends[0].1, "{order:?} ends otherwise than {:?}", ends[0].0);
            }
            let hash: String =
                Sha256::digest(&ends[0].1).iter().map(|octet| format!("{octet:02x}")).collect();
            println!("{} orders of {said:?} end in {hash}", orders.len());
        }
        driver.stop().await;
    });
}
