//! Crates and functions, routes, queues, logs and alarms.

use std::collections::{BTreeMap, BTreeSet};

use local::template::model::SourceKind;
use serde_json::Value;
use template_tests::{Trigger, json, model, of_type, packages, resources, trigger};

/// CloudFormation takes 500; a stack that comes near it cannot be changed in one step.
const MOST_RESOURCES: usize = 300;
/// SQS: long enough that a message outlives five receives of a long visibility.
const FOURTEEN_DAYS: &str = "1209600";

#[test]
fn every_crate_under_functions_is_a_function_and_every_function_a_crate() {
    let crates: BTreeSet<String> = packages().into_iter().collect();
    let functions: BTreeSet<String> = model("dev").functions.into_iter().map(|f| f.name).collect();
    assert_eq!(crates, functions);
    for (stack, logical, function) in of_type("AWS::Serverless::Function") {
        let code = function["Properties"]["CodeUri"].as_str().unwrap();
        assert!(code.starts_with("../target/lambda/"), "{stack}/{logical}: {code}");
    }
}

#[test]
fn every_function_is_invoked_by_something() {
    let model = model("dev");
    for function in &model.functions {
        if let Trigger::Events(sources) = trigger(&model, function) {
            assert!(!sources.is_empty(), "{} has neither a route nor an event source", function.name);
        }
    }
}

#[test]
fn every_environment_reads_as_a_whole() {
    for environment in ["dev", "staging", "prod"] {
        let model = model(environment);
        for table in &model.tables {
            assert!(table.name.starts_with(&format!("piecework-{environment}-")), "{}", table.name);
            let prod = Value::from(environment == "prod");
            assert_eq!(table.properties["DeletionProtectionEnabled"], prod);
            assert_eq!(
                table.properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"],
                prod
            );
            assert_eq!(table.properties["SSESpecification"]["SSEEnabled"], true);
        }
        let secrets = usize::from(environment != "dev");
        assert_eq!(model.secrets.len(), secrets, "the key of cursors is a secret outside dev");
    }
}

#[test]
fn no_route_stands_twice_and_the_api_description_has_the_same_ones() {
    let mut routed = BTreeSet::new();
    for route in model("dev").routes {
        let name =
            if route.path == "$default" { route.path } else { format!("{} {}", route.method, route.path) };
        assert!(routed.insert(name.clone()), "{name} is routed twice");
    }
    assert!(routed.remove("$default"), "what no route takes needs an answer too");
    let document = json("openapi.json");
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        described.extend(item.as_object().unwrap().keys().map(|m| format!("{} {path}", m.to_uppercase())));
    }
    assert_eq!(described, routed, "openapi.json, and the templates' routes");
}

#[test]
fn the_api_may_invoke_each_routes_function_for_that_route_only() {
    let mut allowed = BTreeMap::new();
    for (stack, logical, permission) in of_type("AWS::Lambda::Permission") {
        let p = &permission["Properties"];
        assert_eq!(p["Principal"], "apigateway.amazonaws.com", "{stack}/{logical}");
        let source = p["SourceArn"]["Fn::Sub"].as_str().unwrap().strip_prefix("${ApiArn}/*/").unwrap();
        let function = p["FunctionName"]["Ref"].as_str().unwrap();
        allowed.insert((stack, function, source.to_owned()), false);
    }
    for (stack, logical, route) in of_type("AWS::ApiGatewayV2::Route") {
        let key = route["Properties"]["RouteKey"].as_str().unwrap();
        let target = route["Properties"]["Target"]["Fn::Sub"].as_str().unwrap();
        let function =
            target.strip_prefix("integrations/${").and_then(|t| t.strip_suffix("Integration}")).unwrap();
        let path =
            key.split('/').map(|s| if s.starts_with('{') { "*" } else { s }).collect::<Vec<_>>().join("/");
        let used = allowed.get_mut(&(stack, function, path.replacen(' ', "", 1)));
        *used.unwrap_or_else(|| panic!("{stack}/{logical}: the API may not invoke {function} for {key}")) =
            true;
    }
    let unused: Vec<_> = allowed.iter().filter(|(_, used)| !**used).map(|(key, _)| key).collect();
    assert!(unused.is_empty(), "permissions without a route: {unused:?}");
}

