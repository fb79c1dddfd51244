//! The way to PayFast and back.

use reqwest::Method;
use serde_json::json;

use super::{Begun, begin, form, post, status};
use crate::support::{App, run, stack, start};

const INITIATE: &str = "/v1/payments/payfast/initiate";

#[test]
fn a_payment_is_begun_with_a_form_that_payfast_takes_as_it_is_and_no_other() {
    run(async {
        let app = App::new().await;
        let answer = app.post(INITIATE, &json!({ "amount": 12_345 })).await;
        let begun = Begun::of(&answer.expect(201));
        let location = format!("/v1/payments/payfast/status?payment_id={}", begun.id);
        assert_eq!(answer.header("location"), Some(location.as_str()));
        let payment = answer.json()["payment"].clone();
        assert_eq!(
            (&payment["state"], &payment["amount"], &payment["currency"]),
            (&json!("pending"), &json!(12_345), &json!("ZAR"))
        );
        assert_eq!(status(&app, &begun.id).await.expect(200), payment);

        let names: Vec<&str> = begun.fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "merchant_id",
                "merchant_key",
                "return_url",
                "cancel_url",
                "notify_url",
                "m_payment_id",
                "amount",
                "item_name",
                "signature"
            ]
        );
        assert_eq!((begun.value("amount"), begun.value("m_payment_id")), ("123.45", begun.id.as_str()));
        assert_eq!(begun.value("notify_url"), format!("{}/v1/payments/payfast/itn", app.base_url));
        let page = begun.page().await;
        assert_eq!(page.status, 200, "{}", page.text());
        assert!(page.text().contains("R 123.45") && page.text().contains(&begun.id), "{}", page.text());
        // Whatever is changed, it is not what was signed.
        for at in 0..begun.fields.len() {
            let mut fields = begun.fields.clone();
            fields[at].1.push('1');
            assert_eq!(post(&begun.url, form(&fields)).await.status, 400, "{:?}", fields[at]);
            fields.remove(at);
            assert_eq!(post(&begun.url, form(&fields)).await.status, 400, "without {}", begun.fields[at].0);
        }
    });
}

#[test]
fn an_amount_out_of_bounds_or_of_another_kind_begins_nothing() {
    run(async {
        let app = App::new().await;
        for (body, pointer) in [
            (json!({}), "#"),
            (json!({ "amount": 0 }), "#/amount"),
            (json!({ "amount": 499 }), "#/amount"),
            (json!({ "amount": 5_000_001 }), "#/amount"),
            (json!({ "amount": u64::MAX }), "#/amount"),
            (json!({ "amount": -1000 }), "#/amount"),
            (json!({ "amount": 1000.5 }), "#/amount"),
            (json!({ "amount": 1e20 }), "#/amount"),
            (json!({ "amount": "10.00" }), "#/amount"),
            (json!({ "amount": null }), "#/amount"),
            (json!({ "amount": 1000, "currency": "USD" }), "#/currency"),
            (json!({ "amount": 1000, "currency": "zar" }), "#/currency"),
            (json!({ "amount": 1000, "currency": "" }), "#/currency"),
            (json!({ "amount": 1000, "user": "usr_01j9z3k5m8n2p4q6r7s8t9v0wx" }), "#/user"),
        ] {
            let problem = app.post(INITIATE, &body).await.problem(400, "invalid-body");
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}: {problem}");
        }
        for fine in [json!({ "amount": 500 }), json!({ "amount": 5_000_000, "currency": "ZAR" })] {
            app.post(INITIATE, &fine).await.expect(201);
        }
    });
}

#[test]
fn a_repeat_with_its_key_is_the_same_payment() {
    run(async {
        let app = App::new().await;
        let first = app.post_once(INITIATE, "a-payment", &json!({ "amount": 1000 })).await;
        let again = app.post_once(INITIATE, "a-payment", &json!({ "amount": 1000 })).await;
        assert_eq!((again.status, &again.body), (201, &first.body));
        app.post_once(INITIATE, "a-payment", &json!({ "amount": 1001 }))
            .await
            .problem(422, "idempotency-key-reused");
        let other = begin(&app, 1000).await;
        assert_ne!(other.id, Begun::of(&first.json()).id);
    });
}

#[test]
fn a_payment_is_its_payers_alone() {
    run(async {
        let (app, other) = (App::new().await, App::new().await);
        let begun = begin(&app, 1000).await;
        status(&other, &begun.id).await.problem(404, "not-found");
        for id in [
            "",
            "nothing",
            "pay_01j9z3k5m8n2p4q6r7s8t9v0wx",
            "pay_01J9Z3K5M8N2P4Q6R7S8T9V0WX",
            "tsk_01j9z3k5m8n2p4q6r7s8t9v0wx",
        ] {
            status(&app, id).await.problem(404, "not-found");
        }
        app.get("/v1/payments/payfast/status").await.problem(400, "invalid-query");
        app.get(&format!("/v1/payments/payfast/status?payment_id={}&workspace=1", begun.id))
            .await
            .problem(400, "invalid-query");
    });
}

#[test]
fn a_payer_who_cancels_is_led_back_to_the_app_and_has_paid_nothing() {
    run(async {
        let app = App::new().await;
        let begun = begin(&app, 1000).await;
        let back = begun.leave(stack(), "cancel").await;
        assert_eq!(back, format!("{}/v1/payments/payfast/cancel?payment_id={}", app.base_url, begun.id));
        let page = app.send(app.elsewhere(Method::GET, &back)).await;
        assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
        assert!(
            page.text().contains(&format!("yummi://payments/payfast/cancel?payment_id={}", begun.id)),
            "{}",
            page.text()
        );
        assert_eq!(status(&app, &begun.id).await.expect(200)["state"], "pending");
    });
}

#[test]
fn the_pages_for_coming_back_show_nothing_of_what_they_are_asked() {
    run(async {
        let app = App::new().await;
        for way in ["return", "cancel"] {
            let plain = app.send(app.anonymous(Method::GET, &format!("/v1/payments/payfast/{way}"))).await;
            assert_eq!(plain.status, 200);
            for hostile in [
                "payment_id=%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E",
                "payment_id=javascript%3Aalert(1)",
                "payment_id=pay_01j9z3k5m8n2p4q6r7s8t9v0wx%22onload=",
                "payment_id=PAY_01j9z3k5m8n2p4q6r7s8t9v0wx",
                "payment_id=%00&x=%3Cb%3E",
                "payment_id=",
                "",
            ] {
                let answer = app
                    .send(app.anonymous(Method::GET, &format!("/v1/payments/payfast/{way}?{hostile}")))
                    .await;
                assert_eq!((answer.status, &answer.body), (200, &plain.body), "{hostile}");
            }
            let policy = plain.header("content-security-policy").unwrap();
            assert!(
                policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"),
                "{policy}"
            );
            assert_eq!(plain.header("x-frame-options"), Some("DENY"));
        }
    });
}

#[test]
fn nothing_is_begun_where_there_is_no_account_at_payfast() {
    run(async {
        let stack = start(|options| {
            options.env.insert("PAYFAST_MERCHANT_ID".into(), String::new());
        })
        .await;
        let app = App::on(&stack, &[account::Scope::Credits]).await;
        app.post(INITIATE, &json!({ "amount": 1000 })).await.problem(404, "not-found");
        stack.stop().await;
    });
}
