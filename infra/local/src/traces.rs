//! Spans: functions write them into their logs where `TRACES=log`; here they go to a file of OTLP/JSON lines instead, as a
//! collector's file receiver reads them, and are shown as trees.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use local_lambda::{InvocationReport, LogSink};
use serde::Deserialize;

use crate::Error;

/// The file in the data folder.
pub const FILE: &str = "traces.jsonl";
/// A file longer than this is begun anew when the stack starts.
const LONGEST: u64 = 64 << 20;
/// How a line with spans begins.
const BEGINS: &str = "{\"resourceSpans\":";

/// Takes spans out of what functions write.
pub(crate) struct Spans {
    rest: Arc<dyn LogSink>,
    lines: Sender<String>,
}

impl Spans {
    /// Spans go to the file at `path`, everything else to `rest`.
    pub(crate) fn to(path: &Path, rest: Arc<dyn LogSink>) -> Result<Self, Error> {
        let long = std::fs::metadata(path).is_ok_and(|m| m.len() > LONGEST);
        let mut file = OpenOptions::new().create(true).append(!long).write(true).truncate(long).open(path)?;
        let (lines, received) = channel::<String>();
        // A thread of its own, so that a slow disk never holds an invocation up.
        std::thread::spawn(move || {
            for mut line in received {
                line.push('\n');
                if let Err(error) = file.write_all(line.as_bytes()) {
                    tracing::warn!(%error, "a span is lost");
                }
            }
        });
        Ok(Self { rest, lines })
    }
}

impl LogSink for Spans {
    fn line(&self, function: &str, sandbox: u64, line: &str) {
        if line.starts_with(BEGINS) {
            let _ = self.lines.send(line.to_owned());
        } else {
            self.rest.line(function, sandbox, line);
        }
    }

    fn report(&self, report: &InvocationReport) {
        self.rest.report(report);
    }
}

/// A span as it was recorded.
#[derive(Debug, Clone)]
pub struct Span {
    /// Its trace, 32 hexadecimal digits.
    pub trace: String,
    /// Its id, 16 hexadecimal digits.
    pub id: String,
    /// The id of the span that caused it.
    pub parent: Option<String>,
    /// What was done.
    pub name: String,
    /// The function that did it.
    pub function: String,
    /// Nanoseconds since 1970.
    pub start: u64,
    /// Nanoseconds since 1970.
    pub end: u64,
    /// Whether it failed.
    pub failed: bool,
    /// Its attributes as text.
    pub attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    resource_spans: Vec<ResourceSpans>,
}
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans {
    resource: Resource,
    scope_spans: Vec<ScopeSpans>,
}
#[derive(Deserialize)]
struct Resource {
    attributes: Vec<Attribute>,
}
#[derive(Deserialize)]
struct ScopeSpans {
    spans: Vec<Recorded>,
}
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recorded {
    trace_id: String,
    span_id: String,
    parent_span_id: Option<String>,
    name: String,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<Attribute>,
    status: Status,
}
#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    code: u8,
}
#[derive(Deserialize)]
struct Attribute {
    key: String,
    value: BTreeMap<String, serde_json::Value>,
}

fn texts(attributes: Vec<Attribute>) -> BTreeMap<String, String> {
    let text = |value: serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    attributes.into_iter().filter_map(|a| Some((a.key, text(a.value.into_values().next()?)))).collect()
}

/// The spans of a file, in the order of their ends.
///
/// # Errors
/// If the file cannot be read, or a line of it is no OTLP/JSON.
pub fn read(path: &Path) -> Result<Vec<Span>, Error> {
    let mut spans = Vec::new();
    for line in BufReader::new(File::open(path)?).lines() {
        let Line { resource_spans } = serde_json::from_str(&line?)?;
        for ResourceSpans { resource, scope_spans } in resource_spans {
            let function = texts(resource.attributes).remove("service.name").unwrap_or_default();
            for span in scope_spans.into_iter().flat_map(|scope| scope.spans) {
                spans.push(Span {
                    trace: span.trace_id,
                    id: span.span_id,
                    parent: span.parent_span_id,
                    name: span.name,
                    function: function.clone(),
                    start: span.start_time_unix_nano.parse().unwrap_or_default(),
                    end: span.end_time_unix_nano.parse().unwrap_or_default(),
                    failed: span.status.code == 2,
                    attributes: texts(span.attributes),
                });
            }
        }
    }
    Ok(spans)
}

