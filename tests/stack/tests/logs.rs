//! What functions write into their logs: the correlation id on every line of a piece of work, and nobody's address (P11).

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{App, Kept, run, start, until};

/// A member of a log line, wherever its span stands.
fn find<'a>(line: &'a Value, name: &str) -> Option<&'a str> {
    match line {
        Value::Object(members) => match members.get(name) {
            Some(Value::String(text)) => Some(text),
            _ => members.values().find_map(|value| find(value, name)),
        },
        Value::Array(values) => values.iter().find_map(|value| find(value, name)),
        _ => None,
    }
}

#[test]
fn the_logs_follow_the_work_by_its_correlation_id_and_name_no_address_and_no_secret() {
    run(async {
        let kept = Arc::new(Kept::default());
        let sink = Arc::clone(&kept);
        let stack = start(|options| {
            options.log = sink;
            options.env.insert("LOG_FORMAT".to_owned(), "json".to_owned());
        })
        .await;
        let app = App::on(&stack, account::Scope::EVERYDAY).await;
        let send = |path: &str, body: Value| {
            let request = app.request(Method::POST, path).header("x-correlation-id", "story-0001");
            app.send(request.json(&body))
        };
        let list = json!({ "emails": ["ada.lovelace@gmail.com", "no address of hers", "x@a.down.example"] });
        let made = send("/v1/verification/tasks", list).await.expect(202);
        app.finished(made["id"].as_str().unwrap()).await;
        send("/v1/verify", json!({ "email": "grace.hopper@gmail.com" })).await.expect(200);
        send("/v1/verify", json!({ "email": ["alan.turing@gmail.com"] })).await.problem(400, "invalid-body");
        send("/v1/verification/tasks", json!({ "emails": ["e@gmail.com"], "alan.turing@gmail.com": 1 }))
            .await
            .problem(400, "invalid-body");
        let all_there = || {
            let lines = kept.lines();
            let wanted = [
                "verify-create-task",
                "ops-dispatch-events",
                "verify-split-list",
                "verify-check-chunk",
                "verify-finish-task",
                "verify-record-usage",
            ];
            let spoke = |name: &str| {
                lines.iter().any(|(function, line)| function == name && line.contains("story-0001"))
            };
            wanted.iter().all(|name| spoke(name)).then_some(())
        };
        until("every function of the story has logged its id", || async { all_there() }).await;
        stack.stop().await;

        let lines = kept.lines();
        for (function, line) in lines.iter() {
            for private in
                ["lovelace", "hopper", "turing", "gmail.com", "of hers", &app.key, &app.key[30..60]]
            {
                assert!(!line.contains(private), "{function} logs {private}: {line}");
            }
            let json: Value =
                serde_json::from_str(line).unwrap_or_else(|e| panic!("{function}: {e}: {line}"));
            if ["verify-split-list", "verify-check-chunk", "verify-finish-task"].contains(&function.as_str())
                && find(&json, "message_id").is_some()
            {
                assert_eq!(find(&json, "correlation_id"), Some("story-0001"), "{function}: {line}");
            }
        }
    });
}
