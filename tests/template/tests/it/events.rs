//! `events/<function>.json`: a real event for every function.

use std::collections::BTreeSet;

use local::template::model::SourceKind;
use piecework_core::DomainEvent;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use template_tests::{Trigger, model, root, trigger};
use verify::{ChunkMessage, TaskMessage, UsageMessage};

fn event(function: &str) -> Value {
    template_tests::json(&format!("events/{function}.json"))
}

#[test]
fn every_function_has_an_event_and_every_event_a_function() {
    let there: BTreeSet<String> = std::fs::read_dir(root().join("events"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let wanted: BTreeSet<String> =
        model("dev").functions.into_iter().map(|f| format!("{}.json", f.name)).collect();
    assert_eq!(there, wanted);
}

#[test]
fn an_event_has_the_shape_of_what_invokes_its_function() {
    let (model, described) = (model("dev"), template_tests::json("openapi.json"));
    for function in &model.functions {
        let (name, event) = (&function.name, event(&function.name));
        match trigger(&model, function) {
            Trigger::Http(routes) => {
                assert_eq!(event["version"], "2.0", "{name}");
                let key = event["routeKey"].as_str().unwrap();
                assert!(routes.iter().any(|r| r == key), "{name}: {key}");
                assert_eq!(event["requestContext"]["routeKey"], event["routeKey"], "{name}");
                assert_eq!(event["requestContext"]["http"]["path"], event["rawPath"], "{name}");
                let (method, path) = key.split_once(' ').unwrap_or_default();
                let ways = &described["paths"][path][method.to_lowercase()]["security"];
                let guarded = ways.as_array().is_some_and(|ways| ways.iter().any(|w| w != &json!({})));
                assert_eq!(event["headers"].get("x-api-key").is_some(), guarded, "{name}");
            }
            Trigger::Events(sources) => {
                for source in sources {
                    match source {
                        SourceKind::Sqs(sqs) => {
                            for record in event["Records"].as_array().unwrap() {
                                assert_eq!(record["eventSource"], "aws:sqs", "{name}");
                                let arn = record["eventSourceARN"].as_str().unwrap();
                                assert!(arn.ends_with(&format!(":{}", sqs.queue)), "{name}: {arn}");
                            }
                        }
                        SourceKind::Stream(_) => {
                            for record in event["Records"].as_array().unwrap() {
                                assert_eq!(record["eventSource"], "aws:dynamodb", "{name}");
                            }
                        }
                        SourceKind::Schedule(_) => assert_eq!(event["source"], "aws.events", "{name}"),
                    }
                }
            }
        }
    }
}

#[test]
fn a_request_satisfies_the_api_description() {
    let document = template_tests::json("openapi.json");
    let model = model("dev");
    for function in &model.functions {
        let event = event(&function.name);
        let Some((method, path)) = event["routeKey"].as_str().and_then(|key| key.split_once(' ')) else {
            continue;
        };
        let operation = &document["paths"][path][method.to_lowercase()];
        assert!(operation.is_object(), "{method} {path} is not described");
        let content = &operation["requestBody"]["content"];
        // A provider's form is no JSON, and is described as a text.
        if content.is_object() && content["application/json"].is_null() {
            assert!(event["body"].is_string(), "{} needs a body", function.name);
            continue;
        }
        let schema = &content["application/json"]["schema"];
        let Some(body) = event["body"].as_str() else {
            assert!(schema.is_null(), "{} needs a body", function.name);
            continue;
        };
        let body: Value = serde_json::from_str(body).unwrap();
        let schema = json!({ "allOf": [schema], "components": document["components"] });
        let validator = jsonschema::validator_for(&schema).unwrap();
        if let Err(error) = validator.validate(&body) {
            panic!("{}: {error}", function.name);
        }
    }
}

fn bodies<T: DeserializeOwned>(function: &str) -> Vec<T> {
    let event = event(function);
    let records = event["Records"].as_array().unwrap();
    records.iter().map(|r| serde_json::from_str(r["body"].as_str().unwrap()).unwrap()).collect()
}

#[test]
fn a_message_is_one_that_its_processor_reads() {
    assert_eq!(bodies::<verify::SplitMessage>("verify-split-list").len(), 1);
    assert_eq!(bodies::<ChunkMessage>("verify-check-chunk")[0].first, 0);
    assert_eq!(bodies::<billing::inbound::InboundMessage>("billing-apply-itn").len(), 1);
    assert_eq!(bodies::<TaskMessage>("verify-finish-task").len(), 1);
    assert_eq!(bodies::<billing::inbound::InboundMessage>("billing-apply-paddle").len(), 1);
    assert_eq!(bodies::<UsageMessage>("verify-record-usage").len(), 2);
    assert_eq!(bodies::<account::EndMessage>("account-erase-user").len(), 1);
    for (function, kind) in [
        ("account-erase-workspace", "account.workspace.deleted"),
        ("account-record-erasure", "verification.workspace.erased"),
        ("billing-erase-workspace", "account.workspace.emptied"),
        ("verify-erase-workspace", "account.workspace.deleted"),
    ] {
        assert_eq!(bodies::<DomainEvent>(function)[0].kind, kind, "{function}");
    }
    let kinds: Vec<String> =
        bodies::<DomainEvent>("verify-record-usage").into_iter().map(|e| e.kind).collect();
    assert_eq!(kinds, ["verification.task.completed", "verification.address.checked"]);
}
