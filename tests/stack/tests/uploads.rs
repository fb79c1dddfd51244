//! Uploaded lists: what is found and what is told, the newest one, and links that are misused (V7, V8).

use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};

use crate::support::{Answer, App, Operator, run, stack};

const TASKS: &str = "/v1/verification/tasks";
const UPLOADS: &str = "/v1/verification/uploads";

async fn emails(app: &App, task: &Value) -> Vec<String> {
    let jobs = app.all(&format!("{TASKS}/{}/jobs", task["id"].as_str().unwrap()), 200).await;
    jobs.iter().map(|j| j["email"].as_str().unwrap().to_owned()).collect()
}

/// Uploads with hints; the finished task.
async fn hinted(app: &App, name: &str, file: &str, hints: Value) -> Value {
    let mut body = json!({ "file_name": name, "size": file.len() });
    body.as_object_mut().unwrap().extend(hints.as_object().unwrap().clone());
    let link = app.link(&body).await;
    assert_eq!(app.put(&link, file.to_owned()).await.status, 200);
    app.finished(link["task"]["id"].as_str().unwrap()).await
}

/// Sends octets to the link with its headers, but with the length that they have.
async fn put_as_long_as_it_is(app: &App, link: &Value, body: &'static str) -> Answer {
    let mut request = app.elsewhere(Method::PUT, link["upload"]["url"].as_str().unwrap()).body(body);
    for (name, value) in link["upload"]["headers"].as_object().unwrap() {
        if name != "content-length" {
            request = request.header(name, value.as_str().unwrap());
        }
    }
    app.send(request).await
}

#[test]
fn there_is_no_newest_upload_until_there_is_one() {
    run(async {
        let app = App::new().await;
        app.task(&["ada@gmail.com"]).await;
        for path in [UPLOADS.to_owned(), format!("{UPLOADS}/latest")] {
            let answer = app.get(&path).await;
            assert_eq!((answer.status, answer.body.len()), (204, 0), "{path}: a pasted list is no upload");
        }
        let mut made = Vec::new();
        for name in ["one.csv", "two.csv", "three.txt"] {
            let id = app.upload(name, "ada@gmail.com\n").await;
            app.finished(&id).await;
            made.push(id);
        }
        let latest = app.get(&format!("{UPLOADS}/latest")).await.expect(200);
        assert_eq!((&latest["id"], &latest["file_name"]), (&json!(made[2]), &json!("three.txt")));
        assert_eq!(latest["state"], "completed");
        made.reverse();
        let listed = app.all(UPLOADS, 2).await;
        assert_eq!(
            listed.iter().map(|t| t["id"].as_str().unwrap()).collect::<Vec<_>>(),
            made,
            "newest first"
        );
        assert_eq!(app.all(TASKS, 50).await.len(), 4);
    });
}

#[test]
fn the_address_column_is_found_or_taken_by_name_or_number() {
    run(async {
        let app = App::new().await;
        let file =
            "Private Email,Work\nada@gmail.com,ada@acme.corp.example\nbob@gmail.com,bob@acme.corp.example\n";
        let (private, work) =
            (["ada@gmail.com", "bob@gmail.com"], ["ada@acme.corp.example", "bob@acme.corp.example"]);
        for (hints, want) in [
            (json!({}), private),
            (json!({ "column": "Work" }), work),
            (json!({ "column": "work " }), work),
            (json!({ "column": 2 }), work),
            (json!({ "column": 1 }), private),
        ] {
            let task = hinted(&app, "two.csv", file, hints.clone()).await;
            assert_eq!(task["state"], "completed", "{hints}: {task}");
            assert_eq!(emails(&app, &task).await, want, "{hints}");
        }
        for hints in [json!({ "column": "Phone" }), json!({ "column": 3 }), json!({ "column": 0 })] {
            let task = hinted(&app, "two.csv", file, hints.clone()).await;
            assert_eq!(task["state"], "failed", "{hints}: {task}");
            assert_eq!(task["problem"]["code"], "unknown_column", "{task}");
            assert!(
                task["problem"]["detail"].as_str().unwrap().contains("Private Email"),
                "names what there is"
            );
        }
    });
}

