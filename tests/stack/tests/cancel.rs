//! Cancelling in each state: what was held and not used comes back, to the credit (V4).

use std::path::PathBuf;

use account::Scope;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{App, run, start, until};

const TASKS: &str = "/v1/verification/tasks";
const SCOPES: &[Scope] = &[Scope::Verify, Scope::Read, Scope::Credits];

#[test]
fn a_task_that_waits_for_its_file_is_cancelled_at_once() {
    run(async {
        let app = App::new().await;
        let link = app.link(&json!({ "file_name": "a.csv", "size": 20 })).await;
        let path = format!("{TASKS}/{}", link["task"]["id"].as_str().unwrap());
        let task = app.post(&format!("{path}/cancel"), &Value::Null).await.expect(200);
        assert_eq!((&task["state"], task["finished_at"].is_string()), (&json!("cancelled"), true));
        let again = app.post(&format!("{path}/cancel"), &Value::Null).await.expect(200);
        assert_eq!(again, task, "again changes nothing");
        let events = app.all(&format!("{path}/events"), 50).await;
        assert_eq!(events.len(), 2, "{events:?}");
        assert_eq!(app.balance().await["available"], 10_000);
        let problem = app.get(&format!("{path}/download")).await.problem(409, "wrong-state");
        assert_eq!(problem["state"], "cancelled");
    });
}

#[test]
fn a_task_that_came_to_its_end_cannot_be_cancelled() {
    run(async {
        let app = App::new().await;
        let done = app.task(&["ada@gmail.com"]).await;
        let failed = app.upload("a.csv", "name\nada\n").await;
        for (id, state) in [(&done, "completed"), (&failed, "failed")] {
            let before = app.finished(id).await;
            let path = format!("{TASKS}/{id}");
            let problem = app.post(&format!("{path}/cancel"), &Value::Null).await.problem(409, "wrong-state");
            assert_eq!(problem["state"], state);
            assert_eq!(app.get(&path).await.expect(200), before);
        }
        assert_eq!(app.balance().await["available"], 9_999);
    });
}

#[test]
fn a_queued_task_gives_everything_back_once_however_many_cancel_it() {
    run(async {
        // A function that never starts leaves the task in the queue.
        let broken = ("verify-split-list".to_owned(), PathBuf::from("/bin/false"));
        let stack = start(|options| options.binaries.extend([broken])).await;
        let app = App::on(&stack, SCOPES).await;
        let id = app.task(&["ada@gmail.com", "bob@gmail.com", "eve@gmail.com"]).await;
        let path = format!("{TASKS}/{id}");
        assert_eq!(app.get(&path).await.expect(200)["state"], "queued");
        assert_eq!(app.balance().await["held"], 3);
        let cancel = format!("{path}/cancel");
        for answer in join_all((0..10).map(|_| app.post(&cancel, &Value::Null))).await {
            let task = answer.expect(200);
            assert_eq!(task["state"], "cancelled");
            assert_eq!(
                task["job_status"],
                json!({ "queued": 0, "completed": 0, "failed": 0, "cancelled": 3 })
            );
            assert_eq!(task["credits"], json!({ "held": 0, "charged": 0 }));
        }
        let balance = app.balance().await;
        assert_eq!((balance["available"], balance["held"], balance["spent"]), (10_000, 0, 0));
        let entries = app.all("/v1/account/credits/history", 50).await;
        let kinds: Vec<_> = entries.iter().map(|e| e["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["void", "hold", "grant"]);
        stack.stop().await;
    });
}

#[test]
fn a_running_task_keeps_and_charges_what_is_done_and_gives_back_the_rest() {
    run(async {
        // One chunk at a time, and each has an address that takes seconds: the cancel comes in time.
        let stack = start(|options| options.max_concurrency = 1).await;
        let app = App::on(&stack, SCOPES).await;
        let mut emails: Vec<String> = (0..9_000).map(|n| format!("user{n}@gmail.com")).collect();
        for chunk in 0..3 {
            emails[chunk * 4_000] = format!("slow{chunk}@silent.test");
        }
        let made = app.post(TASKS, &json!({ "emails": emails })).await.expect(202);
        let path = format!("{TASKS}/{}", made["id"].as_str().unwrap());
        until("the first chunk", || async {
            (app.get(&path).await.expect(200)["state"] == "running").then_some(())
        })
        .await;
        let task = app.post(&format!("{path}/cancel"), &Value::Null).await.expect(200);
        assert_eq!(task["state"], "cancelling");
        assert_eq!(app.balance().await["held"], 9_000, "until it is known what was done");
        let again = app.post(&format!("{path}/cancel"), &Value::Null).await.expect(200);
        assert!(["cancelling", "cancelled"].contains(&again["state"].as_str().unwrap()));

        let task = app.finished(made["id"].as_str().unwrap()).await;
        assert_eq!(task["state"], "cancelled");
        let count = |group: &str, name: &str| task[group][name].as_i64().unwrap();
        let (done, left) = (count("job_status", "completed"), count("job_status", "cancelled"));
        assert_eq!((done + left, count("job_status", "queued")), (9_000, 0), "{task}");
        assert!(left >= 1_000, "{task}");
        let charged = count("verification_status", "valid");
        assert_eq!(charged + count("verification_status", "unknown"), done);
        assert_eq!(task["credits"], json!({ "held": 0, "charged": charged }));
        let balance = app.balance().await;
        assert_eq!((balance["available"], balance["held"], balance["spent"]), (10_000 - charged, 0, charged));

        let csv = app.download(made["id"].as_str().unwrap()).await;
        assert_eq!(csv.lines().count(), 9_001, "every row, in order");
        let given = csv.lines().skip(1).map(|line| line.split(',').next().unwrap());
        assert!(given.eq(emails.iter().map(String::as_str)));
        let unverified = csv.lines().filter(|l| l.contains(",not_verified,")).count() as i64;
        assert_eq!(unverified, left);
        let page = app.get(&format!("{path}/jobs?limit=1")).await.expect(200);
        assert!(page["data"][0]["state"] == "completed" || page["data"][0]["state"] == "cancelled");
        let kinds = app.all(&format!("{path}/events"), 50).await;
        let kinds: Vec<_> = kinds.iter().map(|e| e["kind"].as_str().unwrap()).collect();
        let steps = ["queued", "started", "cancelling", "drained", "cancelled"];
        assert_eq!(kinds, steps.map(|s| format!("verification.task.{s}")));
        stack.stop().await;
    });
}
