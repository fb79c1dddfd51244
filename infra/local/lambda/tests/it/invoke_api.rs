//! Lambda's Invoke API over HTTP.

use crate::support::{eventually, spec, start};
use local_lambda::{FunctionSpec, MAX_EVENT_BYTES, MAX_REQUEST_BYTES, Outcome};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use std::time::Duration;

async fn call(endpoint: &str, name: &str, kind: &str, body: impl Into<reqwest::Body>) -> Response {
    let url = format!("{endpoint}/2015-03-31/functions/{name}/invocations");
    Client::new().post(url).header("x-amz-invocation-type", kind).body(body).send().await.unwrap()
}

fn header(response: &Response, name: &str) -> Option<String> {
    response.headers().get(name).map(|v| v.to_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_response_invocation_answers_as_lambda_does_by_any_name() {
    let (lambda, _) = start(vec![spec("f")]).await;
    let endpoint = lambda.endpoint();
    for name in [
        "f",
        "f:$LATEST",
        "123456789012:function:f",
        "arn:aws:lambda:eu-west-1:123456789012:function:f:prod",
        "arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Af",
    ] {
        let answer = call(&endpoint, name, "RequestResponse", r#"{"a":1}"#).await;
        assert_eq!(answer.status(), 200, "{name}");
        assert_eq!(header(&answer, "x-amz-executed-version").as_deref(), Some("$LATEST"));
        assert_eq!(header(&answer, "x-amzn-requestid").unwrap().len(), 36);
        assert_eq!(header(&answer, "x-amz-function-error"), None);
        assert_eq!(answer.json::<Value>().await.unwrap(), json!({"a": 1}));
    }
    let empty = call(&endpoint, "f", "RequestResponse", "").await;
    assert_eq!(empty.json::<Value>().await.unwrap(), json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn function_errors_are_200_with_the_unhandled_header() {
    let slow = FunctionSpec { timeout: Duration::from_millis(300), ..spec("slow") };
    let mut broken = spec("broken");
    broken.env.insert("INIT".to_owned(), "report".to_owned());
    let (lambda, _) = start(vec![spec("f"), slow, broken]).await;
    let endpoint = lambda.endpoint();
    for (name, event, error_type, message) in [
        ("f", json!({"do": "fail"}), None, "told to fail"),
        (
            "f",
            json!({"do": "abort"}),
            Some("Runtime.ExitError"),
            "Runtime exited with error: signal: aborted",
        ),
        (
            "f",
            json!({"do": "big", "bytes": 7_000_000}),
            Some("Function.ResponseSizeTooLarge"),
            "(6291556 bytes)",
        ),
        (
            "slow",
            json!({"do": "sleep", "ms": 9000}),
            Some("Sandbox.Timedout"),
            "Task timed out after 0.30 seconds",
        ),
        ("broken", json!(1), Some("Config"), "no table"),
    ] {
        let answer = call(&endpoint, name, "RequestResponse", event.to_string()).await;
        assert_eq!(
            (answer.status().as_u16(), header(&answer, "x-amz-function-error").as_deref()),
            (200, Some("Unhandled"))
        );
        let error: Value = answer.json().await.unwrap();
        assert!(error["errorMessage"].as_str().unwrap().contains(message), "{error}");
        assert!(error_type.is_none_or(|t| error["errorType"] == t), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_and_dry_runs_are_accepted_without_an_answer() {
    let (lambda, _) = start(vec![spec("f")]).await;
    let endpoint = lambda.endpoint();
    let dry = call(&endpoint, "f", "DryRun", "{}").await;
    assert_eq!(dry.status(), 204);
    assert!(lambda.sandboxes().is_empty());
    let event = call(&endpoint, "f", "Event", r#"{"do":"fail"}"#).await;
    assert_eq!((event.status().as_u16(), event.bytes().await.unwrap().len()), (202, 0));
    eventually("the event was run", || lambda.reports().len() == 1).await;
    assert_eq!(lambda.reports()[0].outcome, Outcome::FunctionError);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_carry_lambdas_status_and_type() {
    let (lambda, _) = start(vec![spec("f")]).await;
    let endpoint = lambda.endpoint();
    let large = |size: usize| format!("\"{}\"", "x".repeat(size - 1));
    for (name, kind, body, status, error_type) in [
        ("g", "RequestResponse", "{}".to_owned(), 404, "ResourceNotFoundException"),
        ("f", "RequestResponse", "{".to_owned(), 400, "InvalidRequestContentException"),
        ("f", "Sometimes", "{}".to_owned(), 400, "InvalidParameterValueException"),
        ("f", "RequestResponse", large(MAX_REQUEST_BYTES), 413, "RequestTooLargeException"),
        ("f", "Event", large(MAX_EVENT_BYTES), 413, "RequestTooLargeException"),
    ] {
        let answer = call(&endpoint, name, kind, body).await;
        assert_eq!(
            (answer.status().as_u16(), header(&answer, "x-amzn-errortype").as_deref()),
            (status, Some(error_type))
        );
        assert!(answer.json::<Value>().await.unwrap().is_object());
    }
    let elsewhere = Client::new().get(format!("{endpoint}/2015-03-31/functions")).send().await.unwrap();
    assert_eq!(elsewhere.status(), 404);
    assert!(lambda.reports().is_empty());
}