#[test]
fn every_queue_waits_long_enough_and_ends_in_a_dead_letter_queue_with_an_alarm() {
    let model = model("prod");
    let timeouts: BTreeMap<&str, u64> = model
        .sources
        .iter()
        .filter_map(|s| match &s.kind {
            SourceKind::Sqs(sqs) => {
                Some((sqs.queue.as_str(), model.function(&s.function)?.timeout.as_secs()))
            }
            _ => None,
        })
        .collect();
    let watched: BTreeSet<(&str, &str)> = of_type("AWS::CloudWatch::Alarm")
        .filter(|(_, _, a)| a["Properties"]["MetricName"] == "ApproximateNumberOfMessagesVisible")
        .map(|(stack, _, a)| {
            (stack, a["Properties"]["Dimensions"][0]["Value"]["Fn::GetAtt"][0].as_str().unwrap())
        })
        .collect();
    for queue in &model.queues {
        let attribute = |name: &str| queue.attributes.get(name).map(String::as_str);
        assert_eq!(attribute("SqsManagedSseEnabled"), Some("true"), "{}", queue.name);
        let Some(timeout) = timeouts.get(queue.name.as_str()) else {
            // Nobody reads it: a dead-letter queue, or where a stream's lost batches go.
            assert!(queue.name.ends_with("-dead"), "{} is read by nobody", queue.name);
            assert_eq!(attribute("MessageRetentionPeriod"), Some(FOURTEEN_DAYS), "{}", queue.name);
            let place = (queue.id.stack.as_str(), queue.id.logical.as_str());
            assert!(watched.contains(&place), "{} has no alarm", queue.name);
            continue;
        };
        let visibility: u64 = attribute("VisibilityTimeout").unwrap_or("30").parse().unwrap();
        assert!(visibility >= 6 * timeout, "{}: {visibility} s for a function of {timeout} s", queue.name);
        let redrive: Value = serde_json::from_str(attribute("RedrivePolicy").unwrap_or_default()).unwrap();
        assert_eq!(redrive["maxReceiveCount"], 5, "{}", queue.name);
        let target = redrive["deadLetterTargetArn"].as_str().unwrap();
        assert!(target.ends_with(&format!(":{}-dead", queue.name)), "{} → {target}", queue.name);
    }
}

#[test]
fn the_health_page_shows_every_queue_and_events_go_to_queues_that_are_read() {
    let model = model("dev");
    let setting = |function: &str, name: &str| -> BTreeMap<String, Value> {
        serde_json::from_str(&model.function(function).unwrap().env[name]).unwrap()
    };
    let last = |url: &Value| url.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let shown: BTreeSet<String> = setting("ops-get-health", "QUEUES").values().map(last).collect();
    let queues: BTreeSet<String> = model.queues.iter().map(|q| q.name.clone()).collect();
    assert_eq!(shown, queues, "GET /v1/health, and the templates' queues");
    let areas: Vec<BTreeMap<String, Value>> =
        serde_json::from_str(&model.function("ops-dispatch-events").unwrap().env["SUBSCRIPTIONS"]).unwrap();
    for (kind, subscribers) in areas.into_iter().flatten() {
        for subscriber in subscribers.as_array().unwrap() {
            let queue = last(subscriber);
            let read = |kind: &SourceKind| matches!(kind, SourceKind::Sqs(s) if s.queue == queue);
            assert!(
                model.sources.iter().any(|s| read(&s.kind)),
                "{kind} goes to {queue}, which nobody reads"
            );
        }
    }
}

#[test]
fn every_batch_answers_message_by_message() {
    for source in model("dev").sources {
        let reports = match &source.kind {
            SourceKind::Sqs(s) => s.report_failures,
            SourceKind::Stream(s) => s.report_failures && s.bisect && s.on_failure.is_some(),
            SourceKind::Schedule(_) => true,
        };
        assert!(reports, "{} fails as a whole batch", source.function);
    }
}

