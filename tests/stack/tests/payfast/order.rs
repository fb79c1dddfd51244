//! What is paid is credited once, whatever PayFast sends, however often and in whatever order.

use std::collections::BTreeSet;

use futures::future::join_all;
use itertools::Itertools as _;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Begun, Till, begin};
use crate::{
    chaos::outcome::settled,
    support::{Operator, run, until},
};

async fn complete(till: &Till, begun: &Begun) {
    until("the payment", || async { (till.state(begun).await == "complete").then_some(()) }).await;
}

#[test]
fn a_payer_pays_on_the_page_and_has_the_money_in_the_wallet() {
    run(async {
        let till = Till::open().await;
        assert_eq!(till.wallet().await.1, [] as [Value; 0]);
        let begun = begin(&till.payer, 12_345).await;
        let back = begun.leave(&till.stack, "pay").await;
        assert_eq!(
            back,
            format!("{}/v1/payments/payfast/return?payment_id={}", till.stack.base_url(), begun.id)
        );
        let page = till.payer.send(till.payer.elsewhere(Method::GET, &back)).await;
        assert!(
            page.text().contains(&format!("yummi://payments/payfast/return?payment_id={}", begun.id)),
            "{}",
            page.text()
        );
        complete(&till, &begun).await;

        let (balance, entries) = till.wallet().await;
        let expected = json!({ "granted": 12_345, "available": 12_345, "held": 0, "spent": 0, "clawed": 0, "expired": 0 });
        assert_eq!(balance, expected);
        assert_eq!(entries.len(), 1);
        assert_eq!((&entries[0]["kind"], &entries[0]["reference"]), (&json!("grant"), &json!(begun.id)));
        let sent = till.stack.payfast().deliveries();
        assert_eq!((sent.len(), &sent[0].answers), (1, &vec![Some(200)]), "{sent:?}");
        assert_eq!(till.call(&sent[0].body).await["status"], "applied");
        assert_eq!(till.stack.payfast().confirmations(), 1);
        let operator = Operator::of(&till.stack);
        let table = till.stack.table("BillingTable").unwrap();
        let events = operator.events(table, &format!("PAYMENT#{}", begun.id)).await;
        assert_eq!(events, ["billing.payment.begun", "billing.payment.completed"]);
        // The credits of the workspace are another book.
        assert_eq!(till.payer.balance().await["available"], 10_000);
        till.close().await;
    });
}

#[test]
fn the_stand_in_says_it_in_many_ways_and_each_payment_is_credited_once() {
    run(async {
        let till = Till::open().await;
        let ways: [&[&str]; 5] = [
            &["PENDING", "COMPLETE"],
            &["COMPLETE", "COMPLETE", "COMPLETE"],
            &["COMPLETE", "PENDING", "FAILED", "CANCELLED"],
            &["FAILED", "COMPLETE", "FAILED"],
            &["REVERSED_BY_ALIENS", "COMPLETE"],
        ];
        for (paid, ways) in (1..).zip(ways) {
            till.stack.payfast().say(ways);
            let begun = begin(&till.payer, 1000).await;
            begun.leave(&till.stack, "pay").await;
            complete(&till, &begun).await;
            settled(&till.payer).await;
            assert_eq!(
                (till.available().await, till.state(&begun).await),
                (paid * 1000, json!("complete")),
                "{ways:?}"
            );
        }
        for (says, state) in
            [("PENDING", "pending"), ("FAILED", "failed"), ("CANCELLED", "cancelled"), ("NEW", "pending")]
        {
            till.stack.payfast().say(&[says]);
            let begun = begin(&till.payer, 1000).await;
            begun.leave(&till.stack, "pay").await;
            let sent = till.stack.payfast().deliveries().pop().unwrap();
            let outcome = till.call(&sent.body).await["status"].clone();
            assert_eq!(
                (till.state(&begun).await, outcome),
                (json!(state), json!(if says == "NEW" { "ignored" } else { "applied" }))
            );
        }
        assert_eq!(till.available().await, 5000);
        till.close().await;
    });
}

