//! A purchase from the checkout to the refund.

use local_parties::{PADDLE_PRICES, PaddleManner};
use serde_json::{Value, json};

use super::{CHECKOUT, Till};
use crate::support::{Operator, run, stack, until};

#[test]
fn a_purchase_is_granted_once_it_is_completed_and_taken_back_once_a_refund_is_approved() {
    run(async {
        let (paddle, till) = (stack().paddle(), Till::on(stack()).await);
        let body = json!({ "price_id": PADDLE_PRICES[0].0, "quantity": 2 });
        let made = till.app.post_once(CHECKOUT, "a-purchase", &body).await.expect(201);
        assert_eq!(till.app.post_once(CHECKOUT, "a-purchase", &body).await.expect(201), made, "once");
        assert_eq!(made["credits"], 2_000);
        let transaction = made["transaction_id"].as_str().unwrap();
        assert!(made["checkout_url"].as_str().unwrap().ends_with(&format!("?_ptxn={transaction}")), "{made}");
        assert_eq!(till.bought().await, (0, 0, 0));

        let told = paddle.pay(transaction);
        let paid = till.done(&told[0], "ignored").await;
        assert_eq!((&paid["event_type"], &paid["repeats"]), (&json!("transaction.paid"), &json!(0)));
        assert_eq!(till.bought().await, (0, 0, 0), "paid is not completed");
        let completed = till.done(&told[1], "applied").await;
        assert_eq!(till.bought().await, (2_000, 2_000, 0));
        let purchases = till.app.all("/v1/account/purchases", 10).await;
        assert_eq!(purchases.len(), 1);
        assert_eq!(
            (&purchases[0]["transaction_id"], &purchases[0]["name"]),
            (&json!(transaction), &json!("2 × 1,000 credits"))
        );
        assert_eq!((&purchases[0]["credits"], &purchases[0]["remaining"]), (&json!(2_000), &json!(2_000)));

        let asked = paddle.adjust(transaction, "refund", Some(&[(0, 500)]));
        till.done(&asked, "ignored").await;
        assert_eq!(till.bought().await, (2_000, 2_000, 0), "nobody has approved it yet");
        let approved = paddle.decide(asked["data"]["id"].as_str().unwrap(), "approved");
        till.done(&approved, "applied").await;
        assert_eq!(till.bought().await, (2_000, 1_500, 500), "500 of 2,000 cents are a quarter");

        // Support sees it all, with the body's very octets.
        let path = format!("/v1/admin/inbound/{}", completed["id"].as_str().unwrap());
        let detail = till.support.get(&path).await.expect(200);
        assert_eq!(detail["body"], told[1].to_string());
        assert_eq!(detail["kept"], detail["size"]);
        assert!(detail["headers"]["paddle-signature"].as_str().unwrap().starts_with("ts="), "{detail}");
        let failed =
            till.support.get("/v1/admin/inbound?provider=paddle&status=applied&limit=200").await.expect(200);
        assert!(failed["data"].as_array().unwrap().iter().all(|call| call["status"] == "applied"));
        till.app.get("/v1/admin/inbound?provider=paddle").await.problem(403, "forbidden");
    });
}

