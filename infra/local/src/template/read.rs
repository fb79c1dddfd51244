//! From stacks to the model.

use crate::sources::filter::Filters;
use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use super::TemplateError;
use super::intrinsics::{Resolver, scalar};
use super::load::StackTemplate;
use super::model::{
    Bucket, Cors, EventSource, Function, Model, Notification, Plain, Queue, ResourceId, Route,
    ScheduleSource, Site, SourceKind, SqsSource, StreamSource,
};
use super::physical::{Physical, integration_id, last};
use super::properties::Properties;

/// Types that mean nothing on one machine: permissions, dashboards, alarms, retention.
pub(super) const LEFT_OUT: &[&str] = &[
    "AWS::ApiGatewayV2::Stage",
    "AWS::Budgets::Budget",
    "AWS::CloudFormation::WaitConditionHandle",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::CompositeAlarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Policy",
    "AWS::IAM::Role",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::Permission",
    "AWS::Logs::LogGroup",
    "AWS::Logs::MetricFilter",
    "AWS::Logs::QueryDefinition",
    "AWS::Logs::ResourcePolicy",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::Topic",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::SecretsManager::ResourcePolicy",
];

pub(super) fn model(stacks: &[StackTemplate], site: &Site) -> Result<Model, TemplateError> {
    let physical = Physical { site };
    let resolver = Resolver {
        stacks,
        parameters: &site.parameters,
        region: &site.region,
        account_id: &site.account_id,
        attributes: &physical,
    };
    let mut model = Model::default();
    let mut integrations = BTreeMap::new();
    let mut routes = Vec::new();
    for (index, stack) in stacks.iter().enumerate() {
        if !resolver.exists(index)? {
            continue;
        }
        for (logical, resource) in stack.resources() {
            let id = ResourceId { stack: stack.name.clone(), logical: logical.clone() };
            let place = id.to_string();
            let kind = resource["Type"].as_str().unwrap_or_default();
            if !resolver.included(index, resource)? || LEFT_OUT.contains(&kind) {
                continue;
            }
            let declared = match kind {
                "AWS::Serverless::Function" => with_globals(stack, &resource["Properties"]),
                _ => resource["Properties"].clone(),
            };
            let properties = resolver.resolve(index, &declared)?;
            let p = Properties { place: &place, value: &properties };
            let name = || physical.name(&resolver, index, logical);
            let plain = || -> Result<Plain, TemplateError> {
                Ok(Plain { id: id.clone(), name: name()?, properties: properties.clone() })
            };
            match kind {
                "AWS::Serverless::Application" | "AWS::CloudFormation::Stack" => {}
                "AWS::DynamoDB::Table" => model.tables.push(plain()?),
                "AWS::KMS::Key" => model.keys.push(plain()?),
                "AWS::KMS::Alias" => model.aliases.push(plain()?),
                "AWS::SecretsManager::Secret" => model.secrets.push(plain()?),
                "AWS::SSM::Parameter" => model.parameters.push(plain()?),
                "AWS::SQS::Queue" => model.queues.push(queue(p, id.clone(), name()?)),
                "AWS::S3::Bucket" => model.buckets.push(bucket(p, id.clone(), name()?)?),
                "AWS::Serverless::Function" => {
                    let function = function(p, id.clone(), name()?)?;
                    for (event, body) in p.value["Events"].as_object().into_iter().flatten() {
                        let place = format!("{place}.Events.{event}");
                        let kind = body["Type"].as_str().unwrap_or_default();
                        let p = Properties { place: &place, value: &body["Properties"] };
                        model.sources.extend(event_source(p, kind, &function.name, true)?);
                    }
                    model.functions.push(function);
                }
                "AWS::Lambda::EventSourceMapping" => {
                    let function = function_of(p, &p.required("FunctionName")?)?;
                    let arn = p.required("EventSourceArn")?;
                    let kind = if arn.contains(":sqs:") { "SQS" } else { "DynamoDB" };
                    model.sources.extend(event_source(p, kind, &function, false)?);
                }
                "AWS::Events::Rule" => {
                    for target in p.list("Targets") {
                        let function = function_of(p, &target.required("Arn")?)?;
                        let source = schedule(p, "ScheduleExpression", target.text("Input"), false)?;
                        model.sources.extend(source.map(|kind| EventSource {
                            function,
                            by_sam: false,
                            kind,
                        }));
                    }
                }
                "AWS::Scheduler::Schedule" => {
                    let target = p.at("Target");
                    let function = function_of(p, &target.required("Arn")?)?;
                    let source = schedule(p, "ScheduleExpression", target.text("Input"), true)?;
                    model.sources.extend(source.map(|kind| EventSource { function, by_sam: false, kind }));
                }
                "AWS::ApiGatewayV2::Api" => {
                    if p.required("ProtocolType")? != "HTTP" {
                        return Err(p.error("only HTTP APIs are supported"));
                    }
                    model.cors =
                        p.has("CorsConfiguration").then(|| cors(p.at("CorsConfiguration"))).transpose()?;
                }
                "AWS::ApiGatewayV2::Integration" => {
                    integrations.insert(integration_id(&id), integration(p)?);
                }
                "AWS::ApiGatewayV2::Route" => routes.push((id.clone(), properties.clone())),
                kind => return Err(TemplateError::UnknownType { place, kind: kind.to_owned() }),
            }
        }
    }
    for (id, properties) in routes {
        model.routes.push(route(Properties { place: &id.to_string(), value: &properties }, &integrations)?);
    }
    check(&model)?;
    if let Some(outputs) = stacks.first().and_then(|s| s.section("Outputs").as_object()) {
        for (name, output) in outputs {
            if resolver.included(0, output)?
                && let Some(value) = scalar(&resolver.resolve(0, &output["Value"])?)
            {
                model.outputs.insert(name.clone(), value);
            }
        }
    }
    Ok(model)
}

