//! Errors reach Sentry where it is wanted, and nobody's data with them (P17).

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use account::Scope;
use local_gate::{Fault, Rule};
use local_parties::{SentryManner, SentryServer};
use serde_json::{Value, json};

use crate::support::{Answer, App, run, start};

const FUNCTION: &str = "verify-create-task";

/// Has a request fail inside, on a stack that reports to such a Sentry. How long the answer took, and what was sent.
async fn failing(manner: SentryManner) -> (Duration, Vec<String>, Answer) {
    let sentry = SentryServer::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), manner).await.unwrap();
    let stack = start(|options| {
        options.env.insert("SENTRY_DSN".to_owned(), sentry.dsn());
        options.env.insert("LOG_FORMAT".to_owned(), "json".to_owned());
    })
    .await;
    let app = App::on(&stack, &[Scope::Verify, Scope::Read]).await;
    app.get("/v1/health").await.expect(200);
    assert_eq!(sentry.envelopes(), Vec::<String>::new(), "nothing has failed");

    stack.gate().arm(Rule { function: FUNCTION.to_owned(), nth: 1, times: 1000, fault: Fault::Fail });
    let asked = Instant::now();
    let answer = app.post("/v1/verification/tasks", &json!({ "emails": ["ada@gmail.com"] })).await;
    let took = asked.elapsed();
    answer.problem(503, "unavailable");
    let envelopes = sentry.envelopes();
    stack.stop().await;
    sentry.shutdown().await;
    (took, envelopes, answer)
}

#[test]
fn an_error_is_an_event_that_leads_to_its_log_lines_and_to_nobody() {
    run(async {
        let (_, envelopes, answer) = failing(SentryManner::Takes).await;
        let [envelope] = &envelopes[..] else { panic!("{envelopes:?}") };
        let parts: Vec<Value> = envelope.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let [header, item, event] = &parts[..] else { panic!("{envelope}") };
        assert_eq!(item["type"], "event");
        assert_eq!(header["event_id"], event["event_id"]);
        assert_eq!((&event["level"], &event["environment"]), (&json!("error"), &json!("dev")));
        assert_eq!(event["transaction"], FUNCTION);
        assert_eq!(event["tags"]["correlation_id"], answer.header("x-correlation-id").unwrap());
        for private in ["ada@", "gmail", "@", "pwk_", "127.0.0.1", "Bearer"] {
            assert!(!envelope.contains(private), "{private}: {envelope}");
        }
    });
}

#[test]
fn a_sentry_that_fails_or_hangs_delays_an_answer_a_little_and_changes_nothing() {
    run(async {
        let (_, envelopes, _) = failing(SentryManner::Fails(500)).await;
        assert_eq!(envelopes, Vec::<String>::new());
        let (took, _, _) = failing(SentryManner::Hangs).await;
        assert!(took >= Duration::from_secs(2), "{took:?}: nobody waited");
        assert!(took < Duration::from_secs(8), "{took:?}");
    });
}
