//! Messages get lost before anybody has read them: the sweep sends them again.

use std::collections::BTreeMap;

use local::Stack;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Outcome, customer, outcome::settled, patient, undisturbed, upload};
use crate::support::{App, Operator, run, until};

async fn delay(stack: &Stack, queue: &str, seconds: u32) {
    let attributes = BTreeMap::from([("DelaySeconds".to_owned(), seconds.to_string())]);
    stack.sqs().set_attributes(&stack.queue_url(queue).unwrap(), attributes).await.unwrap();
}

/// Loses so many messages of a queue, which holds back what comes until then.
async fn lose(stack: &Stack, app: &App, queue: &str, messages: u64) {
    let url = stack.queue_url(queue).unwrap();
    until(&format!("{messages} messages in {queue}"), || async {
        (stack.sqs().attributes(&url).await.unwrap().delayed == messages).then_some(())
    })
    .await;
    let request =
        app.elsewhere(Method::POST, &stack.endpoints().sqs).header("x-amz-target", "AmazonSQS.PurgeQueue");
    let request = request.header("content-type", "application/x-amz-json-1.0");
    app.send(request.body(json!({ "QueueUrl": url }).to_string())).await.expect(200);
    delay(stack, queue, 0).await;
}

/// Runs the sweep after the time of these tasks has come.
async fn sweep(stack: &Stack, tasks: &[(&App, &str)]) {
    for (app, task) in tasks {
        Operator::of(stack).let_the_sweep_come(app, task).await;
    }
    stack.run_schedule("verify-sweep-tasks").await.unwrap();
}

async fn state(app: &App, task: &str) -> Value {
    app.get(&format!("/v1/verification/tasks/{task}")).await.expect(200)["state"].clone()
}

#[test]
fn the_sweep_finds_whatever_message_was_lost() {
    run(async {
        // No cap on delays here: a queue must be able to hold messages back.
        let stack = patient(|options| options.visibility_cap = None).await;
        let app = customer(&stack).await;

        // The notification of an upload, and the event of a pasted list.
        let other = customer(&stack).await;
        delay(&stack, "SplitQueue", 900).await;
        let (id, pasted) = (upload(&app).await, other.task(&["ada@gmail.com"]).await);
        lose(&stack, &app, "SplitQueue", 2).await;
        assert_eq!(
            (state(&app, &id).await, state(&other, &pasted).await),
            ("awaiting_upload".into(), "queued".into())
        );
        delay(&stack, "ChunkQueue", 900).await;
        // A list is looked after from the start, an upload when its link has ended.
        sweep(&stack, &[]).await;
        assert_eq!(state(&app, &id).await, "awaiting_upload");
        sweep(&stack, &[(&app, &id)]).await;

        // The chunks of both.
        lose(&stack, &app, "ChunkQueue", 6).await;
        assert_eq!(
            (state(&app, &id).await, state(&other, &pasted).await),
            ("running".into(), "running".into())
        );
        delay(&stack, "FinishQueue", 900).await;
        sweep(&stack, &[(&app, &id), (&other, &pasted)]).await;

        // The event that every chunk is counted.
        lose(&stack, &app, "FinishQueue", 2).await;
        assert_eq!(
            (state(&app, &id).await, state(&other, &pasted).await),
            ("running".into(), "running".into())
        );
        sweep(&stack, &[(&app, &id), (&other, &pasted)]).await;

        app.finished(&id).await;
        assert_eq!(other.finished(&pasted).await["credits"], json!({ "held": 0, "charged": 1 }));
        // A sweep that comes when nothing is amiss changes nothing.
        sweep(&stack, &[]).await;
        settled(&app).await;
        Outcome::of(&app, &id).await.must_equal(undisturbed().await);
        stack.stop().await;
    });
}