#[test]
fn delimiter_and_header_are_found_or_told() {
    run(async {
        let app = App::new().await;
        for (name, file, hints, want) in [
            ("a.csv", "name;email\nAda;ada@gmail.com\n", json!({}), 1),
            ("a.tsv", "name\temail\nAda\tada@gmail.com\n", json!({}), 1),
            ("a.txt", "ada@gmail.com\n\nbob@gmail.com\n", json!({}), 2),
            ("a.csv", "Ada~ada@gmail.com\nBob~bob@gmail.com\n", json!({ "delimiter": "~" }), 2),
            ("a.csv", "ada@gmail.com,Ada\nbob@gmail.com,Bob\n", json!({}), 2),
            ("a.csv", "ada@gmail.com,Ada\nbob@gmail.com,Bob\n", json!({ "has_header": false }), 2),
            ("a.csv", "ada@gmail.com,Ada\nbob@gmail.com,Bob\n", json!({ "has_header": true }), 1),
        ] {
            let task = hinted(&app, name, file, hints.clone()).await;
            assert_eq!(
                (&task["state"], &task["rows"]),
                (&json!("completed"), &json!(want)),
                "{name} {hints}: {task}"
            );
            assert_eq!(task["verification_status"]["valid"], want, "{name} {hints}: {task}");
        }
    });
}

#[test]
fn an_uploads_timeline_begins_with_its_link() {
    run(async {
        let app = App::new().await;
        let id = app.upload("a.csv", "email\nada@gmail.com\n").await;
        app.finished(&id).await;
        let events = app.all(&format!("{TASKS}/{id}/events"), 50).await;
        let kinds: Vec<_> = events.iter().map(|e| e["kind"].as_str().unwrap()).collect();
        assert_eq!(
            kinds,
            ["created", "started", "drained", "completed"].map(|s| format!("verification.task.{s}"))
        );
        assert!(events[0]["actor"].as_str().unwrap().starts_with("usr_"), "{}", events[0]);
        assert!(events.iter().all(|e| !e.to_string().contains('@')), "no addresses in events");
    });
}

#[test]
fn a_link_takes_one_file() {
    run(async {
        let app = App::new().await;
        let link = app.link(&json!({ "file_name": "a.csv", "size": 20 })).await;
        assert_eq!(app.put(&link, "email\nada@gmail.com\n").await.status, 200);
        let again = app.put(&link, "email\neve@gmail.com\n").await;
        assert_eq!(again.status, 412, "{}", again.text());
        let id = link["task"]["id"].as_str().unwrap();
        let task = app.finished(id).await;
        assert_eq!((&task["rows"], &task["credits"]["charged"]), (&json!(1), &json!(1)));
        assert_eq!(app.put(&link, "email\neve@gmail.com\n").await.status, 412, "nor after the end");
        assert_eq!(emails(&app, &task).await, ["ada@gmail.com"]);
        let starts = app.all(&format!("{TASKS}/{id}/events"), 50).await;
        assert_eq!(starts.iter().filter(|e| e["kind"] == "verification.task.started").count(), 1);
        assert_eq!(app.balance().await["available"], 9_999);
    });
}

