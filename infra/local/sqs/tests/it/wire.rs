use serde_json::{Value, json};

use crate::support::{options, start};

async fn post(endpoint: &str, target: &str, body: &str) -> (u16, Option<String>, Value) {
    let request = reqwest::Client::new().post(format!("{endpoint}/")).header("x-amz-target", target);
    let request = request.header("content-type", "application/x-amz-json-1.0").body(body.to_owned());
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/x-amz-json-1.0");
    assert!(response.headers().contains_key("x-amzn-requestid"));
    let error = response.headers().get("x-amzn-query-error").map(|v| v.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, error, serde_json::from_str(&text).unwrap_or(Value::Null))
}

#[tokio::test]
async fn errors_have_the_shape_and_header_of_aws() {
    let test = start(options()).await;
    let endpoint = test.server.endpoint();
    let body = json!({ "QueueUrl": format!("{endpoint}/111122223333/none"), "MessageBody": "a" }).to_string();
    let (status, error, answer) = post(&endpoint, "AmazonSQS.SendMessage", &body).await;
    assert_eq!(status, 400);
    assert_eq!(error.as_deref(), Some("AWS.SimpleQueueService.NonExistentQueue;Sender"));
    assert_eq!(answer["__type"], "com.amazonaws.sqs#QueueDoesNotExist");
    assert_eq!(answer["message"], "The specified queue does not exist.");
    let other_account = json!({ "QueueUrl": format!("{endpoint}/999999999999/none") }).to_string();
    for (target, body, code) in [
        ("AmazonSQS.DeleteQueue", other_account.as_str(), "AWS.SimpleQueueService.NonExistentQueue;Sender"),
        ("AmazonSQS.Dance", "{}", "InvalidAction;Sender"),
        ("", "{}", "InvalidAction;Sender"),
        ("AmazonSQS.SendMessage", "{", "MalformedQueryString;Sender"),
        ("AmazonSQS.SendMessage", r#"{"QueueUrl":7}"#, "MalformedQueryString;Sender"),
        ("AmazonSQS.SendMessage", "{}", "MissingParameter;Sender"),
    ] {
        let (status, error, _) = post(&endpoint, target, body).await;
        assert_eq!((status, error.as_deref()), (400, Some(code)), "{target} {body}");
    }
}

#[tokio::test]
async fn an_empty_receive_leaves_the_list_out_and_a_name_is_an_address() {
    let test = start(options()).await;
    test.queue("work", &[]).await;
    let answer = post(&test.server.endpoint(), "AmazonSQS.ReceiveMessage", r#"{"QueueUrl":"work"}"#).await;
    assert_eq!(answer, (200, None, json!({})));
}