#[test]
fn every_order_of_a_payments_notifications_ends_the_same() {
    run(async {
        let till = Till::open().await;
        let payfast = till.stack.payfast();
        let orders: Vec<_> = (0..4).permutations(4).collect();
        assert_eq!(orders.len(), 24);
        let one = |order: Vec<usize>| {
            let till = &till;
            async move {
                let begun = begin(&till.payer, 1000).await;
                // Two tries at PayFast: one failed and one went through; and the second of them said twice.
                let failed = [("pf_payment_id", "1"), ("payment_status", "FAILED")];
                let pending = [("pf_payment_id", "2"), ("payment_status", "PENDING")];
                let complete = [("pf_payment_id", "2")];
                let bodies = [&failed[..], &pending[..], &complete[..], &complete[..]]
                    .map(|changes| payfast.notification(&begun.id, "10.00", changes));
                // One after the other, each acted on before the next comes.
                for at in &order {
                    assert_eq!(till.told(&bodies[*at]).await["status"], "applied", "{order:?}");
                }
                assert_eq!(till.state(&begun).await, "complete", "{order:?}");
            }
        };
        for some in orders.chunks(6) {
            join_all(some.iter().cloned().map(one)).await;
        }
        let (balance, entries) = till.wallet().await;
        assert_eq!((&balance["available"], entries.len()), (&json!(24_000), 24));
        let credited: BTreeSet<&str> = entries.iter().map(|e| e["reference"].as_str().unwrap()).collect();
        assert_eq!(credited.len(), 24);
        till.close().await;
    });
}

#[test]
fn a_payment_that_is_paid_twice_is_credited_once_and_people_are_told() {
    run(async {
        let till = Till::open().await;
        let begun = begin(&till.payer, 1000).await;
        let bodies = ["71", "72"]
            .map(|id| till.stack.payfast().notification(&begun.id, "10.00", &[("pf_payment_id", id)]));
        // At once, ten times each.
        let posts = (0..20).map(|at| till.notify(&bodies[at % 2]));
        for answer in join_all(posts).await {
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        let outcomes = [till.call(&bodies[0]).await, till.call(&bodies[1]).await];
        let of: BTreeSet<&str> = outcomes.iter().map(|call| call["status"].as_str().unwrap()).collect();
        assert_eq!(of, ["applied", "failed"].into(), "{outcomes:?}");
        let second = outcomes.iter().find(|call| call["status"] == "failed").unwrap();
        assert_eq!(second["reason"], "the payment was paid before, under another id of PayFast's");
        settled(&till.payer).await;
        assert_eq!((till.available().await, till.state(&begun).await), (1000, json!("complete")));
        let table = till.stack.table("BillingTable").unwrap();
        let events = Operator::of(&till.stack).events(table, &format!("PAYMENT#{}", begun.id)).await;
        assert_eq!(
            events.iter().filter(|kind| *kind == "billing.payment.paid_again").count(),
            1,
            "{events:?}"
        );
        till.close().await;
    });
}

#[test]
fn everything_replayed_changes_nothing() {
    run(async {
        let till = Till::open().await;
        let payfast = till.stack.payfast();
        let paid = begin(&till.payer, 1000).await;
        let failed = begin(&till.payer, 2000).await;
        let amount = begin(&till.payer, 3000).await;
        for body in [
            payfast.notification(&paid.id, "10.00", &[("payment_status", "PENDING"), ("pf_payment_id", "1")]),
            payfast.notification(&paid.id, "10.00", &[("pf_payment_id", "1")]),
            payfast.notification(&paid.id, "10.00", &[("pf_payment_id", "2")]),
            payfast.notification(&failed.id, "20.00", &[("payment_status", "FAILED")]),
            payfast.notification(&amount.id, "29.99", &[]),
            payfast.notification("pay_01j9z3k5m8n2p4q6r7s8t9v0wx", "10.00", &[]),
            payfast.notification(&amount.id, "30.00", &[("payment_status", "ELSE")]),
        ] {
            till.told(&body).await;
        }
        let everything = async || {
            settled(&till.payer).await;
            let calls = till.calls().await;
            let states = [till.state(&paid).await, till.state(&failed).await, till.state(&amount).await];
            (calls, till.wallet().await, states)
        };
        let before = everything().await;
        assert_eq!((before.0.len(), till.available().await), (7, 1000));
        // Each is looked up, and the payment that it is about.
        let looked = || {
            let calls = till.stack.gate().calls();
            calls
                .iter()
                .filter(|c| c.function == "billing-apply-itn" && c.operation.ends_with("Query"))
                .count()
        };
        for _ in 0..2 {
            let had = looked();
            for call in &before.0 {
                let path = format!("/v1/admin/inbound/{}/replay", call["id"].as_str().unwrap());
                till.support.post(&path, &Value::Null).await.expect(202);
            }
            until("the replay", || async { (looked() >= had + 2 * before.0.len()).then_some(()) }).await;
            assert_eq!(everything().await, before);
        }
        till.close().await;
    });
}
