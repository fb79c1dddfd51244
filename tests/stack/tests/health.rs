//! What waits and what could not be dealt with (P10, P16).

use std::time::Duration;

use local::Stack;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{App, run, start, until};

/// Each queue with messages that are not of its kind.
fn strange() -> [(&'static str, [Value; 3]); 4] {
    let event = |entity: &str| {
        json!({
            "id": "evt_01j9z3k5m8n2p4q6r7s8t9v0wx", "kind": "verification.task.queued", "at": "2026-11-20T12:00:00Z",
            "workspace": "wsp_01j9z3k5m8n2p4q6r7s8t9v0wx", "entity": entity, "data": {}
        })
    };
    let foreign = json!({ "Records": [{ "s3": { "object": { "key": "elsewhere/a.csv" } } }] });
    [
        ("SplitQueue", [json!({ "hello": 1 }), foreign, event("usr_01j9z3k5m8n2p4q6r7s8t9v0wx")]),
        ("ChunkQueue", [json!([]), json!({ "task": 7 }), event("tsk_01j9z3k5m8n2p4q6r7s8t9v0wx")]),
        ("FinishQueue", [json!(null), json!({ "workspace": "x" }), event("nonsense")]),
        ("UsageQueue", [json!("text"), json!({}), event("tsk_01j9z3k5m8n2p4q6r7s8t9v0wx")]),
    ]
}

async fn health(app: &App) -> Value {
    app.send(app.anonymous(Method::GET, "/v1/health")).await.expect(200)
}

/// How many messages lie in the dead-letter queues, by queue.
fn dead(report: &Value) -> Vec<(String, u64)> {
    let queues = report["queues"].as_object().unwrap();
    let dead = queues.iter().filter(|(name, _)| name.ends_with("-dead"));
    dead.map(|(name, queue)| (name.clone(), queue["waiting"].as_u64().unwrap())).collect()
}

async fn tidy_up(stack: &Stack) {
    for (queue, _) in strange() {
        let dead = stack.queue_url(&queue.replace("Queue", "DeadLetters")).unwrap();
        let messages = stack.sqs().receive(&dead, 10, Duration::ZERO).await.unwrap();
        let handles: Vec<_> = messages.iter().map(|m| m.receipt_handle.clone()).collect();
        stack.sqs().delete(&dead, handles).await.unwrap();
    }
}

#[test]
fn messages_that_are_not_ours_are_put_aside_where_health_shows_them() {
    run(async {
        let stack = start(|_| {}).await;
        let app = App::on(&stack, account::Scope::EVERYDAY).await;
        let report = health(&app).await;
        assert_eq!((&report["status"], &report["environment"]), (&json!("ok"), &json!("dev")), "{report}");
        assert!(report["version"].is_string());
        assert!(dead(&report).iter().all(|(_, count)| *count == 0), "{report}");
        assert!(dead(&report).len() >= 4, "{report}");

        for (queue, bodies) in strange() {
            let url = stack.queue_url(queue).unwrap();
            stack.sqs().send(&url, "no JSON at all {").await.unwrap();
            for body in bodies {
                stack.sqs().send(&url, &body.to_string()).await.unwrap();
            }
        }
        let report = until("all of them are put aside", || async {
            let report = health(&app).await;
            (dead(&report).iter().map(|(_, count)| count).sum::<u64>() >= 16).then_some(report)
        })
        .await;
        assert_eq!(report["status"], "attention");
        for (name, count) in dead(&report).iter().filter(|(name, _)| name.contains("verify")) {
            assert_eq!(*count, 4, "{name}: {report}");
        }
        // Meanwhile work goes on.
        let task = app.finished(&app.task(&["ada@gmail.com"]).await).await;
        assert_eq!((&task["state"], &task["credits"]["charged"]), (&json!("completed"), &json!(1)));

        tidy_up(&stack).await;
        assert_eq!(health(&app).await["status"], "ok", "once somebody has dealt with them");
        stack.stop().await;
    });
}