/// Whatever is named must be there: a typo shows at start and not as a message that goes nowhere.
fn check(model: &Model) -> Result<(), TemplateError> {
    let function = |name: &str| model.function(name).is_some();
    let queue = |name: &str| model.queues.iter().any(|q| q.name == name);
    for source in &model.sources {
        let known = match &source.kind {
            SourceKind::Sqs(s) => queue(&s.queue),
            SourceKind::Stream(s) => {
                let table = model.tables.iter().find(|t| t.name == s.table);
                table.is_some_and(|t| !t.properties["StreamSpecification"].is_null())
                    && s.on_failure.as_deref().is_none_or(queue)
            }
            SourceKind::Schedule(_) => true,
        };
        if !known || !function(&source.function) {
            let reason =
                format!("the event source {:?} names something that is not in the templates", source.kind);
            return Err(TemplateError::shape(&source.function, reason));
        }
    }
    for (index, f) in model.functions.iter().enumerate() {
        if model.functions[..index].iter().any(|other| other.name == f.name) {
            return Err(TemplateError::shape(f.id.to_string(), format!("a second function runs {}", f.name)));
        }
    }
    for (index, r) in model.routes.iter().enumerate() {
        if !function(&r.function) {
            return Err(TemplateError::shape(
                &r.path,
                format!("the route's function {} is missing", r.function),
            ));
        }
        if model.routes[..index].iter().any(|o| o.method == r.method && o.path == r.path) {
            return Err(TemplateError::shape(&r.path, format!("{} {} is routed twice", r.method, r.path)));
        }
    }
    for n in model.buckets.iter().flat_map(|b| &b.notifications) {
        if !queue(&n.queue) {
            return Err(TemplateError::shape(
                &n.queue,
                "a bucket announces objects to a queue that is missing",
            ));
        }
    }
    Ok(())
}

/// SAM's rule: maps merge, lists add up, anything else is replaced by the function's own value.
pub(super) fn with_globals(stack: &StackTemplate, own: &Value) -> Value {
    fn merge(global: &Value, own: &Value) -> Value {
        match (global, own) {
            (global, Value::Null) => global.clone(),
            (Value::Object(global), Value::Object(own)) if !is_intrinsic(global) && !is_intrinsic(own) => {
                let mut out = global.clone();
                for (key, value) in own {
                    let merged = merge(out.get(key).unwrap_or(&Value::Null), value);
                    out.insert(key.clone(), merged);
                }
                Value::Object(out)
            }
            (Value::Array(global), Value::Array(own)) => global.iter().chain(own).cloned().collect(),
            (_, own) => own.clone(),
        }
    }
    fn is_intrinsic(map: &Map<String, Value>) -> bool {
        map.keys().any(|k| k == "Ref" || k.starts_with("Fn::"))
    }
    merge(&stack.section("Globals")["Function"], own)
}