/// The traces of which `wanted` is the id or a correlation id, as trees with durations.
///
/// # Errors
/// If the file cannot be read or there is no such trace.
pub fn show(path: &Path, wanted: &str) -> Result<String, Error> {
    let mut traces: BTreeMap<String, Vec<Span>> = BTreeMap::new();
    for span in read(path)? {
        traces.entry(span.trace.clone()).or_default().push(span);
    }
    let correlated =
        |span: &Span| span.attributes.get("piecework.correlation_id").is_some_and(|id| id == wanted);
    traces.retain(|id, spans| id == wanted || spans.iter().any(correlated));
    if traces.is_empty() {
        return Err(Error::NoResource(format!("trace or correlation id {wanted} in {}", path.display())));
    }
    let mut text = String::new();
    for (id, mut spans) in traces {
        spans.sort_by_key(|span| span.start);
        let begun = spans.first().map_or(0, |span| span.start);
        let ended = spans.iter().map(|span| span.end).max().unwrap_or(begun);
        let _ = writeln!(text, "trace {id}: {} spans, {}", spans.len(), milliseconds(ended - begun));
        let is_root = |span: &&Span| !spans.iter().any(|other| Some(&other.id) == span.parent.as_ref());
        for root in spans.iter().filter(is_root) {
            branch(&mut text, &spans, root, begun, 0);
        }
    }
    Ok(text.trim_end().to_owned())
}

fn branch(text: &mut String, spans: &[Span], span: &Span, begun: u64, depth: usize) {
    let name = format!("{}{}", "  ".repeat(depth), span.name);
    let took = milliseconds(span.end.saturating_sub(span.start));
    let at = milliseconds(span.start.saturating_sub(begun));
    let failed = if span.failed { "  failed" } else { "" };
    let _ = writeln!(text, "  {name:<48} {:<24} at {at:>10}, took {took:>10}{failed}", span.function);
    for child in spans.iter().filter(|other| other.parent.as_deref() == Some(&span.id)) {
        branch(text, spans, child, begun, depth + 1);
    }
}

fn milliseconds(nanoseconds: u64) -> String {
    format!("{:.1} ms", nanoseconds as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: &str, parent: Option<&str>, name: &str, start: u64) -> String {
        let mut span = serde_json::json!({
            "traceId": "aa", "spanId": id, "name": name, "kind": 2, "status": {},
            "startTimeUnixNano": (start * 1_000_000).to_string(),
            "endTimeUnixNano": (start * 1_000_000 + 500_000).to_string(),
            "attributes": [{ "key": "piecework.correlation_id", "value": { "stringValue": "order-1" } }],
        });
        if let Some(parent) = parent {
            span["parentSpanId"] = parent.into();
        }
        serde_json::json!({ "resourceSpans": [{
            "resource": { "attributes": [{ "key": "service.name", "value": { "stringValue": "f" } }] },
            "scopeSpans": [{ "spans": [span] }],
        }] })
        .to_string()
    }

    #[test]
    fn a_trace_is_a_tree_by_causes_and_within_them_by_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let lines = [
            line("3", Some("2"), "third", 30),
            line("4", Some("1"), "fourth", 40),
            line("2", Some("1"), "second", 20),
            line("1", Some("0"), "first", 10),
        ];
        std::fs::write(&path, lines.join("\n")).unwrap();
        for wanted in ["aa", "order-1"] {
            let text = show(&path, wanted).unwrap();
            let names: Vec<&str> = text.lines().map(|l| l.split_whitespace().next().unwrap()).collect();
            assert_eq!(names, ["trace", "first", "second", "third", "fourth"], "{text}");
            assert!(text.starts_with("trace aa: 4 spans, 30.5 ms\n"), "{text}");
            assert!(text.contains("\n      third ") && text.contains("\n    fourth "), "{text}");
        }
        assert!(show(&path, "order-2").is_err());
    }
}
