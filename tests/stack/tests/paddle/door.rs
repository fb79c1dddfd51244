//! What must not get in, or get in and do nothing: each is answered with what makes Paddle do the right thing next, is kept, and
//! changes no balance.

use local_parties::{PADDLE_OLD_SECRET, PADDLE_PRICES, PADDLE_SECRET, Paddle};
use piecework_core::WorkspaceId;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Till, WEBHOOK};
use crate::support::{run, stack, start};

fn now() -> u64 {
    jiff::Timestamp::now().as_second().try_into().unwrap()
}

#[test]
fn only_what_paddle_signed_just_now_gets_in_and_the_rest_is_kept_with_the_reason() {
    run(async {
        let stack = start(|_| {}).await;
        let (begun, till) = (now(), Till::on(&stack).await);
        let transaction = stack.paddle().transaction(&[(PADDLE_PRICES[0].0, 1)], till.buyer());
        let completed = stack.paddle().pay(&transaction).remove(1);
        let body = completed.to_string();
        let good = Paddle::sign(PADDLE_SECRET, body.as_bytes());
        let before = till.app.balance().await;
        let mut changed = body.clone().into_bytes();
        let at = body.find("completed").unwrap();
        changed[at] = b'C';
        let stale = Paddle::sign_at(PADDLE_SECRET, now() - 400, body.as_bytes());
        let early = Paddle::sign_at(PADDLE_SECRET, now() + 400, body.as_bytes());
        let refused: [(&str, Vec<u8>, Option<String>, &str); 8] = [
            ("no signature", body.clone().into(), None, "bad_signature"),
            ("not a signature", body.clone().into(), Some("h1".to_owned()), "bad_signature"),
            (
                "another's",
                body.clone().into(),
                Some(Paddle::sign("pdl_ntfset_other", body.as_bytes())),
                "bad_signature",
            ),
            ("one octet changed", changed, Some(good.clone()), "bad_signature"),
            ("a line feed added", format!("{body}\n").into(), Some(good.clone()), "bad_signature"),
            ("upper case", body.clone().into(), Some(good.to_uppercase()), "bad_signature"),
            ("stale", body.clone().into(), Some(stale), "stale"),
            ("of the future", body.clone().into(), Some(early), "stale"),
        ];
        for (what, body, signature, status) in refused {
            till.call(body, signature.as_deref()).await.problem(401, "unauthenticated");
            let call = till.calls().await.remove(0);
            assert_eq!(
                (&call["status"], &call["event_id"]),
                (&json!(status), &Value::Null),
                "{what}: {call}"
            );
            assert!(call["reason"].is_string() && call["source"] == "127.0.0.1", "{what}: {call}");
        }
        let long = vec![b' '; 6_000_000];
        till.call(long.clone(), Some(&Paddle::sign(PADDLE_SECRET, &long)))
            .await
            .problem(413, "body-too-large");
        let call = till.calls().await.remove(0);
        assert_eq!((&call["status"], &call["size"]), (&json!("too_large"), &json!(6_000_000)), "{call}");
        let path = format!("/v1/admin/inbound/{}", call["id"].as_str().unwrap());
        assert_eq!(till.support.get(&path).await.expect(200)["kept"], 4_096);
        till.support.post(&format!("{path}/replay"), &Value::Null).await.problem(409, "wrong-state");
        let nonsense = "not an event";
        till.call(nonsense, Some(&Paddle::sign(PADDLE_SECRET, nonsense.as_bytes())))
            .await
            .problem(400, "invalid-body");
        assert_eq!(till.calls().await[0]["status"], "malformed");
        assert_eq!(till.app.balance().await, before);

        // By the secret before the rotation, and as octets that the gateway hands over as base64.
        let old = Paddle::sign(PADDLE_OLD_SECRET, body.as_bytes());
        let request =
            till.app.anonymous(Method::POST, WEBHOOK).header("content-type", "application/octet-stream");
        till.app.send(request.header("paddle-signature", &old).body(body.clone())).await.expect(200);
        assert_eq!(till.outcome(&completed).await["status"], "applied");
        assert_eq!(till.bought().await, (1_000, 1_000, 0));

        // A stranger fills no table: of one address no more than twenty an hour are kept, and ten were.
        for _ in 0..12 {
            till.call(body.clone(), None).await.problem(401, "unauthenticated");
        }
        let kept = till.calls().await.iter().filter(|call| call["event_id"].is_null()).count();
        // Unless the hour was over meanwhile.
        assert!(kept == 20 || now() / 3600 > begun / 3600, "{kept} refused calls were kept");
        till.notify(&stack.paddle().pay(&transaction)[0]).await.expect(200);
        stack.stop().await;
    });
}

