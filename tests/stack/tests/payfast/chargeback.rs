//! A payer's bank takes a payment back: the wallet may go below zero, pays for nothing then, and all of it is told (S6).

use aws::Transaction;
use billing::{Book, Error};
use piecework_core::{Currency, UserId};
use serde_json::{Value, json};

use super::{Begun, Till, begin};
use crate::{
    chaos::outcome::settled,
    support::{Answer, Operator, run},
};

/// Who pays.
async fn user(till: &Till) -> UserId {
    // A key's user is who it says in `/v1/me`.
    let me = till.payer.get("/v1/me").await.expect(200);
    me["id"].as_str().unwrap().parse().unwrap()
}

/// Spends from the payer's wallet, as an order would.
async fn spend(till: &Till, cents: u64) -> Result<(), Error> {
    let operator = Operator::of(&till.stack);
    let billing = operator.accounts.billing();
    let book = Book::wallet(user(till).await, Currency::ZAR, till.payer.workspace);
    let plan = billing.plan(&book, cents).await?;
    let mut transaction = Transaction::new();
    billing.charge_in(&mut transaction, &plan, "an order");
    transaction.commit().await.unwrap();
    Ok(())
}

async fn paid(till: &Till, cents: u64, amount: &str) -> (Begun, String) {
    let begun = begin(&till.payer, cents).await;
    let body = till.stack.payfast().notification(&begun.id, amount, &[]);
    assert_eq!(till.told(&body).await["status"], "applied");
    (begun, body)
}

fn path(begun: &Begun, what: &str) -> String {
    format!("/v1/admin/payments/payfast/{}/{what}", begun.id)
}

async fn claim(till: &Till, begun: &Begun, what: &str) -> Answer {
    till.support.post(&path(begun, what), &json!({ "reason": "case 4711" })).await
}

const BACK: &str = "chargeback/reversal";

#[test]
fn a_chargeback_takes_all_blocks_what_is_owed_and_can_be_reversed() {
    run(async {
        let till = Till::open_with(|_| {}).await;
        let (first, body) = paid(&till, 10_000, "100.00").await;
        spend(&till, 7_000).await.unwrap();
        let (second, _) = paid(&till, 2_000, "20.00").await;

        let done = claim(&till, &first, "chargeback").await.expect(200);
        assert_eq!(
            (&done["payment"]["state"], &done["taken_back"], &done["owed"]),
            (&json!("charged_back"), &json!(10_000), &json!(7_000))
        );
        assert_eq!(till.state(&first).await, "charged_back");
        let (balance, entries) = till.wallet().await;
        assert_eq!(
            (&balance["available"], &balance["clawed"], &balance["spent"]),
            (&json!(-5_000), &json!(10_000), &json!(7_000))
        );
        assert_eq!((&entries[0]["kind"], &entries[0]["amount"]), (&json!("chargeback"), &json!(10_000)));
        // Also the lot of the second payment pays for nothing while the first is owed.
        for cents in [1, 2_000] {
            assert!(matches!(spend(&till, cents).await, Err(Error::Insufficient { available: 0, .. })));
        }
        // What is said again of the payment does not bring the money back.
        assert_eq!(till.notify(&body).await.status, 200);
        let again = till.stack.payfast().notification(&first.id, "100.00", &[]);
        assert_eq!(till.told(&again).await["status"], "failed");
        settled(&till.payer).await;
        assert_eq!(till.available().await, -5_000);
        assert_eq!(
            claim(&till, &first, "chargeback").await.problem(409, "wrong-state")["state"],
            "charged_back"
        );

        let done = claim(&till, &first, BACK).await.expect(200);
        assert_eq!(
            (&done["payment"]["state"], &done["taken_back"], &done["owed"]),
            (&json!("complete"), &json!(0), &json!(0))
        );
        let (balance, entries) = till.wallet().await;
        assert_eq!((&balance["available"], &balance["clawed"]), (&json!(5_000), &json!(0)));
        assert_eq!(entries[0]["kind"], "give_back");
        claim(&till, &first, BACK).await.problem(409, "wrong-state");
        spend(&till, 5_000).await.unwrap();
        assert_eq!(till.available().await, 0);
        assert_eq!(till.state(&second).await, "complete");

        let operator = Operator::of(&till.stack);
        let table = till.stack.table("BillingTable").unwrap();
        let events = operator.events(table, &format!("PAYMENT#{}", first.id)).await;
        assert_eq!(
            events,
            [
                "billing.payment.begun",
                "billing.payment.completed",
                "billing.payment.charged_back",
                "billing.payment.paid_again",
                "billing.payment.chargeback_reversed"
            ]
        );
        till.close().await;
    });
}

#[test]
fn a_chargeback_is_done_once_by_its_key_and_only_to_what_was_paid() {
    run(async {
        let till = Till::open().await;
        let (begun, _) = paid(&till, 1_000, "10.00").await;
        let open = begin(&till.payer, 1_000).await;
        for what in ["chargeback", BACK] {
            assert_eq!(claim(&till, &open, what).await.problem(409, "wrong-state")["state"], "pending");
            for id in ["pay_01j9z3k5m8n2p4q6r7s8t9v0wx", "nothing"] {
                let path = format!("/v1/admin/payments/payfast/{id}/{what}");
                till.support.post(&path, &json!({ "reason": "x" })).await.problem(404, "not-found");
            }
            for reason in [json!(""), json!("x".repeat(201)), json!("a\u{7}"), Value::Null, json!(7)] {
                let answer = till.support.post(&path(&begun, what), &json!({ "reason": reason })).await;
                assert_eq!(answer.problem(400, "invalid-body")["errors"][0]["pointer"], "#/reason");
            }
            till.payer.post(&path(&begun, what), &json!({ "reason": "x" })).await.problem(403, "forbidden");
        }
        assert_eq!(till.available().await, 1_000);
        let (path, body) = (path(&begun, "chargeback"), json!({ "reason": "case 1" }));
        let first = till.support.post_once(&path, "a-chargeback", &body).await;
        let again = till.support.post_once(&path, "a-chargeback", &body).await;
        assert_eq!((first.status, again.status, &first.body), (200, 200, &again.body));
        till.support
            .post_once(&path, "a-chargeback", &json!({ "reason": "case 2" }))
            .await
            .problem(422, "idempotency-key-reused");
        assert_eq!((till.available().await, till.wallet().await.1.len()), (0, 2));
        till.close().await;
    });
}