#[test]
fn the_trail_of_a_check_leads_to_the_purchase_that_paid_for_it() {
    run(async {
        let (paddle, till) = (stack().paddle(), Till::on(stack()).await);
        Operator::of(stack()).leave(&till.app, 1).await;
        let transaction = till.checkout(PADDLE_PRICES[0].0, 1).await;
        till.done(&paddle.pay(&transaction)[1], "applied").await;
        let task = till.app.task(&["ada@gmail.com", "bob@gmail.com", "x@a.down.example"]).await;
        till.app.finished(&task).await;
        let entries = till.app.all("/v1/account/credits/history", 50).await;
        let settle = entries.iter().find(|e| e["kind"] == "settle").unwrap();
        let path = format!("/v1/account/credits/entries/{}/trail", settle["id"].as_str().unwrap());
        let trail = till.app.get(&path).await.expect(200);
        assert_eq!(trail["entry"], *settle);
        let sources: Vec<&Value> =
            trail["lots"].as_array().unwrap().iter().map(|lot| &lot["source_id"]).collect();
        assert!(
            sources.contains(&&json!(transaction)),
            "one credit was a gift, the other was bought: {trail}"
        );
        let kinds: Vec<&str> =
            trail["entries"].as_array().unwrap().iter().map(|e| e["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["hold", "settle", "void"]);
        assert!(trail["entries"].as_array().unwrap().iter().all(|e| e["reference"] == task.as_str()));
        let first = till.app.get(&format!("{path}?limit=1")).await.expect(200);
        assert_eq!(first["entries"].as_array().unwrap().len(), 1);
        let next = format!("{path}?limit=5&cursor={}", first["next_cursor"].as_str().unwrap());
        assert_eq!(till.app.get(&next).await.expect(200)["entries"].as_array().unwrap().len(), 2);
        // It is nobody else's.
        let other = Till::on(stack()).await;
        other.app.get(&path).await.problem(404, "not-found");
        // And the grant's trail tells of the purchase.
        let grant = entries.iter().find(|e| e["kind"] == "grant" && e["reference"] == transaction).unwrap();
        let path = format!("/v1/account/credits/entries/{}/trail", grant["id"].as_str().unwrap());
        let trail = till.app.get(&path).await.expect(200);
        assert_eq!(trail["lots"][0]["source"], "purchase");
    });
}

#[test]
fn a_chargeback_of_what_was_spent_is_owed_and_blocks_until_it_is_reversed() {
    run(async {
        let (paddle, till) = (stack().paddle(), Till::on(stack()).await);
        let transaction = till.checkout(PADDLE_PRICES[0].0, 1).await;
        till.done(&paddle.pay(&transaction)[1], "applied").await;
        Operator::of(stack()).leave(&till.app, 300).await;
        let chargeback = paddle.adjust(&transaction, "chargeback", None);
        till.done(&chargeback, "applied").await;
        let balance = till.app.balance().await;
        assert_eq!((balance["available"], balance["clawed"]), (-700, 1_000), "{balance:?}");
        let check = json!({ "email": "ada@gmail.com" });
        let refused = till.app.post("/v1/verify", &check).await.problem(402, "insufficient-credits");
        assert_eq!((&refused["required"], &refused["available"]), (&json!(1), &json!(0)));
        // A gift is eaten by the debt first.
        assert!(
            Operator::of(stack()).grant(&till.app, &format!("gift to {}", till.app.workspace), 650).await
        );
        till.app.post("/v1/verify", &check).await.problem(402, "insufficient-credits");
        // It is told twice, by the chargeback's new status and by an adjustment of its own, and given back once.
        let reversed = paddle.decide(chargeback["data"]["id"].as_str().unwrap(), "reversed");
        till.done(&reversed, "applied").await;
        till.done(&paddle.adjust(&transaction, "chargeback_reverse", None), "applied").await;
        let balance = till.app.balance().await;
        assert_eq!((balance["available"], balance["clawed"]), (950, 0), "{balance:?}");
        till.app.post("/v1/verify", &check).await.expect(200);
        let entries = till.app.all("/v1/account/credits/history", 50).await;
        let kinds: Vec<&str> = entries.iter().rev().map(|e| e["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["grant", "grant", "charge", "chargeback", "grant", "give_back", "charge"]);
        let events = Operator::of(stack())
            .events(stack().table("BillingTable").unwrap(), &format!("WSP#{}", till.app.workspace))
            .await;
        assert_eq!(events.iter().filter(|kind| *kind == "billing.credits.clawed").count(), 2, "{events:?}");
    });
}

#[test]
fn a_refund_takes_what_is_left_and_what_comes_back_and_never_what_was_spent() {
    run(async {
        let (paddle, till) = (stack().paddle(), Till::on(stack()).await);
        Operator::of(stack()).leave(&till.app, 0).await;
        let transaction = till.checkout(PADDLE_PRICES[0].0, 1).await;
        till.done(&paddle.pay(&transaction)[1], "applied").await;
        Operator::of(stack()).leave(&till.app, 600).await;
        // Three are held while the refund comes, and one of them comes back after it.
        let link = till.app.task(&["ada@gmail.com", "bob@gmail.com", "x@a.down.example"]).await;
        let asked = paddle.adjust(&transaction, "refund", None);
        let approved = paddle.decide(asked["data"]["id"].as_str().unwrap(), "approved");
        till.done(&approved, "applied").await;
        till.app.finished(&link).await;
        let balance = till.app.balance().await;
        assert_eq!((balance["available"], balance["clawed"]), (0, 598), "{balance:?}");
        let purchase = &till.app.all("/v1/account/purchases", 10).await[0];
        assert_eq!(purchase["refund"], json!({ "asked": 1_000, "taken": 598 }), "402 were not recovered");
        // A late rejection gives back what was taken, and nothing else.
        let rejected = paddle.decide(asked["data"]["id"].as_str().unwrap(), "rejected");
        till.done(&rejected, "ignored").await;
        let balance = till.app.balance().await;
        assert_eq!((balance["available"], balance["clawed"]), (598, 0), "{balance:?}");
    });
}

#[test]
fn bought_credits_expire_when_their_time_is_over() {
    run(async {
        let (paddle, till) = (stack().paddle(), Till::on(stack()).await);
        Operator::of(stack()).leave(&till.app, 0).await;
        let transaction = till.checkout(PADDLE_PRICES[2].0, 1).await;
        let mut told = paddle.pay(&transaction).remove(1);
        // Completed thirty days ago, all but a little, by Paddle's clock.
        told["occurred_at"] =
            (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(30 * 24 + 1)).to_string().into();
        till.done(&told, "applied").await;
        let balance = till.app.balance().await;
        assert_eq!(
            (balance["granted"], balance["available"], balance["expired"]),
            (10_500, 0, 500),
            "{balance:?}"
        );
        let fresh = till.checkout(PADDLE_PRICES[2].0, 1).await;
        till.done(&paddle.pay(&fresh)[1], "applied").await;
        assert_eq!(till.app.balance().await["available"], 500);
        let purchases = till.app.all("/v1/account/purchases", 1).await;
        let remaining: Vec<&Value> = purchases.iter().map(|p| &p["remaining"]).collect();
        assert_eq!(remaining, [500, 0], "newest first, page by page");
    });
}

#[test]
fn notifications_that_repeat_come_the_wrong_way_round_late_and_forged_have_one_effect() {
    run(async {
        let stack = crate::support::start(|_| {}).await;
        let (paddle, till) = (stack.paddle(), Till::on(&stack).await);
        let transaction = till.checkout(PADDLE_PRICES[1].0, 1).await;
        let mut told = paddle.pay(&transaction);
        let asked = paddle.adjust(&transaction, "refund", Some(&[(0, 800)]));
        told.push(paddle.decide(asked["data"]["id"].as_str().unwrap(), "approved"));
        told.insert(2, asked);
        let late = std::time::Duration::from_millis(50);
        paddle.behave(PaddleManner { repeats: 2, reversed: true, late, forged: true });
        let answers = paddle.deliver(&told).await;
        assert_eq!(answers.iter().filter(|status| **status == 200).count(), 12, "{answers:?}");
        assert_eq!(answers.iter().filter(|status| **status == 401).count(), 12, "{answers:?}");
        until("the refunded purchase", || async {
            (till.bought().await == (10_000, 9_000, 1_000)).then_some(())
        })
        .await;
        for notification in &told {
            let call = till.outcome(notification).await;
            assert_eq!(call["repeats"], 2, "{call}");
        }
        crate::chaos::outcome::settled(&till.app).await;
        assert_eq!(till.bought().await, (10_000, 9_000, 1_000));
        stack.stop().await;
    });
}

#[test]
fn a_checkout_that_paddle_does_not_make_is_told_so_and_sells_nothing() {
    run(async {
        let stack = crate::support::start(|_| {}).await;
        let (paddle, till) = (stack.paddle(), Till::on(&stack).await);
        let good = json!({ "price_id": PADDLE_PRICES[0].0 });
        for wrong in [
            json!({ "price_id": "pri_unknown" }),
            json!({ "price_id": PADDLE_PRICES[0].0, "quantity": 0 }),
            json!({ "price_id": PADDLE_PRICES[0].0, "quantity": 10_001 }),
            json!({}),
        ] {
            till.app.post(CHECKOUT, &wrong).await.problem(400, "invalid-body");
        }
        assert_eq!(paddle.asked(), 0);
        paddle.fail(Some(503));
        till.app.post_once(CHECKOUT, "tried-again", &good).await.problem(503, "unavailable");
        paddle.fail(Some(400));
        till.app.post(CHECKOUT, &good).await.problem(500, "internal");
        paddle.fail(None);
        till.app.post_once(CHECKOUT, "tried-again", &good).await.problem(409, "in-flight");
        assert_eq!(till.app.post(CHECKOUT, &good).await.expect(201)["credits"], 1_000);
        till.app.narrowed(&["read"]).await.post(CHECKOUT, &good).await.problem(403, "forbidden");
        stack.stop().await;
    });
}
