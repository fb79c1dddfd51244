//! What belongs to another account is not there at all, and neither is what no id names.

use reqwest::Method;
use serde_json::json;

use crate::support::{App, run};

const BY_TASK: [(&str, &str); 5] =
    [("GET", ""), ("POST", "/cancel"), ("GET", "/jobs"), ("GET", "/events"), ("GET", "/download")];

#[test]
fn another_accounts_task_is_not_found_on_any_route() {
    run(async {
        let (mine, theirs) = (App::new().await, App::new().await);
        let done = theirs.task(&["ada@gmail.com", "bob@corp.example"]).await;
        theirs.finished(&done).await;
        let link = theirs.link(&json!({ "file_name": "a.csv", "size": 23 })).await;
        let waiting = link["task"]["id"].as_str().unwrap();
        let before = theirs.belongings().await;
        for task in [done.as_str(), waiting] {
            for (method, rest) in BY_TASK {
                let path = format!("/v1/verification/tasks/{task}{rest}");
                let problem =
                    mine.send(mine.request(method.parse().unwrap(), &path)).await.problem(404, "not-found");
                assert!(!problem.to_string().contains("gmail"), "{problem}");
            }
        }
        assert_eq!(theirs.belongings().await, before, "nothing happened to them");
        assert!(mine.all("/v1/verification/tasks", 50).await.is_empty());
    });
}

#[test]
fn another_accounts_key_cannot_be_revoked() {
    run(async {
        let (mine, theirs) = (App::new().await, App::new().await);
        let key = theirs.all("/v1/api-keys", 50).await[0]["id"].as_str().unwrap().to_owned();
        mine.delete(&format!("/v1/api-keys/{key}")).await.problem(404, "not-found");
        theirs.get("/v1/account/credits").await.expect(200);
    });
}

#[test]
fn an_id_of_another_type_or_none_at_all_names_nothing() {
    run(async {
        let app = App::new().await;
        let task = app.task(&["ada@gmail.com"]).await;
        let key = app.all("/v1/api-keys", 50).await[0]["id"].as_str().unwrap().to_owned();
        let body = task.trim_start_matches("tsk_");
        let ids = [
            "tsk_01j9z3k5m8n2p4q6r7s8t9v0wx".to_owned(), // nobody's
            key.clone(),
            format!("key_{body}"),
            format!("TSK_{body}"),
            format!("tsk_{}", body.to_uppercase()),
            format!("tsk_{body}0"),
            format!("%20{task}"),
            "tsk_".to_owned(),
            "1".to_owned(),
            "..%2F..%2Fusage".to_owned(),
            "%00".to_owned(),
            "%F0%9F%92%A9".to_owned(),
        ];
        for id in &ids {
            for (method, rest) in BY_TASK {
                let path = format!("/v1/verification/tasks/{id}{rest}");
                let answer = app.send(app.request(method.parse().unwrap(), &path)).await;
                let shown = format!("{method} {path}: {answer:?}");
                assert_eq!((answer.status, answer.body.is_empty()), (404, false), "{shown}");
                answer.problem(404, "not-found");
            }
        }
        for id in [&task, "key_01j9z3k5m8n2p4q6r7s8t9v0wx", "key_", "nonsense", &key.to_uppercase()] {
            app.delete(&format!("/v1/api-keys/{id}")).await.problem(404, "not-found");
        }
    });
}

#[test]
fn only_support_sees_another_workspaces_tasks() {
    run(async {
        let (app, other) = (App::new().await, App::new().await);
        let admin = App::with(&[account::Scope::Read, account::Scope::Admin]).await;
        let ids = [app.task(&["ada@gmail.com"]).await, app.task(&["bob@gmail.com"]).await];
        let theirs = format!("/v1/verification/tasks?limit=1&workspace={}", app.workspace);
        let first = admin.get(&theirs).await.expect(200);
        assert_eq!(first["data"][0]["id"], ids[1], "newest first");
        assert_eq!(first["data"][0]["workspace"], app.workspace.to_string());
        let next = first["next_cursor"].as_str().unwrap();
        let second = admin.get(&format!("{theirs}&cursor={next}")).await.expect(200);
        assert_eq!(second["data"][0]["id"], ids[0]);

        app.get(&theirs).await.expect(200);
        other.get(&theirs).await.problem(403, "forbidden");
        let wrong = "/v1/verification/tasks?workspace=wsp_nonsense";
        admin.get(wrong).await.problem(400, "invalid-query");
        // The admin's cursor is good for that workspace only.
        let own = format!("/v1/verification/tasks?cursor={next}");
        admin.get(&own).await.problem(400, "invalid-cursor");
        // Support reads; it does not act.
        let path = format!("/v1/verification/tasks/{}/cancel", ids[0]);
        admin.send(admin.request(Method::POST, &path)).await.problem(403, "forbidden");
    });
}