#[test]
fn what_cannot_be_granted_as_things_are_is_kept_as_failed_and_changes_nothing() {
    run(async {
        let (paddle, till) = (stack().paddle(), Till::on(stack()).await);
        let before = till.app.balance().await;
        let (price, buyer) = (PADDLE_PRICES[0].0, till.buyer());
        let sale = |items: &[(&str, i64)], buyer: &Value| {
            let transaction = paddle.transaction(items, buyer.clone());
            paddle.pay(&transaction).remove(1)
        };
        let with = |pointer: &str, value: Value| {
            let mut told = sale(&[(price, 1)], &buyer);
            *told.pointer_mut(pointer).unwrap() = value;
            told
        };
        let stranger = json!({ "workspace": WorkspaceId::new() });
        let unfit: [(Value, &str); 14] = [
            (sale(&[(PADDLE_PRICES[3].0, 1)], &buyer), "not in the price table"),
            (sale(&[(price, 1), ("pri_nobody_knows", 1)], &buyer), "not in the price table"),
            (sale(&[(price, 0)], &buyer), "a quantity of 0"),
            (sale(&[(price, -3)], &buyer), "a quantity of -3"),
            (sale(&[(price, 1_000_001)], &buyer), "a quantity of 1000001"),
            (sale(&[], &buyer), "buys nothing"),
            (sale(&[(price, 1)], &stranger), "a workspace that is not known"),
            (sale(&[(price, 1)], &json!({ "workspace": "mine" })), "names no workspace"),
            (sale(&[(price, 1)], &Value::Null), "names no workspace"),
            (with("/data/currency_code", json!("EUR")), "several currencies"),
            (with("/data/details/totals/total", json!("-1000")), "an amount is missing or below zero"),
            (with("/data/details/totals/total", json!("10.00")), "an amount is missing or below zero"),
            (with("/data/status", json!("paid")), "paid and not completed"),
            (with("/data/items", json!("none")), "cannot be read"),
        ];
        for (told, why) in &unfit {
            let call = till.done(told, "failed").await;
            assert!(call["reason"].as_str().unwrap().contains(why), "{why}: {call}");
        }
        let other = json!({ "event_id": "evt_01hv8x29kz0t586xy6zn1a62nz", "event_type": "payout.paid", "occurred_at": "2026-11-20T10:00:00Z", "data": {} });
        let mut other = other;
        other["event_id"] = sale(&[(price, 1)], &buyer)["event_id"].clone();
        till.done(&other, "ignored").await;
        assert_eq!(till.app.balance().await, before);

        // An adjustment in another currency moves nothing either.
        let told = sale(&[(price, 1)], &buyer);
        till.done(&told, "applied").await;
        let mut chargeback = paddle.adjust(told["data"]["id"].as_str().unwrap(), "chargeback", None);
        chargeback["data"]["currency_code"] = "EUR".into();
        till.done(&chargeback, "failed").await;
        assert_eq!(till.bought().await, (1_000, 1_000, 0));
        // Nor does it when it comes before its transaction.
        let late = sale(&[(price, 1)], &buyer);
        let mut chargeback = paddle.adjust(late["data"]["id"].as_str().unwrap(), "chargeback", None);
        chargeback["data"]["currency_code"] = "EUR".into();
        till.done(&chargeback, "parked").await;
        till.done(&late, "applied").await;
        till.done(&chargeback, "failed").await;
        assert_eq!(till.bought().await, (2_000, 2_000, 0));
        let warning = paddle.adjust(told["data"]["id"].as_str().unwrap(), "chargeback_warning", None);
        till.done(&warning, "ignored").await;
        assert_eq!(till.bought().await, (2_000, 2_000, 0));
    });
}
