//! The event of a function, to try it with.

use serde_json::{Map, Value, json};

use crate::{Request, Trigger, parameters, template::Area};

const ACCOUNT: &str = "000000000000";
const REGION: &str = "us-east-1";

pub(crate) fn event(request: &Request, area: &Area) -> String {
    let event = match &request.trigger {
        Trigger::Route { method, path } => http(method, path, area.authenticates()),
        Trigger::Queue(queue) => sqs(&request.area, queue),
    };
    format!("{event:#}\n")
}

fn http(method: &str, path: &str, authenticates: bool) -> Value {
    let key = format!("{method} {path}");
    let names: Map<String, Value> =
        parameters(path).iter().map(|n| ((*n).to_owned(), "example".into())).collect();
    let mut raw = path.to_owned();
    for name in parameters(path) {
        raw = raw.replace(&format!("{{{name}}}"), "example");
    }
    let mut event = json!({
        "version": "2.0",
        "routeKey": key,
        "rawPath": raw,
        "rawQueryString": "",
        "headers": { "accept": "application/json", "host": "api.example.com", "x-correlation-id": "example-0001" },
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": "example",
            "domainName": "api.example.com",
            "domainPrefix": "api",
            "http": { "method": method, "path": raw, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "curl/8.5.0" },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": key,
            "stage": "$default",
            "time": "20/Nov/2026:14:03:07 +0000",
            "timeEpoch": 1_795_183_387_125_i64,
        },
        "isBase64Encoded": false,
    });
    if !names.is_empty() {
        event["pathParameters"] = names.into();
    }
    if authenticates {
        event["headers"]["x-api-key"] = "pwk_put-a-key-here".into();
    }
    event
}

fn sqs(area: &str, queue: &str) -> Value {
    let queue = format!("piecework-dev-{area}-{}", queue.to_lowercase());
    let body = json!({ "workspace": "wsp_01j9z3k5m8n2p4q6r7s8t9v0wx", "correlation_id": "example-0001" });
    json!({ "Records": [{
        "messageId": "059f36b4-87a3-44ab-83d2-661970000000",
        "receiptHandle": "AQEBexample",
        "body": body.to_string(),
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": "1795183387125",
            "SenderId": "AIDAEXAMPLE",
            "ApproximateFirstReceiveTimestamp": "1795183387132",
        },
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}"),
        "awsRegion": REGION,
    }] })
}