#[test]
fn a_link_takes_a_file_of_the_declared_size_and_type_only() {
    run(async {
        let app = App::new().await;
        let link = app.link(&json!({ "file_name": "a.csv", "size": 20 })).await;
        for file in ["email\nada@gmail.com\nbob@gmail.com\n", "email\na@gmail.com\n", ""] {
            let answer = put_as_long_as_it_is(&app, &link, file).await;
            assert!(matches!(answer.status, 400 | 403 | 411), "{}: {}", answer.status, answer.text());
        }
        let url = link["upload"]["url"].as_str().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "text/html".parse().unwrap());
        headers.insert("if-none-match", "*".parse().unwrap());
        let other = app.elsewhere(Method::PUT, url).headers(headers).body("email\nada@gmail.com\n");
        assert_eq!(app.send(other).await.status, 403);
        let bare = app.elsewhere(Method::PUT, url).body("email\nada@gmail.com\n");
        assert_eq!(app.send(bare).await.status, 403, "without the condition it could be overwritten");
        let moved = url.replacen("/uploads/", "/results/", 1);
        let elsewhere = json!({ "upload": { "url": moved, "headers": link["upload"]["headers"] } });
        assert_eq!(app.put(&elsewhere, "email\nada@gmail.com\n").await.status, 403);
        let read = app.elsewhere(Method::GET, url);
        assert_eq!(app.send(read).await.status, 403);

        let id = link["task"]["id"].as_str().unwrap();
        let task = app.get(&format!("{TASKS}/{id}")).await.expect(200);
        assert_eq!(task["state"], "awaiting_upload");
        // Had any of them been kept, the link would be used up.
        assert_eq!(app.put(&link, "email\nada@gmail.com\n").await.status, 200);
        assert_eq!(app.finished(id).await["credits"]["charged"], 1);
    });
}

#[test]
fn an_upload_that_never_comes_expires_and_costs_nothing() {
    run(async {
        let app = App::new().await;
        let operator = Operator::of(stack());
        let link = app.link(&json!({ "file_name": "a.csv", "size": 20 })).await;
        let id = link["task"]["id"].as_str().unwrap();
        let path = format!("{TASKS}/{id}");
        operator.let_the_sweep_come(&app, id).await;
        stack().run_schedule("verify-sweep-tasks").await.unwrap();
        assert_eq!(app.get(&path).await.expect(200)["state"], "awaiting_upload", "not while the link lasts");

        operator.let_the_link_end(&app, id).await;
        stack().run_schedule("verify-sweep-tasks").await.unwrap();
        let task = app.get(&path).await.expect(200);
        assert_eq!((&task["state"], task["finished_at"].is_string()), (&json!("expired"), true));
        let events = app.all(&format!("{path}/events"), 50).await;
        assert_eq!(events.last().unwrap()["kind"], "verification.task.expired");
        assert_eq!(app.balance().await["available"], 10_000);
        let problem = app.post(&format!("{path}/cancel"), &Value::Null).await.problem(409, "wrong-state");
        assert_eq!(problem["state"], "expired");
        app.get(&format!("{path}/download")).await.problem(409, "wrong-state");
    });
}

#[test]
fn a_file_whose_notification_got_lost_is_found_by_the_sweep() {
    run(async {
        let app = App::new().await;
        let operator = Operator::of(stack());
        let link = app.link(&json!({ "file_name": "a.csv", "size": 20 })).await;
        let id = link["task"]["id"].as_str().unwrap();
        operator.let_the_link_end(&app, id).await;
        assert_eq!(app.put(&link, "email\nada@gmail.com\n").await.status, 200);
        // Whoever is first, notification or sweep: the file is there, so it counts, and once.
        stack().run_schedule("verify-sweep-tasks").await.unwrap();
        let task = app.finished(id).await;
        assert_eq!((&task["state"], &task["credits"]["charged"]), (&json!("completed"), &json!(1)));
        assert_eq!(app.balance().await["available"], 9_999);
    });
}

#[test]
fn a_file_that_comes_after_the_task_was_cancelled_changes_nothing() {
    run(async {
        let app = App::new().await;
        let link = app.link(&json!({ "file_name": "a.csv", "size": 20 })).await;
        let path = format!("{TASKS}/{}", link["task"]["id"].as_str().unwrap());
        app.post(&format!("{path}/cancel"), &Value::Null).await.expect(200);
        let cancelled = app.get(&path).await.expect(200);
        assert_eq!(app.put(&link, "email\nada@gmail.com\n").await.status, 200, "S3 knows nothing of tasks");
        // A list that was uploaded later is done: the notification of the first had its turn.
        app.finished(&app.upload("b.csv", "email\nbob@gmail.com\n").await).await;
        assert_eq!(app.get(&path).await.expect(200), cancelled);
        assert_eq!(app.balance().await["spent"], 1, "the second list's");
    });
}
