//! A queue delivers at least once: every message of a task comes several times, and at the same time.

use std::time::Duration;

use futures::future::join_all;
use local::{Stack, StackOptions};
use serde_json::{Value, json};

use super::{Outcome, customer, patient, undisturbed, upload};
use crate::support::{App, run, until};

const TIMES: usize = 3;

/// A stack whose chunks may be received any number of times: under its cap a repeat that meets a claim comes back every few
/// seconds, and not when the claim has ended.
async fn bearing(change: impl FnOnce(&mut StackOptions)) -> Stack {
    let stack = patient(change).await;
    let queue = stack.model().queues.iter().find(|q| q.id.logical == "ChunkQueue").unwrap();
    let mut policy: Value = serde_json::from_str(&queue.attributes["RedrivePolicy"]).unwrap();
    policy["maxReceiveCount"] = 1000.into();
    let attributes = [("RedrivePolicy".to_owned(), policy.to_string())];
    stack.sqs().set_attributes(&queue.name, attributes.into()).await.unwrap();
    stack
}

async fn send(stack: &Stack, queue: &str, body: &Value) {
    let url = stack.queue_url(queue).unwrap();
    stack.sqs().send(&url, &body.to_string()).await.unwrap();
}

async fn repeat(stack: &Stack, queue: &str, body: &Value) {
    join_all((0..TIMES).map(|_| send(stack, queue, body))).await;
}

/// What of S3's notification names the upload.
fn notification(app: &App, id: &str) -> Value {
    json!({ "Records": [{ "s3": { "object": { "key": format!("uploads/{}/{id}", app.workspace) } } }] })
}

async fn event(app: &App, id: &str, step: &str) -> Value {
    let kind = format!("verification.task.{step}");
    until(step, || async {
        let events = app.all(&format!("/v1/verification/tasks/{id}/events"), 200).await;
        events.into_iter().find(|e| e["kind"] == *kind)
    })
    .await
}

/// Runs a task whose every message comes several times.
async fn all_repeated(stack: &Stack) {
    let app = customer(stack).await;
    let id = upload(&app).await;
    repeat(stack, "SplitQueue", &notification(&app, &id)).await;
    let started = event(&app, &id, "started").await;
    let chunks = started["data"]["chunks"].as_u64().unwrap();
    assert_eq!(chunks, 5);
    for chunk in 0..chunks {
        let message = json!({ "workspace": app.workspace, "task": id, "first": chunk * 4_000 });
        repeat(stack, "ChunkQueue", &message).await;
    }
    repeat(stack, "SplitQueue", &started).await;
    for step in ["drained", "completed"] {
        let event = event(&app, &id, step).await;
        repeat(stack, if step == "drained" { "FinishQueue" } else { "UsageQueue" }, &event).await;
    }
    Outcome::of(&app, &id).await.must_equal(undisturbed().await);
}

#[test]
fn delivering_every_message_several_times_changes_neither_results_nor_balance() {
    run(async {
        // Claims outlast the work, as they do when deployed.
        let stack = bearing(|_| {}).await;
        all_repeated(&stack).await;
        stack.stop().await;
    });
}

#[test]
fn work_that_several_do_at_once_because_no_claim_holds_counts_once() {
    run(async {
        let stack = bearing(|options| {
            options.env.insert("LEASE_SECONDS".to_owned(), "0".to_owned());
        })
        .await;
        all_repeated(&stack).await;
        let reports = stack.lambda().reports();
        let worked = reports.iter().filter(|r| r.function == "verify-check-chunk").count();
        assert!(worked > 15, "{worked} invocations");
        stack.stop().await;
    });
}

#[test]
fn a_file_that_is_announced_again_and_again_while_it_is_split_is_split_once() {
    run(async {
        let stack = bearing(|_| {}).await;
        let expected = undisturbed().await;
        let app = customer(&stack).await;
        let id = upload(&app).await;
        let message = notification(&app, &id);
        let announce = async {
            loop {
                send(&stack, "SplitQueue", &message).await;
                // So that splits begin and end beside each other, the last long after the first.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::select! {
            () = announce => unreachable!("it goes on until the list is split"),
            _ = event(&app, &id, "started") => {}
        }
        Outcome::of(&app, &id).await.must_equal(expected);
        let reports = stack.lambda().reports();
        let splits = reports.iter().filter(|r| r.function == "verify-split-list").count();
        assert!(splits > 5, "{splits} splits");
        stack.stop().await;
    });
}
