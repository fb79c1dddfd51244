//! PayFast's server has the last word; where it has none, it is asked again.

use local_parties::payfast::{Confirming, PASSPHRASE, sign};
use serde_json::{Value, json};

use super::{Till, begin};
use crate::support::{run, until};

#[test]
fn a_notification_that_payfast_calls_invalid_credits_nothing_until_it_is_confirmed() {
    run(async {
        let till = Till::open().await;
        let payfast = till.stack.payfast();
        let begun = begin(&till.payer, 1000).await;
        let good = payfast.notification(&begun.id, "10.00", &[]);
        payfast.confirm(Confirming::Says("INVALID".into()));
        let call = till.told(&good).await;
        assert_eq!(
            (&call["status"], &call["reason"]),
            (&json!("failed"), &json!("PayFast says that it is not its own"))
        );
        assert_eq!((till.available().await, till.state(&begun).await), (0, json!("pending")));
        // Somebody who has the passphrase, and is not PayFast.
        payfast.confirm(Confirming::Truth);
        let forged = good.split_once("&signature=").unwrap().0.replace("amount_fee=-2.30", "amount_fee=0.00");
        let forged = format!("{forged}&signature={}", sign(&forged, PASSPHRASE));
        assert_eq!(till.told(&forged).await["status"], "failed");
        assert_eq!((till.available().await, payfast.confirmations()), (0, 2));
        // Looked at again by people.
        let path = format!("/v1/admin/inbound/{}/replay", call["id"].as_str().unwrap());
        till.support.post(&path, &Value::Null).await.expect(202);
        until("the payment", || async { (till.state(&begun).await == "complete").then_some(()) }).await;
        assert_eq!((till.available().await, &till.call(&good).await["status"]), (1000, &json!("applied")));
        till.close().await;
    });
}

#[test]
fn a_confirmation_that_fails_is_no_refusal_and_is_asked_for_again() {
    run(async {
        let till = Till::open().await;
        let payfast = till.stack.payfast();
        for confirming in [
            Confirming::Fails(500),
            Confirming::Fails(404),
            Confirming::Says("<html>Please wait</html>".into()),
            Confirming::Says("VALID INVALID".into()),
            Confirming::Says("x".repeat(10_000)),
            Confirming::Hangs,
        ] {
            payfast.confirm(confirming.clone());
            let (asked, had) = (payfast.confirmations(), till.available().await);
            let begun = begin(&till.payer, 1000).await;
            let good = payfast.notification(&begun.id, "10.00", &[]);
            assert_eq!(till.notify(&good).await.status, 200, "PayFast has done its part");
            until("the question", || async { (payfast.confirmations() > asked).then_some(()) }).await;
            assert_eq!(
                (till.available().await, till.state(&begun).await),
                (had, json!("pending")),
                "{confirming:?}"
            );
            payfast.confirm(Confirming::Says(" VALID\r\n".into()));
            assert_eq!(till.call(&good).await["status"], "applied", "{confirming:?}");
            assert_eq!((till.available().await, till.state(&begun).await), (had + 1000, json!("complete")));
            assert!(payfast.confirmations() >= asked + 2);
        }
        till.close().await;
    });
}
