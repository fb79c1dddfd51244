//! What is not PayFast's, or does not fit, credits nothing: it is kept, and answered so that PayFast does the right thing next.

use local_parties::payfast::{MERCHANT_ID, PASSPHRASE, sign};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::{Begun, Till, begin, post};
use crate::support::{Answer, run};

/// A body that is signed with some passphrase, whatever it says.
fn signed(parameters: &str, passphrase: &str) -> String {
    format!("{parameters}&signature={}", sign(parameters, passphrase))
}

/// Nothing has come of anything.
async fn untouched(till: &Till, begun: &Begun) {
    assert_eq!(till.state(begun).await, "pending");
    assert_eq!(till.wallet().await.1, [] as [Value; 0]);
}

#[test]
fn what_is_not_signed_by_payfast_is_refused_and_kept() {
    run(async {
        let till = Till::open().await;
        let begun = begin(&till.payer, 1000).await;
        let good = till.stack.payfast().notification(&begun.id, "10.00", &[]);
        let (parameters, signature) = good.split_once("&signature=").unwrap();
        let refused = [
            (format!("{parameters}&signature={}", "0".repeat(32)), 401, "bad_signature"),
            (format!("{parameters}&signature={}", signature.to_uppercase()), 401, "bad_signature"),
            (good.replace("amount_gross=10.00", "amount_gross=10.01"), 401, "bad_signature"),
            (good.replace("COMPLETE", "COMPLETF"), 401, "bad_signature"),
            (good.replace("&amount_net=", ""), 401, "bad_signature"),
            (format!("x=&{good}"), 401, "bad_signature"),
            (signed(parameters, ""), 401, "bad_signature"),
            (signed(parameters, "another"), 401, "bad_signature"),
            (parameters.to_owned(), 400, "malformed"),
            (format!("{parameters}&signature="), 400, "malformed"),
            (format!("m_payment_id=1&{good}"), 400, "malformed"),
            (base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &good), 400, "malformed"),
            (json!({ "payment_status": "COMPLETE" }).to_string(), 400, "malformed"),
            (format!("{parameters}&x={}&signature={signature}", "x".repeat(400_000)), 413, "too_large"),
        ];
        for (body, status, kept) in refused {
            let shown = &body[..body.len().min(500)];
            let answer = till.notify(&body).await;
            assert_eq!(answer.status, status, "{shown}: {}", answer.text());
            let call = till.call(&body).await;
            assert_eq!((&call["status"], &call["size"]), (&json!(kept), &json!(body.len())), "{shown}");
        }
        assert_eq!(till.notify("").await.status, 400);
        // Longer than a Lambda event carries: no function of ours sees it.
        assert_eq!(till.notify(&format!("{parameters}&x={}", "x".repeat(6_500_000))).await.status, 413);
        untouched(&till, &begun).await;
        // A refused call cannot be replayed into an accepted one.
        let call = till.call(parameters).await;
        let path = format!("/v1/admin/inbound/{}/replay", call["id"].as_str().unwrap());
        till.support.post(&path, &Value::Null).await.problem(409, "wrong-state");
        // And the good one is good.
        assert_eq!(till.told(&good).await["status"], "applied");
        assert_eq!(till.available().await, 1000);
        assert_eq!(till.stack.payfast().confirmations(), 1, "nobody else's was asked about");
        till.close().await;
    });
}

