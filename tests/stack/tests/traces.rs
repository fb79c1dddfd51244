//! One trace from the request through the queues to the last processor (P17).

use account::Scope;
use local::traces::{self, FILE, Span};
use reqwest::Method;
use serde_json::json;

use crate::support::{App, run, start, until};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CLIENT: &str = "00f067aa0ba902b7";

#[test]
fn the_spans_of_a_list_hang_together_from_the_request_to_the_last_processor() {
    run(async {
        let stack = start(|options| options.traces = true).await;
        let file = stack.data().join(FILE);
        let app = App::on(&stack, Scope::EVERYDAY).await;
        let request =
            app.request(Method::POST, "/v1/verification/tasks").header("x-correlation-id", "story-0002");
        let request = request.header("traceparent", format!("00-{TRACE}-{CLIENT}-01"));
        let made = app.send(request.json(&json!({ "emails": ["ada@gmail.com", "bob@gmail.com"] }))).await;
        let task = made.expect(202)["id"].as_str().unwrap().to_owned();
        app.finished(&task).await;
        let spans: Vec<Span> = until("the span of the last processor", || async {
            let spans = traces::read(&file).unwrap();
            spans.iter().any(|s| s.trace == TRACE && s.function == "verify-record-usage").then_some(spans)
        })
        .await;

        let ours: Vec<&Span> = spans.iter().filter(|s| s.trace == TRACE).collect();
        // A span's function, and those of what caused it, back to the request.
        let chain = |of: &Span| {
            let (mut functions, mut parent) = (vec![of.function.clone()], of.parent.clone());
            while let Some(before) = ours.iter().find(|s| Some(&s.id) == parent.as_ref()) {
                assert!(before.start <= of.start, "{before:?} {of:?}");
                functions.push(before.function.clone());
                parent.clone_from(&before.parent);
            }
            assert_eq!(parent.as_deref(), Some(CLIENT), "{of:?}");
            functions
        };
        let last = ours.iter().find(|s| s.function == "verify-record-usage").unwrap();
        assert_eq!(
            chain(last),
            [
                "verify-record-usage",
                "ops-dispatch-events",
                "verify-finish-task",
                "ops-dispatch-events",
                "verify-check-chunk",
                "verify-split-list",
                "ops-dispatch-events",
                "verify-create-task",
            ]
        );
        for span in &ours {
            chain(span);
            assert!(!span.failed && span.start < span.end, "{span:?}");
            assert_eq!(span.attributes["piecework.correlation_id"], "story-0002", "{span:?}");
        }
        let http = ours.iter().find(|s| s.function == "verify-create-task").unwrap();
        assert_eq!(http.name, "POST /v1/verification/tasks");
        assert_eq!(http.attributes["http.response.status_code"], "202");
        // Another request is another trace, and a caller who wants none recorded gets none.
        assert!(spans.iter().any(|s| s.trace != TRACE && s.function == "verify-get-task"));
        let request = app.request(Method::GET, "/v1/account/credits");
        app.send(request.header("traceparent", format!("00-{TRACE}-{CLIENT}-00"))).await.expect(200);
        app.send(app.request(Method::GET, "/v1/usage").header("x-correlation-id", "story-0003"))
            .await
            .expect(200);
        until("the span of the later request", || async { traces::show(&file, "story-0003").ok() }).await;
        assert!(traces::read(&file).unwrap().iter().all(|s| s.function != "billing-get-credits"));
        let tree = traces::show(&file, "story-0002").unwrap();
        assert!(tree.starts_with(&format!("trace {TRACE}: ")), "{tree}");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(!text.contains("gmail") && !text.contains(&app.key), "{text}");
        stack.stop().await;
    });
}