fn function(p: Properties<'_>, id: ResourceId, name: String) -> Result<Function, TemplateError> {
    if p.text("Runtime").is_some_and(|r| !r.starts_with("provided.")) || p.text("PackageType").is_some() {
        return Err(p.error("only functions with the runtime provided.* are supported"));
    }
    let variables = p.value["Environment"]["Variables"].as_object();
    let env = variables.into_iter().flatten().map(|(key, value)| match scalar(value) {
        Some(value) => Ok((key.clone(), value)),
        None => Err(p.error(format!("the variable {key} is not a single value"))),
    });
    Ok(Function {
        env: env.collect::<Result<_, _>>()?,
        memory_mb: p.number("MemorySize")?.unwrap_or(128),
        timeout: Duration::from_secs(p.number("Timeout")?.unwrap_or(3)),
        reserved_concurrency: p.number("ReservedConcurrentExecutions")?,
        policies: p.value["Policies"].clone(),
        id,
        name,
    })
}

fn queue(p: Properties<'_>, id: ResourceId, name: String) -> Queue {
    let mut attributes = BTreeMap::new();
    for (key, value) in p.value.as_object().into_iter().flatten() {
        let value = match (key.as_str(), scalar(value)) {
            ("QueueName" | "Tags", _) => continue,
            (_, Some(text)) => text,
            (_, None) => value.to_string(),
        };
        attributes.insert(key.clone(), value);
    }
    Queue { id, name, attributes }
}

fn bucket(p: Properties<'_>, id: ResourceId, name: String) -> Result<Bucket, TemplateError> {
    let configuration = p.at("NotificationConfiguration");
    for other in ["LambdaConfigurations", "TopicConfigurations", "EventBridgeConfiguration"] {
        if configuration.has(other) {
            return Err(p.error(format!("{other} is not supported: announce objects to a queue")));
        }
    }
    let mut notifications = Vec::new();
    for entry in configuration.list("QueueConfigurations") {
        let mut n = Notification {
            event: entry.required("Event")?,
            prefix: String::new(),
            suffix: String::new(),
            queue: last(&entry.required("Queue")?, ':'),
        };
        for rule in entry.at("Filter").at("S3Key").list("Rules") {
            match rule.required("Name")?.to_lowercase().as_str() {
                "prefix" => n.prefix = rule.required("Value")?,
                "suffix" => n.suffix = rule.required("Value")?,
                other => return Err(p.error(format!("unknown filter rule {other}"))),
            }
        }
        notifications.push(n);
    }
    Ok(Bucket { id, name, notifications })
}

fn event_source(
    p: Properties<'_>,
    kind: &str,
    function: &str,
    by_sam: bool,
) -> Result<Option<EventSource>, TemplateError> {
    if kind != "DynamoDB" && p.has("FilterCriteria") {
        return Err(p.error("FilterCriteria is supported for streams only"));
    }
    if p.flag("Enabled")? == Some(false) {
        return Ok(None);
    }
    let window = Duration::from_secs(p.number("MaximumBatchingWindowInSeconds")?.unwrap_or(0));
    let report_failures = p.texts("FunctionResponseTypes").iter().any(|t| t == "ReportBatchItemFailures");
    let source = |own: &str| p.text(own).or_else(|| p.text("EventSourceArn"));
    let kind = match kind {
        "SQS" => {
            let arn = source("Queue").ok_or_else(|| p.error("Queue is missing"))?;
            let batch_size = p.number("BatchSize")?.unwrap_or(10);
            if !(1..=10_000).contains(&batch_size) || batch_size > 10 && window.is_zero() {
                return Err(p.error("BatchSize is 1 to 10,000, and above 10 needs a batching window"));
            }
            SourceKind::Sqs(SqsSource {
                queue: last(&arn, ':'),
                batch_size,
                window,
                report_failures,
                max_concurrency: p.at("ScalingConfig").number("MaximumConcurrency")?,
            })
        }
        "DynamoDB" => {
            let arn = source("Stream").ok_or_else(|| p.error("Stream is missing"))?;
            let table = arn.split('/').nth(1).ok_or_else(|| p.error(format!("not a stream: {arn}")))?;
            let from_start = match p.required("StartingPosition")?.as_str() {
                "TRIM_HORIZON" => true,
                "LATEST" => false,
                other => return Err(p.error(format!("StartingPosition {other} is not supported"))),
            };
            let retries: Option<i64> = p.number("MaximumRetryAttempts")?;
            let criteria = p.at("FilterCriteria");
            let patterns = criteria.list("Filters").map(|f| f.required("Pattern"));
            let filters = Filters::parse(patterns.collect::<Result<Vec<_>, _>>()?).map_err(|e| p.error(e))?;
            let destination = p.at("DestinationConfig").at("OnFailure").text("Destination");
            SourceKind::Stream(StreamSource {
                table: table.to_owned(),
                from_start,
                batch_size: p.number("BatchSize")?.unwrap_or(100),
                window,
                max_retries: retries.and_then(|n| u32::try_from(n).ok()),
                bisect: p.flag("BisectBatchOnFunctionError")?.unwrap_or(false),
                report_failures,
                on_failure: destination.map(|arn| last(&arn, ':')),
                filters,
            })
        }
        "Schedule" => match schedule(p, "Schedule", p.text("Input"), false)? {
            Some(kind) => kind,
            None => return Ok(None),
        },
        "ScheduleV2" => match schedule(p, "ScheduleExpression", p.text("Input"), true)? {
            Some(kind) => kind,
            None => return Ok(None),
        },
        other => {
            return Err(p.error(format!(
                "events of type {other} are not supported; a route is an ApiGatewayV2 integration and route"
            )));
        }
    };
    Ok(Some(EventSource { function: function.to_owned(), by_sam, kind }))
}

