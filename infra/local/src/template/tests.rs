//! The model of the fixture, and of templates that must be refused.

use std::path::Path;
use std::time::Duration;

use super::TemplateError;
use super::load::{StackTemplate, parse};
use super::model::{Model, Notification, Route, Site, SourceKind, SqsSource, StreamSource, Templates};

fn site() -> Site {
    Site {
        stack_name: "piecework".into(),
        region: "us-east-1".into(),
        account_id: "000000000000".into(),
        sqs_endpoint: "http://127.0.0.1:1".into(),
        api_endpoint: "http://127.0.0.1:2".into(),
        ..Site::default()
    }
}

fn fixture(site: &Site) -> Model {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture/template.yaml");
    Templates::load(&root, &site.stack_name).unwrap().model(site).unwrap()
}

fn refused(text: &str) -> TemplateError {
    let stack = StackTemplate {
        name: "s".into(),
        path: "template.yaml".into(),
        body: parse(text).unwrap(),
        parent: None,
    };
    Templates { stacks: vec![stack] }.model(&site()).unwrap_err()
}

#[test]
fn the_fixture_reads_as_what_it_says() {
    let model = fixture(&site());
    let names: Vec<&str> = model.functions.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(
        names,
        ["fixture-greet", "fixture-inbox", "fixture-uploads", "fixture-stream", "fixture-sweep"]
    );
    let expected = Route {
        method: "GET".into(),
        path: "/v1/greetings/{name}".into(),
        function: "fixture-greet".into(),
        timeout: Duration::from_secs(30),
    };
    assert_eq!(model.routes, [expected]);
    assert_eq!(model.cors.unwrap().allow_methods, ["GET"]);
    assert_eq!(model.outputs["ApiUrl"], "http://127.0.0.1:2");
    assert_eq!(model.tables[0].name, "piecework-Area-Table");
    let upload = Notification {
        event: "s3:ObjectCreated:*".into(),
        prefix: "in/".into(),
        suffix: ".csv".into(),
        queue: "piecework-Area-UploadsQueue".into(),
    };
    assert_eq!(model.buckets[0].notifications, [upload]);
    assert_eq!(model.buckets[0].name, "piecework-area-uploads");
    let inbox = model.queues.iter().find(|q| q.id.logical == "Inbox").unwrap();
    let redrive: serde_json::Value = serde_json::from_str(&inbox.attributes["RedrivePolicy"]).unwrap();
    assert_eq!(
        redrive["deadLetterTargetArn"],
        "arn:aws:sqs:us-east-1:000000000000:piecework-Area-DeadLetters"
    );
}

#[test]
fn globals_parameters_and_conditions_reach_a_functions_environment() {
    let mut site = site();
    let greeting = |site: &Site| fixture(site).function("fixture-greet").unwrap().env["GREETING"].clone();
    assert_eq!(greeting(&site), "hello from us-east-1");
    site.parameters.insert("Greeting".into(), "HELLO".into());
    assert_eq!(greeting(&site), "HELLO!");
    let model = fixture(&site);
    let sweep = model.function("fixture-sweep").unwrap();
    assert_eq!((sweep.timeout, sweep.memory_mb), (Duration::from_secs(5), 128));
    assert_eq!(sweep.reserved_concurrency, Some(1));
    assert_eq!(sweep.env["SECRET"], "pending-Secret", "until the service has given it an id");
}

#[test]
fn a_nested_stack_under_a_false_condition_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let root = "
Parameters: {With: {Type: String, Default: 'no'}}
Conditions: {With: !Equals [!Ref With, 'yes']}
Resources:
  Area: {Type: AWS::CloudFormation::Stack, Condition: With, Properties: {TemplateURL: area.yaml}}
";
    std::fs::write(folder.path().join("template.yaml"), root).unwrap();
    let area = "Resources: {Q: {Type: 'AWS::SQS::Queue'}}";
    std::fs::write(folder.path().join("area.yaml"), area).unwrap();
    let templates = Templates::load(&folder.path().join("template.yaml"), "s").unwrap();
    let mut site = site();
    assert!(templates.model(&site).unwrap().queues.is_empty());
    site.parameters.insert("With".into(), "yes".into());
    assert_eq!(templates.model(&site).unwrap().queues.len(), 1);
}

#[test]
fn event_sources_keep_every_setting() {
    let model = fixture(&site());
    let kinds: Vec<&SourceKind> = model.sources.iter().map(|s| &s.kind).collect();
    let inbox = SqsSource {
        queue: "piecework-Area-Inbox".into(),
        batch_size: 100,
        window: Duration::from_secs(1),
        report_failures: true,
        max_concurrency: Some(2),
    };
    assert_eq!(kinds[0], &SourceKind::Sqs(inbox));
    let stream = StreamSource {
        table: "piecework-Area-Table".into(),
        from_start: true,
        batch_size: 10,
        window: Duration::ZERO,
        max_retries: Some(1),
        bisect: true,
        report_failures: true,
        on_failure: Some("piecework-Area-StreamFailures".into()),
        filters: Default::default(),
    };
    assert_eq!(kinds[2], &SourceKind::Stream(stream));
}

#[test]
fn what_the_stack_cannot_run_is_refused_by_name() {
    let function = "F: {Type: AWS::Serverless::Function, Properties: {CodeUri: target/lambda/f, Runtime: provided.al2023";
    let cases = [
        ("Resources: {X: {Type: AWS::Kinesis::Stream}}".to_owned(), "AWS::Kinesis::Stream"),
        (format!("Resources: {{{function}, Events: {{E: {{Type: Kafka, Properties: {{}}}}}}}}}}}}"), "Kafka"),
        (
            format!("Resources: {{{function}, Events: {{E: {{Type: SQS, Properties: {{Queue: 'arn:aws:sqs:r:a:gone'}}}}}}}}}}}}"),
            "gone",
        ),
        (
            format!("Resources: {{{function}, Events: {{E: {{Type: SQS, Properties: {{Queue: q, BatchSize: 11}}}}}}}}}}}}"),
            "batching window",
        ),
        (
            format!("Resources: {{{function}, Events: {{E: {{Type: SQS, Properties: {{Queue: q, FilterCriteria: {{Filters: []}}}}}}}}}}}}}}"),
            "FilterCriteria",
        ),
        (format!("Resources: {{{function}}}}}, G: {{Type: AWS::Serverless::Function, Properties: {{CodeUri: x/f}}}}}}"), "second function"),
        ("Resources: {F: {Type: AWS::Serverless::Function, Properties: {CodeUri: f, Runtime: python3.13}}}".to_owned(), "provided"),
        ("Resources: {R: {Type: AWS::ApiGatewayV2::Route, Properties: {RouteKey: GET /x, Target: integrations/none}}}".to_owned(), "none"),
        ("Resources: {R: {Type: AWS::ApiGatewayV2::Route, Properties: {RouteKey: GET /x, AuthorizationType: JWT}}}".to_owned(), "authorizers"),
    ];
    for (text, name) in cases {
        let error = refused(&text).to_string();
        assert!(error.contains(name), "{text}: {error}");
    }
}
