//! Spans: what a function did, when, and caused by what. Where `TRACES=log`, each goes into the log as one line of OTLP/JSON, the
//! form that an OpenTelemetry collector reads from files (P17; `docs/decisions/traces.md`).

use std::{
    io::Write as _,
    sync::OnceLock,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use piecework_core::{Settings, trace::SpanContext};
use serde_json::{Value, json};

/// The function's name, if its spans are recorded.
static RECORDED_FOR: OnceLock<String> = OnceLock::new();

/// What a span is to the one before it; the numbers are OTLP's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// Work that nobody asked for: a schedule.
    Internal = 1,
    /// The answer to a request.
    Server = 2,
    /// The handling of a message.
    Consumer = 5,
}

/// A span under way.
#[derive(Debug)]
pub struct Span {
    kind: SpanKind,
    parent: Option<u64>,
    context: SpanContext,
    at: SystemTime,
    clock: Instant,
}

/// Reads `TRACES`.
pub(crate) fn init(settings: &Settings) {
    if settings.text("TRACES") == Some("log") {
        // A second start in one process (a test) keeps the first's name.
        let _ = RECORDED_FOR.set(settings.text("AWS_LAMBDA_FUNCTION_NAME").unwrap_or("function").to_owned());
    }
}

impl Span {
    /// Begins a span under `parent`, or at the root of Lambda's own trace, whose header is `xray`.
    pub fn begin(kind: SpanKind, parent: Option<SpanContext>, xray: Option<&str>) -> Self {
        let context = match parent {
            Some(parent) => parent.child(),
            None => xray.and_then(SpanContext::from_xray).unwrap_or_else(SpanContext::root),
        };
        Self { kind, parent: parent.map(|p| p.span), context, at: SystemTime::now(), clock: Instant::now() }
    }

    /// Its place in the trace, for [`piecework_core::trace::scope`].
    pub fn context(&self) -> SpanContext {
        self.context
    }

    /// Ends it, and records it if that is wanted: then `describe` gives its name and attributes. No personal data.
    pub fn end(self, failed: bool, describe: impl FnOnce() -> (String, Vec<(&'static str, Value)>)) {
        let Some(service) = RECORDED_FOR.get().filter(|_| self.context.sampled) else { return };
        let (name, attributes) = describe();
        let line = format!("{}\n", self.line(service, &name, attributes, failed));
        // A log that cannot be written is no reason to fail.
        let _ = std::io::stdout().lock().write_all(line.as_bytes());
    }

    fn line(&self, service: &str, name: &str, attributes: Vec<(&'static str, Value)>, failed: bool) -> Value {
        let started = self.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let ended = started + self.clock.elapsed();
        let mut span = json!({
            "traceId": format!("{:032x}", self.context.trace),
            "spanId": format!("{:016x}", self.context.span),
            "name": name,
            "kind": self.kind as u8,
            // 64-bit numbers are text in OTLP/JSON, as in all of protobuf's JSON.
            "startTimeUnixNano": started.as_nanos().to_string(),
            "endTimeUnixNano": ended.as_nanos().to_string(),
            "attributes": attributes.into_iter().map(attribute).collect::<Vec<_>>(),
            "status": if failed { json!({ "code": 2 }) } else { json!({}) },
        });
        if let Some(parent) = self.parent {
            span["parentSpanId"] = format!("{parent:016x}").into();
        }
        let resource = [
            ("service.name", service.into()),
            ("service.namespace", "piecework".into()),
            ("cloud.provider", "aws".into()),
        ];
        json!({ "resourceSpans": [{
            "resource": { "attributes": resource.map(attribute) },
            "scopeSpans": [{ "scope": { "name": "piecework" }, "spans": [span] }],
        }] })
    }
}

fn attribute((name, value): (&str, Value)) -> Value {
    let value = match value {
        Value::Number(number) if number.is_i64() || number.is_u64() => {
            json!({ "intValue": number.to_string() })
        }
        Value::Bool(flag) => json!({ "boolValue": flag }),
        Value::String(text) => json!({ "stringValue": text }),
        other => json!({ "stringValue": other.to_string() }),
    };
    json!({ "key": name, "value": value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_line_of_otlp_json() {
        let parent = SpanContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        let span =
            Span::begin(SpanKind::Consumer, Some(parent), Some("Root=1-5759e988-bd862e3fe1be46a994272793"));
        let attributes = vec![("http.response.status_code", 503.into()), ("http.route", "/v1/x".into())];
        let line = span.line("verify-get-task", "GET /v1/x", attributes, true);
        assert!(!line.to_string().contains('\n'));
        let resource = &line["resourceSpans"][0];
        assert_eq!(
            resource["resource"]["attributes"][0],
            json!({ "key": "service.name", "value": { "stringValue": "verify-get-task" } })
        );
        let span = &resource["scopeSpans"][0]["spans"][0];
        assert_eq!(span["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(span["parentSpanId"], "00f067aa0ba902b7");
        assert_eq!((&span["kind"], &span["status"]["code"]), (&json!(5), &json!(2)));
        assert_eq!(span["attributes"][0]["value"], json!({ "intValue": "503" }));
        let nanos = |name: &str| span[name].as_str().unwrap().parse::<u128>().unwrap();
        assert!(nanos("startTimeUnixNano") <= nanos("endTimeUnixNano"));
        let root = Span::begin(SpanKind::Server, None, Some("Root=1-5759e988-bd862e3fe1be46a994272793"));
        let line = root.line("f", "n", Vec::new(), false);
        let span = &line["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!(span["traceId"], "5759e988bd862e3fe1be46a994272793");
        assert!(span.get("parentSpanId").is_none());
    }
}