fn schedule(
    p: Properties<'_>,
    key: &str,
    input: Option<String>,
    scheduler: bool,
) -> Result<Option<SourceKind>, TemplateError> {
    if p.text("State").is_some_and(|s| s == "DISABLED") || !p.has(key) {
        return Ok(None);
    }
    if p.text("ScheduleExpressionTimezone").is_some_and(|z| z != "UTC") {
        return Err(p.error("only schedules in UTC are supported"));
    }
    Ok(Some(SourceKind::Schedule(ScheduleSource { expression: p.required(key)?, input, scheduler })))
}

fn cors(p: Properties<'_>) -> Result<Cors, TemplateError> {
    Ok(Cors {
        allow_origins: p.texts("AllowOrigins"),
        allow_methods: p.texts("AllowMethods"),
        allow_headers: p.texts("AllowHeaders"),
        expose_headers: p.texts("ExposeHeaders"),
        max_age: p.number("MaxAge")?,
        allow_credentials: p.flag("AllowCredentials")?.unwrap_or(false),
    })
}

/// An integration's function and time-out.
fn integration(p: Properties<'_>) -> Result<(String, Duration), TemplateError> {
    if p.required("IntegrationType")? != "AWS_PROXY" || p.required("PayloadFormatVersion")? != "2.0" {
        return Err(p.error("only AWS_PROXY integrations with payload format 2.0 are supported"));
    }
    let function = function_of(p, &p.required("IntegrationUri")?)?;
    Ok((function, Duration::from_millis(p.number("TimeoutInMillis")?.unwrap_or(30_000))))
}

fn route(
    p: Properties<'_>,
    integrations: &BTreeMap<String, (String, Duration)>,
) -> Result<Route, TemplateError> {
    if p.text("AuthorizationType").is_some_and(|t| t != "NONE") {
        return Err(p.error("authorizers are not supported: functions authenticate their callers"));
    }
    let key = p.required("RouteKey")?;
    let (method, path) = match key.split_once(' ') {
        Some((method, path)) => (method, path),
        None if key == "$default" => ("ANY", "$default"),
        None => return Err(p.error(format!("RouteKey {key} is not a method and a path"))),
    };
    let target = p.required("Target")?;
    let target = target.strip_prefix("integrations/").unwrap_or(&target);
    let (function, timeout) =
        integrations.get(target).ok_or_else(|| p.error(format!("Target {target} is not an integration")))?;
    Ok(Route {
        method: method.to_owned(),
        path: path.to_owned(),
        function: function.clone(),
        timeout: *timeout,
    })
}

/// The function's name in a name, an ARN, or an API Gateway invocation ARN.
fn function_of(p: Properties<'_>, reference: &str) -> Result<String, TemplateError> {
    let name = match reference.rsplit_once(":function:") {
        Some((_, rest)) => rest.split(['/', ':']).next().unwrap_or(rest),
        None => reference,
    };
    if name.is_empty() || name.contains([':', '/']) {
        return Err(p.error(format!("{reference} is not a function")));
    }
    Ok(name.to_owned())
}