#[test]
fn a_notification_from_outside_payfasts_networks_is_refused_whatever_its_headers_say() {
    run(async {
        let till = Till::open_with(|options| {
            options.env.insert("PAYFAST_SOURCES".into(), "197.97.145.144/28, 192.0.2.7".into());
        })
        .await;
        let begun = begin(&till.payer, 1000).await;
        let good = till.stack.payfast().notification(&begun.id, "10.00", &[]);
        let url = format!("{}/v1/payments/payfast/itn", till.stack.base_url());
        for (name, value) in [
            ("x-forwarded-for", "197.97.145.144"),
            ("forwarded", "for=197.97.145.144"),
            ("x-real-ip", "192.0.2.7"),
            ("referer", "https://www.payfast.co.za/"),
        ] {
            let request =
                Client::new().post(&url).header("content-type", "application/x-www-form-urlencoded");
            let answer = Answer::to(request.header(name, value).body(good.clone())).await;
            answer.problem(403, "forbidden");
        }
        let call = till.call(&good).await;
        assert_eq!((&call["status"], &call["source"]), (&json!("bad_signature"), &json!("127.0.0.1")));
        assert_eq!(call["reason"], "it comes from outside PayFast's networks");
        untouched(&till, &begun).await;
        till.close().await;
    });
}

#[test]
fn a_notification_that_does_not_fit_its_payment_is_taken_kept_for_people_and_credits_nothing() {
    run(async {
        let till = Till::open().await;
        let payfast = till.stack.payfast();
        let begun = begin(&till.payer, 1000).await;
        let amount = |text: &str| payfast.notification(&begun.id, text, &[]);
        let of = |id: &str| payfast.notification(id, "10.00", &[]);
        let with = |name: &str, value: &str| payfast.notification(&begun.id, "10.00", &[(name, value)]);
        let (off, form) =
            ("the amount is not the one that was asked", "amount_gross is missing or not of its form");
        let (unknown, theirs) = ("there is no such payment", "pf_payment_id is missing or not of its form");
        for (body, reason) in [
            (amount("10.01"), off),
            (amount("9.99"), off),
            (amount("0.00"), off),
            (amount("1000.00"), off),
            (amount("-10.00"), form),
            (amount("10"), form),
            (amount("10,00"), form),
            (amount("10.000"), form),
            (amount("1e1"), form),
            (amount("99999999999999999999.00"), form),
            (amount(""), form),
            (with("currency", "USD"), "the payment is in another currency"),
            (with("merchant_id", "10000101"), "the notification is for another merchant"),
            (with("merchant_id", ""), "the notification is for another merchant"),
            (with("pf_payment_id", ""), theirs),
            (with("pf_payment_id", "12x"), theirs),
            (of("pay_01j9z3k5m8n2p4q6r7s8t9v0wx"), unknown),
            (of(&begun.id.to_uppercase()), unknown),
            (of("usr_01j9z3k5m8n2p4q6r7s8t9v0wx"), unknown),
            (of(""), unknown),
        ] {
            let call = till.told(&body).await;
            assert_eq!((&call["status"], &call["reason"]), (&json!("failed"), &json!(reason)), "{body}");
        }
        assert_eq!(payfast.confirmations(), 0, "what does not fit is not asked about");
        untouched(&till, &begun).await;
        assert_eq!(till.told(&amount("10.00")).await["status"], "applied");
        assert_eq!((till.available().await, MERCHANT_ID), (1000, "10000100"));
        till.close().await;
    });
}

#[test]
fn a_call_that_is_no_form_or_no_post_gets_nowhere() {
    run(async {
        let till = Till::open().await;
        let url = format!("{}/v1/payments/payfast/itn", till.stack.base_url());
        // Without an API key, and with one: it makes no difference.
        let request = till.support.request(Method::POST, "/v1/payments/payfast/itn").body("a=1");
        till.support.send(request).await.problem(400, "invalid-body");
        till.payer.get("/v1/payments/payfast/itn").await.problem(405, "method-not-allowed");
        // The octets count and not what they are called.
        let begun = begin(&till.payer, 1000).await;
        let good = till.stack.payfast().notification(&begun.id, "10.00", &[]);
        let request = Client::new().post(&url).header("content-type", "text/plain").body(good.clone());
        assert_eq!(Answer::to(request).await.status, 200);
        assert_eq!(till.call(&good).await["status"], "applied");
        assert_eq!(post(&url, signed("a=1", PASSPHRASE)).await.status, 200);
        till.close().await;
    });
}
