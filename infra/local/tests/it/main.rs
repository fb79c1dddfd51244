//! The stack over a small fixture: real binaries, real protocols.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod build;
mod command;
mod support;

use aws_sdk_dynamodb::types::AttributeValue;
use local::{Stack, StackOptions};
use serde_json::json;
use support::{Fixture, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_route_reaches_its_function_with_its_environment() {
    let fixture = Fixture::start().await;
    let url = format!("{}/v1/greetings/ann", fixture.stack.base_url());
    let answer = reqwest::get(url).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text().await.unwrap(), "hello from us-east-1, ann");
    let missing = reqwest::get(format!("{}/v1/nothing", fixture.stack.base_url())).await.unwrap();
    assert_eq!(missing.status(), 404);
    let env = fixture.stack.function_env("fixture-greet");
    assert_eq!(env["TABLE"], fixture.stack.table("Table").unwrap());
    assert!(env["SECRET"].starts_with("arn:aws:secretsmanager:us-east-1:000000000000:secret:"), "{env:?}");
    assert!(env["DNS_SERVER"].starts_with("127.0.0.1:"));
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_message_comes_back_alone_and_ends_in_the_dead_letter_queue() {
    let fixture = Fixture::start().await;
    let inbox = fixture.stack.queue_url("Inbox").unwrap();
    let dead = fixture.stack.queue_url("DeadLetters").unwrap();
    let sqs = fixture.sqs();
    for body in ["one", "bad", "two"] {
        sqs.send_message().queue_url(&inbox).message_body(body).send().await.unwrap();
    }
    eventually("the bad message is in the dead-letter queue", async || {
        fixture.stack.sqs().attributes(&dead).await.unwrap().visible == 1
    })
    .await;
    let mut seen = fixture.seen("fixture-inbox");
    seen.sort();
    assert_eq!(seen, ["bad", "bad", "bad", "one", "two"]);
    let left = fixture.stack.sqs().attributes(&inbox).await.unwrap();
    assert_eq!((left.visible, left.in_flight), (0, 0));
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_crashes_gets_its_batch_again() {
    let fixture = Fixture::start().await;
    let inbox = fixture.stack.queue_url("Inbox").unwrap();
    let dead = fixture.stack.queue_url("DeadLetters").unwrap();
    fixture.stack.sqs().send(&inbox, "crash").await.unwrap();
    eventually("the message is in the dead-letter queue", async || {
        fixture.stack.sqs().attributes(&dead).await.unwrap().visible == 1
    })
    .await;
    assert_eq!(fixture.seen("fixture-inbox"), ["crash"; 3]);
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_delivered_in_order_and_a_failing_record_is_given_up_alone() {
    let fixture = Fixture::start().await;
    let failures = fixture.stack.queue_url("StreamFailures").unwrap();
    let names: Vec<String> =
        (0..30).map(|n| if n == 7 { "07-bad".to_owned() } else { format!("{n:02}") }).collect();
    for name in &names {
        fixture.put(name).await;
    }
    eventually("the last record is there", async || {
        fixture.seen("fixture-stream").contains(&"29".to_owned())
    })
    .await;
    let seen = fixture.seen("fixture-stream");
    let mut once = seen.clone();
    once.dedup();
    assert_eq!(once, names, "every record in the order of writing");
    assert!(seen.iter().filter(|s| *s == "07-bad").count() >= 2, "{seen:?}");
    let given_up = fixture.stack.sqs().receive(&failures, 10, support::DEADLINE).await.unwrap();
    assert_eq!(given_up.len(), 1);
    let message: serde_json::Value = serde_json::from_str(&given_up[0].body).unwrap();
    assert_eq!(message["DDBStreamBatchInfo"]["batchSize"], 1);
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_messages_are_each_handled_once() {
    let fixture = Fixture::start().await;
    let inbox = fixture.stack.queue_url("Inbox").unwrap();
    let bodies: Vec<String> = (0..1000).map(|n| format!("{n:04}")).collect();
    for body in &bodies {
        fixture.stack.sqs().send(&inbox, body).await.unwrap();
    }
    eventually("the queue is empty", async || {
        let left = fixture.stack.sqs().attributes(&inbox).await.unwrap();
        (left.visible, left.in_flight) == (0, 0)
    })
    .await;
    let mut seen = fixture.seen("fixture-inbox");
    seen.sort();
    assert_eq!(seen, bodies);
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_functions_the_pollers_call_another_lambda_endpoint() {
    let functions = Fixture::start().await;
    let services = Stack::start(StackOptions {
        functions: false,
        lambda_endpoint: Some(functions.stack.endpoints().lambda.clone()),
        ..StackOptions::new(support::root())
    });
    let services = services.await.unwrap();
    let inbox = services.queue_url("Inbox").unwrap();
    services.sqs().send(&inbox, "from afar").await.unwrap();
    eventually("the other stack's function has it", async || {
        functions.seen("fixture-inbox") == ["from afar"]
    })
    .await;
    eventually("and it is deleted here", async || {
        let left = services.sqs().attributes(&inbox).await.unwrap();
        (left.visible, left.in_flight) == (0, 0)
    })
    .await;
    services.stop().await;
    functions.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_runs_when_asked() {
    let fixture = Fixture::start().await;
    fixture.stack.run_schedule("fixture-sweep").await.unwrap();
    assert_eq!(fixture.seen("fixture-sweep"), ["Scheduled Event"]);
    assert!(fixture.stack.run_schedule("fixture-greet").await.is_err());
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uploaded_object_is_announced_to_its_queue_and_reaches_the_function() {
    let fixture = Fixture::start().await;
    let bucket = fixture.stack.bucket("Uploads").unwrap();
    let s3 = fixture.s3();
    for key in ["in/not this.txt", "in/a list.csv"] {
        s3.put_object().bucket(bucket).key(key).body(b"a@b.test".to_vec().into()).send().await.unwrap();
    }
    eventually("the function has the notification", async || fixture.seen("fixture-uploads").len() == 1)
        .await;
    let notification: serde_json::Value = serde_json::from_str(&fixture.seen("fixture-uploads")[0]).unwrap();
    let object = &notification["Records"][0]["s3"];
    assert_eq!(object["object"]["key"], "in/a+list.csv");
    assert_eq!(object["object"]["size"], 8);
    assert_eq!(object["bucket"]["name"], bucket);
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_table_queue_objects_secrets_and_the_position_in_the_stream() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::start_on(folder.path()).await;
    fixture.put("before").await;
    let dead = fixture.stack.queue_url("DeadLetters").unwrap();
    fixture.stack.sqs().send(&dead, "kept").await.unwrap();
    let bucket = fixture.stack.bucket("Uploads").unwrap().to_owned();
    fixture.s3().put_object().bucket(&bucket).key("kept").body(b"x".to_vec().into()).send().await.unwrap();
    eventually("the record is delivered", async || fixture.seen("fixture-stream") == ["before"]).await;
    // A write that changes nothing is not told.
    fixture.put("before").await;
    let secret = fixture.stack.function_env("fixture-greet")["SECRET"].clone();
    let encrypted = fixture.kms("Encrypt", json!({"KeyId": "alias/fixture", "Plaintext": "cGxhaW4="})).await;
    fixture.stop().await;

    let fixture = Fixture::start_on(folder.path()).await;
    assert_eq!(fixture.stack.function_env("fixture-greet")["SECRET"], secret);
    let decrypted = fixture.kms("Decrypt", json!({"CiphertextBlob": encrypted["CiphertextBlob"]})).await;
    assert_eq!(decrypted["Plaintext"], "cGxhaW4=");
    let table = fixture.stack.table("Table").unwrap();
    let items = fixture.dynamodb().scan().table_name(table).send().await.unwrap();
    assert_eq!(items.items()[0]["sk"], AttributeValue::S("before".into()));
    let dead = fixture.stack.queue_url("DeadLetters").unwrap();
    let kept = fixture.stack.sqs().receive(&dead, 1, support::DEADLINE).await.unwrap();
    assert_eq!(kept[0].body, "kept");
    assert_eq!(fixture.stack.objects().read(&bucket, "kept").await.unwrap(), "x");
    fixture.put("after").await;
    eventually("the next record is delivered", async || fixture.seen("fixture-stream").len() == 2).await;
    assert_eq!(fixture.seen("fixture-stream"), ["before", "after"], "and the first not again");
    fixture.stop().await;
}