#[test]
fn every_function_keeps_its_log_for_a_bounded_time() {
    for (stack, logical, function) in of_type("AWS::Serverless::Function") {
        let group = function["Properties"]["LoggingConfig"]["LogGroup"]["Ref"].as_str();
        let group = resources().find(|(s, l, _)| *s == stack && Some(*l) == group);
        let (_, _, group) = group.unwrap_or_else(|| panic!("{stack}/{logical} has no log group"));
        assert_eq!(group["Properties"]["RetentionInDays"]["Ref"], "LogRetentionDays", "{stack}/{logical}");
        let package = function["Properties"]["CodeUri"].as_str().unwrap().rsplit('/').next().unwrap();
        let name = group["Properties"]["LogGroupName"]["Fn::Sub"].as_str().unwrap();
        assert_eq!(name, format!("/piecework/${{Environment}}/{package}"));
    }
}

#[test]
fn every_processors_errors_raise_an_alarm() {
    let model = model("dev");
    let watched: BTreeSet<(&str, &str)> = of_type("AWS::CloudWatch::Alarm")
        .filter(|(_, _, a)| a["Properties"]["MetricName"] == "Errors")
        .map(|(stack, _, a)| (stack, a["Properties"]["Dimensions"][0]["Value"]["Ref"].as_str().unwrap()))
        .collect();
    for function in &model.functions {
        // A route's failures are the API's, and have their alarm in the root.
        if matches!(trigger(&model, function), Trigger::Events(_)) {
            let place = (function.id.stack.as_str(), function.id.logical.as_str());
            assert!(watched.contains(&place), "{} has no alarm", function.name);
        }
    }
}

#[test]
fn an_http_function_ends_before_the_gateway_gives_up() {
    let model = model("dev");
    for route in &model.routes {
        let function = model.function(&route.function).unwrap();
        assert!(function.timeout < route.timeout, "{}: {:?}", function.name, function.timeout);
    }
}

#[test]
fn every_stack_has_room_to_grow() {
    let mut sizes = BTreeMap::<&str, usize>::new();
    for (stack, _, resource) in resources() {
        // SAM adds a role to a function, and a rule and a permission to a schedule.
        let added = match resource["Type"].as_str() {
            Some("AWS::Serverless::Function") => {
                1 + 2 * resource["Properties"]["Events"].as_object().map_or(0, serde_json::Map::len)
            }
            _ => 0,
        };
        *sizes.entry(stack).or_default() += 1 + added;
    }
    for (stack, size) in sizes {
        assert!(size < MOST_RESOURCES, "{stack} has {size} resources: split it");
    }
}

#[test]
fn what_is_costly_or_worth_guessing_at_is_under_the_strict_rate_limits_and_every_operation_says_429() {
    let described = json("openapi.json");
    let mut strict = 0;
    for (path, item) in described["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let guarded = ["/v1/verify", "/v1/me/export", "/v1/ai/", "/v1/auth/"].iter().any(|p| {
                match p.strip_suffix('/') {
                    Some(_) => path.starts_with(p),
                    None => path == p,
                }
            });
            // Whatever spends or holds credits or money.
            let spends = [
                "/v1/verification/tasks",
                "/v1/verification/uploads",
                "/v1/payments/paddle/checkout",
                "/v1/payments/payfast/initiate",
            ];
            let guarded = guarded || method == "post" && spends.contains(&path.as_str());
            let class = if guarded { "strict" } else { "standard" };
            assert_eq!(operation["x-rate-limit"], class, "{method} {path}");
            strict += usize::from(guarded);
            let headers = operation["responses"]["429"]["headers"].as_object();
            let headers: BTreeSet<&str> =
                headers.into_iter().flat_map(|h| h.keys()).map(String::as_str).collect();
            assert_eq!(headers, ["ratelimit", "ratelimit-policy", "retry-after"].into(), "{method} {path}");
        }
    }
    assert!(strict > 0);
}
