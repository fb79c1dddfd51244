//! Every order and every repeat of what Paddle says of a transaction, and everything once more by replay.

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use futures::{StreamExt as _, stream};
use itertools::Itertools as _;
use local::Stack;
use local_gate::{Fault, Rule};
use local_parties::PADDLE_PRICES;
use serde_json::{Value, json};

use super::Till;
use crate::{
    chaos::outcome::settled,
    support::{Operator, run, start, until},
};

/// What the tables say of one customer in the end, without ids and times.
async fn end(till: &Till, told: &[Value]) -> Value {
    let credits = till.app.get("/v1/account/credits").await.expect(200);
    let lots = credits["grants"].as_array().unwrap().iter().map(|lot| {
        let mut lot = lot.clone();
        for differs in ["id", "source_id", "granted_at"] {
            lot.as_object_mut().unwrap().remove(differs);
        }
        lot
    });
    let mut statuses = Vec::new();
    for told in told {
        let call = till.acted(told).await;
        let said = |name: &str| call.get(name).map(text);
        statuses.push(json!([told["event_type"], said("status"), said("reason"), said("repeats")]));
    }
    json!([credits["balance"], lots.collect::<Vec<_>>(), statuses])
}

/// One customer's purchase, with what is told of it in this order, and each of it twice.
async fn live(stack: &Stack, order: &[usize]) -> Value {
    let (paddle, till) = (stack.paddle(), Till::on(stack).await);
    let transaction = paddle.transaction(&[(PADDLE_PRICES[0].0, 3), (PADDLE_PRICES[1].0, 1)], till.buyer());
    let completed = paddle.pay(&transaction).remove(1);
    let asked = paddle.adjust(&transaction, "refund", Some(&[(0, 1_000), (1, 7_999)]));
    let approved = paddle.decide(asked["data"]["id"].as_str().unwrap(), "approved");
    let chargeback = paddle.adjust(&transaction, "chargeback", None);
    let reversed = paddle.decide(chargeback["data"]["id"].as_str().unwrap(), "reversed");
    let told = [completed, asked, approved, chargeback, reversed];
    for repeat in [false, true] {
        for at in order {
            till.notify(&told[*at]).await.expect(200);
            if !repeat {
                // The next is told when this one has been acted on: queues keep no order of their own.
                till.acted(&told[*at]).await;
            }
        }
    }
    end(&till, &told).await
}

#[test]
fn every_order_of_a_transactions_events_ends_in_the_same_tables() {
    run(async {
        let stack = start(|_| {}).await;
        let orders: Vec<_> = (0..5).permutations(5).collect();
        assert_eq!(orders.len(), 120);
        let ends: Vec<Value> =
            stream::iter(&orders).map(|order| live(&stack, order)).buffered(10).collect().await;
        assert_eq!(ends[0][0]["granted"], 23_000, "{}", ends[0]);
        assert_eq!(
            ends[0][0]["clawed"], 10_998,
            "a third of one line and all but a cent of the other: {}",
            ends[0]
        );
        for (order, end) in orders.iter().zip(&ends) {
            assert_eq!(end, &ends[0], "{order:?}");
        }
        stack.stop().await;
    });
}

/// A value as text, with the members of its maps in order.
fn text(value: &AttributeValue) -> String {
    match value {
        AttributeValue::M(map) => {
            let sorted: BTreeMap<_, _> = map.iter().map(|(name, value)| (name, text(value))).collect();
            format!("{sorted:?}")
        }
        AttributeValue::L(list) => format!("{:?}", list.iter().map(text).collect::<Vec<_>>()),
        other => format!("{other:?}"),
    }
}

/// Every item of the table but the events that bring calls to their queue, in one text.
async fn table(stack: &Stack) -> BTreeMap<String, String> {
    let items = Operator::of(stack).items("BillingTable").await;
    let items = items.into_iter().filter_map(|item| {
        let key = format!("{}/{}", item["pk"].as_s().unwrap(), item["sk"].as_s().unwrap());
        (!(key.starts_with("INBOUND#") && key.contains("/EVENT#")))
            .then(|| (key, text(&AttributeValue::M(item))))
    });
    items.collect()
}

#[test]
fn replaying_everything_leaves_the_same_tables() {
    run(async {
        let stack = start(|_| {}).await;
        let (paddle, till) = (stack.paddle(), Till::on(&stack).await);
        let first = till.checkout(PADDLE_PRICES[0].0, 1).await;
        let second = paddle.transaction(&[(PADDLE_PRICES[2].0, 2)], till.buyer());
        let unknown = paddle.transaction(&[(PADDLE_PRICES[3].0, 2)], till.buyer());
        let mut told = [paddle.pay(&first), paddle.pay(&second), paddle.pay(&unknown)].concat();
        told.push(paddle.adjust(&first, "chargeback", None));
        let refund = paddle.adjust(&second, "refund", Some(&[(0, 300)]));
        told.push(paddle.decide(refund["data"]["id"].as_str().unwrap(), "approved"));
        told.push(paddle.adjust("txn_00000000000000000000000000", "chargeback", None));
        for notification in &told {
            till.notify(notification).await.expect(200);
            till.outcome(notification).await;
        }
        settled(&till.app).await;
        let before = table(&stack).await;
        let calls = till.calls().await;
        assert_eq!(calls.len(), 9);
        let seen = stack.gate().calls().len();
        for call in calls {
            let path = format!("/v1/admin/inbound/{}/replay", call["id"].as_str().unwrap());
            till.support.post(&path, &Value::Null).await.expect(202);
        }
        until("the processing", || async {
            let gate = stack.gate();
            let read = |c: &&local_gate::Call| {
                c.function == "billing-apply-paddle" && c.operation.ends_with("Query")
            };
            (gate.calls()[seen..].iter().filter(read).count() >= 9).then_some(())
        })
        .await;
        settled(&till.app).await;
        let after = table(&stack).await;
        assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
        for (key, item) in &before {
            assert_eq!(item, &after[key], "{key}");
        }
        stack.stop().await;
    });
}

#[test]
fn a_repeat_that_takes_its_time_takes_back_nothing_that_was_said_meanwhile() {
    run(async {
        let stack = start(|_| {}).await;
        let (paddle, till) = (stack.paddle(), Till::on(&stack).await);
        let transaction = paddle.transaction(&[(PADDLE_PRICES[0].0, 1)], till.buyer());
        let completed = paddle.pay(&transaction).remove(1);
        till.done(&completed, "applied").await;
        settled(&till.app).await;
        // Once the call itself and what is known of the transaction have been read, the next request waits, whatever it is for.
        let (function, fault) = ("billing-apply-paddle".to_owned(), Fault::Delay(Duration::from_secs(5)));
        stack.gate().arm(Rule { function: function.clone(), nth: 3, times: 1, fault });
        let seen = stack.gate().calls().len();
        let repeated = &till.calls().await[0];
        let path = format!("/v1/admin/inbound/{}/replay", repeated["id"].as_str().unwrap());
        till.support.post(&path, &Value::Null).await.expect(202);
        until("both reads", || async {
            (stack.gate().calls()[seen..].iter().filter(|c| c.function == function).count() >= 2)
                .then_some(())
        })
        .await;
        till.done(&paddle.adjust(&transaction, "chargeback", None), "applied").await;
        assert_eq!(till.bought().await, (1_000, 0, 1_000));
        settled(&till.app).await;
        assert_eq!(till.bought().await, (1_000, 0, 1_000));
        stack.stop().await;
    });
}
