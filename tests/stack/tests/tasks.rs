//! The main path: a list goes in, results come out, credits are charged once.

use account::Scope;
use serde_json::{Value, json};

use crate::support::{App, run, until};

#[test]
fn a_pasted_list_comes_back_verified_and_charged_once() {
    run(async {
        let app = App::new().await;
        assert_eq!(app.balance().await["available"], 10_000);
        let emails = [
            "ada@gmail.com",
            "bob@gmial.com",
            "info@acme.corp.example",
            "no address",
            "Ada@GMAIL.com",
            "x@a.down.example",
        ];
        let id = app.task(&emails).await;
        let task = app.finished(&id).await;
        assert_eq!(task["state"], "completed", "{task}");
        assert_eq!(task["rows"], 6);
        assert_eq!(task["duplicates"], 1);
        assert_eq!(
            task["verification_status"],
            json!({ "valid": 2, "risky": 1, "invalid": 2, "unknown": 1 })
        );
        assert_eq!(task["job_status"], json!({ "queued": 0, "completed": 6, "failed": 0, "cancelled": 0 }));
        assert_eq!(
            task["credits"],
            json!({ "held": 0, "charged": 4 }),
            "neither the duplicate nor the unknown"
        );
        let balance = app.balance().await;
        assert_eq!((balance["available"], balance["held"], balance["spent"]), (9_996, 0, 4));

        let jobs = app.all(&format!("/v1/verification/tasks/{id}/jobs"), 4).await;
        let given: Vec<_> = jobs.iter().map(|j| j["email"].as_str().unwrap()).collect();
        assert_eq!(given, emails, "every row, in order");
        assert_eq!(jobs[1]["suggestion"], "bob@gmail.com");
        assert_eq!(jobs[2]["sub_status"], "role");
        assert_eq!(jobs[4]["duplicate_of"], 0);
        assert_eq!(jobs[5]["status"], "unknown");
        let kinds: Vec<Value> = app.all(&format!("/v1/verification/tasks/{id}/events"), 2).await;
        let kinds: Vec<_> = kinds.iter().map(|e| e["kind"].as_str().unwrap()).collect();
        let steps = ["queued", "started", "drained", "completed"].map(|s| format!("verification.task.{s}"));
        assert_eq!(kinds, steps, "the timeline");
    });
}

#[test]
fn support_sees_open_tasks_of_every_workspace_and_nobody_else_does() {
    run(async {
        let (app, admin) = (App::new().await, App::with(&[Scope::Admin]).await);
        let link = app.link(&json!({ "file_name": "later.csv", "size": 10 })).await;
        until("the index to have the task", || async {
            let open = admin.all("/v1/admin/verification/tasks", 200).await;
            open.iter()
                .any(|t| t["id"] == link["task"]["id"] && t["workspace"] == app.workspace.to_string())
                .then_some(())
        })
        .await;
        app.get("/v1/admin/verification/tasks").await.problem(403, "forbidden");
    });
}
