//! What a request asks to be allowed: IAM's actions and resources behind each operation ("Actions, resources, and condition keys" of
//! each service in the Service Authorization Reference).

use std::collections::{BTreeMap, BTreeSet};

use http::{Method, request::Parts};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Service;

/// One action on one resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Ask {
    /// Such as `dynamodb:GetItem`.
    pub action: String,
    /// An ARN.
    pub resource: String,
}

/// An operation and what it needs.
pub(crate) struct Wanted {
    /// `dynamodb:TransactWriteItems` and the like.
    pub operation: String,
    pub asks: Vec<Ask>,
}

/// Where resources are.
pub(crate) struct Place<'a> {
    pub region: &'a str,
    pub account_id: &'a str,
}

impl Place<'_> {
    fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{resource}", self.region, self.account_id)
    }
}

/// Reads a request. A body that is not what the operation takes asks for nothing: the service will refuse it.
pub(crate) fn wanted(service: Service, head: &Parts, body: &[u8], place: &Place<'_>) -> Wanted {
    let target = head.headers.get("x-amz-target").and_then(|t| t.to_str().ok()).unwrap_or_default();
    let (prefix, operation) = target.split_once('.').unwrap_or_default();
    match service {
        Service::DynamoDb => dynamodb(operation, body, place),
        Service::Sqs => sqs(operation, body, place),
        Service::Keys => keys(prefix, operation, body, place),
        Service::S3 => s3(head),
        Service::Ses => ses(body, place),
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Dynamo {
    table_name: Option<String>,
    index_name: Option<String>,
    stream_arn: Option<String>,
    request_items: BTreeMap<String, Value>,
    transact_items: Vec<BTreeMap<String, Named>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    table_name: String,
}

fn dynamodb(operation: &str, body: &[u8], place: &Place<'_>) -> Wanted {
    let asked: Dynamo = serde_json::from_slice(body).unwrap_or_default();
    // A table may be named by its ARN.
    let table = |name: &str| match name.starts_with("arn:") {
        true => name.to_owned(),
        false => place.arn("dynamodb", &format!("table/{name}")),
    };
    let mut asks = BTreeSet::new();
    let mut add = |action: &str, resource: String| {
        asks.insert(Ask { action: format!("dynamodb:{action}"), resource });
    };
    // A transaction is allowed by the operations inside it.
    for (kind, item) in asked.transact_items.iter().flatten() {
        let action = match kind.as_str() {
            "Put" => "PutItem",
            "Update" => "UpdateItem",
            "Delete" => "DeleteItem",
            "Get" => "GetItem",
            _ => "ConditionCheckItem",
        };
        add(action, table(&item.table_name));
    }
    for name in asked.request_items.keys() {
        add(operation, table(name));
    }
    if let Some(name) = asked.table_name {
        match asked.index_name {
            Some(index) => add(operation, format!("{}/index/{index}", table(&name))),
            None => add(operation, table(&name)),
        }
    }
    if let Some(stream) = asked.stream_arn {
        add(operation, stream);
    }
    Wanted { operation: format!("dynamodb:{operation}"), asks: asks.into_iter().collect() }
}

fn sqs(operation: &str, body: &[u8], place: &Place<'_>) -> Wanted {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let queue = body["QueueUrl"].as_str().or(body["QueueName"].as_str());
    let name = queue.and_then(|url| url.rsplit('/').next()).unwrap_or_default();
    let action = operation.strip_suffix("Batch").unwrap_or(operation);
    let ask = Ask { action: format!("sqs:{action}"), resource: place.arn("sqs", name) };
    Wanted { operation: format!("sqs:{operation}"), asks: vec![ask] }
}

fn keys(prefix: &str, operation: &str, body: &[u8], place: &Place<'_>) -> Wanted {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let named = |members: &[&str]| members.iter().find_map(|m| body[*m].as_str()).unwrap_or("*").to_owned();
    let (service, resource) = match prefix {
        "TrentService" => ("kms", format!("key/{}", named(&["KeyId"]))),
        "secretsmanager" => ("secretsmanager", format!("secret:{}", named(&["SecretId", "Name"]))),
        _ => ("ssm", format!("parameter/{}", named(&["Name"]).trim_start_matches('/'))),
    };
    let name = resource.split_once(['/', ':']).map_or("", |(_, name)| name);
    let resource = if name.starts_with("arn:") { name.to_owned() } else { place.arn(service, &resource) };
    let action = format!("{service}:{operation}");
    Wanted { operation: action.clone(), asks: vec![Ask { action, resource }] }
}

/// A mail asks for the identity that it is from, which is an address or its domain.
fn ses(body: &[u8], place: &Place<'_>) -> Wanted {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let from = body["FromEmailAddress"].as_str().unwrap_or_default();
    let ask =
        Ask { action: "ses:SendEmail".to_owned(), resource: place.arn("ses", &format!("identity/{from}")) };
    Wanted { operation: ask.action.clone(), asks: vec![ask] }
}

fn s3(head: &Parts) -> Wanted {
    let path = percent_decode_str(head.uri.path().trim_start_matches('/')).decode_utf8_lossy();
    let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
    let query = head.uri.query().unwrap_or_default();
    let has = |name: &str| query.split('&').any(|p| p.split('=').next() == Some(name));
    let operation = match (&head.method, bucket.is_empty(), key.is_empty()) {
        (_, true, _) => "ListAllMyBuckets",
        (&Method::GET | &Method::HEAD, _, true) if has("uploads") => "ListBucketMultipartUploads",
        (&Method::GET | &Method::HEAD, _, true) => "ListBucket",
        (&Method::POST, _, true) if has("delete") => "DeleteObject",
        (&Method::PUT, _, true) => "CreateBucket",
        (&Method::DELETE, _, true) => "DeleteBucket",
        (&Method::GET | &Method::HEAD, _, false) if has("uploadId") => "ListMultipartUploadParts",
        (&Method::GET | &Method::HEAD, _, false) => "GetObject",
        (&Method::DELETE, _, false) if has("uploadId") => "AbortMultipartUpload",
        (&Method::DELETE, _, false) => "DeleteObject",
        _ => "PutObject",
    };
    let resource = match key.is_empty() {
        true => format!("arn:aws:s3:::{bucket}"),
        false => format!("arn:aws:s3:::{bucket}/{key}"),
    };
    let action = format!("s3:{operation}");
    // A copy reads its source too.
    let source = head.headers.get("x-amz-copy-source").and_then(|s| s.to_str().ok());
    let source = source.map(|source| {
        let source = percent_decode_str(source.trim_start_matches('/')).decode_utf8_lossy();
        let name = source.split('?').next().unwrap_or_default();
        Ask { action: "s3:GetObject".to_owned(), resource: format!("arn:aws:s3:::{name}") }
    });
    // The keys of a deletion are in its body: the service asks for each of them.
    let ask =
        (!(key.is_empty() && operation == "DeleteObject")).then(|| Ask { action: action.clone(), resource });
    let asks = ask.into_iter().chain(source).collect();
    Wanted { operation: action, asks }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    const PLACE: Place<'_> = Place { region: "us-east-1", account_id: "000000000000" };

    fn asks(service: Service, request: http::request::Builder, body: &str) -> Vec<String> {
        let (head, ()) = request.body(()).unwrap().into_parts();
        let wanted = wanted(service, &head, body.as_bytes(), &PLACE);
        wanted.asks.into_iter().map(|a| format!("{} {}", a.action, a.resource)).collect()
    }

    fn target(target: &str) -> http::request::Builder {
        Request::post("/").header("x-amz-target", target)
    }

    #[test]
    fn a_transaction_asks_for_what_is_inside_it() {
        let body = r#"{"TransactItems":[{"Put":{"TableName":"a-table-name","Item":{}}},{"Update":{"TableName":"b-table-name","Key":{}}},
            {"ConditionCheck":{"TableName":"a-table-name"}},{"Put":{"TableName":"a-table-name"}}]}"#;
        let arn = "arn:aws:dynamodb:us-east-1:000000000000:table";
        assert_eq!(
            asks(Service::DynamoDb, target("DynamoDB_20120810.TransactWriteItems"), body),
            [
                format!("dynamodb:ConditionCheckItem {arn}/a-table-name"),
                format!("dynamodb:PutItem {arn}/a-table-name"),
                format!("dynamodb:UpdateItem {arn}/b-table-name"),
            ]
        );
    }

    #[test]
    fn an_index_is_a_resource_of_its_own() {
        let body = r#"{"TableName":"a-table-name","IndexName":"gsi1","Limit":1}"#;
        assert_eq!(
            asks(Service::DynamoDb, target("DynamoDB_20120810.Query"), body),
            ["dynamodb:Query arn:aws:dynamodb:us-east-1:000000000000:table/a-table-name/index/gsi1"]
        );
        let body = r#"{"RequestItems":{"a-table-name":{"Keys":[{}]}}}"#;
        assert_eq!(
            asks(Service::DynamoDb, target("DynamoDB_20120810.BatchGetItem"), body),
            ["dynamodb:BatchGetItem arn:aws:dynamodb:us-east-1:000000000000:table/a-table-name"]
        );
    }

    #[test]
    fn a_batch_of_messages_is_allowed_as_the_single_one_is() {
        let body = r#"{"QueueUrl":"http://127.0.0.1:1/000000000000/a-queue","Entries":[]}"#;
        assert_eq!(
            asks(Service::Sqs, target("AmazonSQS.SendMessageBatch"), body),
            ["sqs:SendMessage arn:aws:sqs:us-east-1:000000000000:a-queue"]
        );
    }

    #[test]
    fn objects_and_buckets_are_told_apart() {
        for (request, expected) in [
            (Request::get("/b/a%20key?x-id=GetObject"), "s3:GetObject arn:aws:s3:::b/a key"),
            (Request::head("/b/k"), "s3:GetObject arn:aws:s3:::b/k"),
            (Request::put("/b/k?partNumber=1&uploadId=u"), "s3:PutObject arn:aws:s3:::b/k"),
            (Request::post("/b/k?uploads"), "s3:PutObject arn:aws:s3:::b/k"),
            (Request::delete("/b/k?uploadId=u"), "s3:AbortMultipartUpload arn:aws:s3:::b/k"),
            (Request::get("/b?list-type=2"), "s3:ListBucket arn:aws:s3:::b"),
            (Request::get("/b/?list-type=2"), "s3:ListBucket arn:aws:s3:::b"),
            (Request::get("/"), "s3:ListAllMyBuckets arn:aws:s3:::"),
        ] {
            assert_eq!(asks(Service::S3, request, ""), [expected]);
        }
        let copy = Request::put("/b/k").header("x-amz-copy-source", "/c/other?versionId=1");
        assert_eq!(
            asks(Service::S3, copy, ""),
            ["s3:PutObject arn:aws:s3:::b/k", "s3:GetObject arn:aws:s3:::c/other"]
        );
    }

    #[test]
    fn a_mail_asks_for_the_identity_that_it_is_from() {
        assert_eq!(
            asks(
                Service::Ses,
                Request::post("/v2/email/outbound-emails"),
                r#"{"FromEmailAddress":"a@b.example"}"#
            ),
            ["ses:SendEmail arn:aws:ses:us-east-1:000000000000:identity/a@b.example"]
        );
    }

    #[test]
    fn secrets_and_keys_are_named_by_their_arns() {
        let body = r#"{"SecretId":"arn:aws:secretsmanager:us-east-1:000000000000:secret:s-abc"}"#;
        assert_eq!(
            asks(Service::Keys, target("secretsmanager.GetSecretValue"), body),
            ["secretsmanager:GetSecretValue arn:aws:secretsmanager:us-east-1:000000000000:secret:s-abc"]
        );
        assert_eq!(
            asks(Service::Keys, target("TrentService.Decrypt"), r#"{"KeyId":"1234"}"#),
            ["kms:Decrypt arn:aws:kms:us-east-1:000000000000:key/1234"]
        );
    }
}
