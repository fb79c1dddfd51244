//! Log lines: one flat JSON object a line, with the fields of the event and then those of the spans around it (P11).
//!
//! `tracing-subscriber` has a JSON format of its own, which reads the fields of every span back from text for each line. A span's
//! fields are kept here as a piece of JSON that only has to be copied, so that a line costs a few microseconds
//! (`docs/benchmarks.md`, warm time).

use std::fmt::{self, Debug};

use jiff::Timestamp;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::Record,
};
use tracing_subscriber::{
    field::RecordFields,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    registry::LookupSpan,
};

use crate::metrics;

/// The format of lines and of what they take from spans.
pub(crate) struct JsonLine {
    /// `,"function":"<name>"`, or nothing outside Lambda.
    function: String,
}

/// Fields as `,"name":value` one after another.
pub(crate) struct JsonMembers;

impl JsonLine {
    /// Lines of the function of this name.
    pub(crate) fn of(function: Option<&str>) -> Self {
        let mut text = String::new();
        if let Some(name) = function {
            // A String takes everything.
            let _ = Members::new(&mut text).text("function", name);
        }
        Self { function: text }
    }
}

impl<S> FormatEvent<S, JsonMembers> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonMembers>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        out.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut out)?;
        write!(out, "\",\"level\":\"{}\"{}", event.metadata().level(), self.function)?;
        if let Some(set) = metrics::directive(event.metadata().target()) {
            let at = Timestamp::now().as_millisecond();
            write!(out, ",\"_aws\":{{\"Timestamp\":{at},\"CloudWatchMetrics\":{set}}}")?;
        }
        context.format_fields(out.by_ref(), event)?;
        for span in context.event_scope().into_iter().flatten() {
            if let Some(fields) = span.extensions().get::<FormattedFields<JsonMembers>>() {
                out.write_str(fields)?;
            }
        }
        out.write_str("}\n")
    }
}

impl<'writer> FormatFields<'writer> for JsonMembers {
    fn format_fields<R: RecordFields>(&self, mut out: Writer<'writer>, fields: R) -> fmt::Result {
        let mut members = Members::new(&mut out);
        fields.record(&mut members);
        members.result
    }

    fn add_fields(&self, current: &'writer mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        self.format_fields(current.as_writer(), fields)
    }
}

struct Members<'a> {
    out: &'a mut dyn fmt::Write,
    result: fmt::Result,
}

impl<'a> Members<'a> {
    fn new(out: &'a mut dyn fmt::Write) -> Self {
        Self { out, result: Ok(()) }
    }

    fn name(&mut self, name: &str) -> fmt::Result {
        self.out.write_str(",\"")?;
        self.out.write_str(name)?;
        self.out.write_str("\":")
    }

    fn text(&mut self, name: &str, value: &str) -> fmt::Result {
        self.name(name)?;
        // Most texts are as they stand.
        if value.bytes().all(|octet| octet >= b' ' && octet != b'"' && octet != b'\\') {
            self.out.write_char('"')?;
            self.out.write_str(value)?;
            return self.out.write_char('"');
        }
        self.out.write_str(&serde_json::to_string(value).map_err(|_| fmt::Error)?)
    }

    fn plain(&mut self, field: &Field, value: impl fmt::Display) {
        self.and(|to| {
            to.name(field.name())?;
            write!(to.out, "{value}")
        });
    }

    fn and(&mut self, write: impl FnOnce(&mut Self) -> fmt::Result) {
        if self.result.is_ok() {
            self.result = write(self);
        }
    }
}

impl Visit for Members<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no NaN and no infinity.
        if value.is_finite() {
            self.plain(field, value);
        }
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, value);
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, value);
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, value);
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.and(|to| to.text(field.name(), value));
    }
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.and(|to| to.text(field.name(), &format!("{value:?}")));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use serde_json::Value;
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(octets)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Lines {
        type Writer = Self;
        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    /// The lines of what `speak` logs.
    fn logged(speak: impl FnOnce()) -> Vec<Value> {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(JsonMembers)
            .event_format(JsonLine::of(Some("a-function")))
            .with_writer(lines.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, speak);
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_with_metrics_says_which_of_its_members_they_are() {
        let lines = logged(|| {
            let _span = tracing::info_span!("request", request_id = "r-1").entered();
            tracing::info!(target: metrics::REQUEST, requests = 1, errors = 0, latency = 1.25, status_class = "2xx", "answered");
            tracing::info!("nothing to count");
        });
        let (line, set) = (&lines[0], &lines[0]["_aws"]["CloudWatchMetrics"][0]);
        assert!(line["_aws"]["Timestamp"].as_i64().is_some_and(|at| at > 1_600_000_000_000));
        assert_eq!(set["Namespace"], "Piecework");
        for name in set["Dimensions"].as_array().unwrap().iter().flat_map(|d| d.as_array().unwrap()) {
            assert!(line[name.as_str().unwrap()].is_string(), "{name}: {line}");
        }
        let metrics = set["Metrics"].as_array().unwrap();
        assert_eq!(metrics.len(), 3);
        for metric in metrics {
            assert!(line[metric["Name"].as_str().unwrap()].is_number(), "{metric}: {line}");
            assert!(["Count", "Milliseconds"].contains(&metric["Unit"].as_str().unwrap()));
        }
        assert_eq!(line["request_id"], "r-1");
        assert!(lines[1].get("_aws").is_none());
    }

    #[test]
    fn a_line_is_one_flat_object_with_the_fields_of_its_spans() {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(JsonMembers)
            .event_format(JsonLine::of(Some("a-function")))
            .with_writer(lines.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let outer = tracing::info_span!("outer", request_id = "r-1", key = tracing::field::Empty);
            let _outer = outer.enter();
            let _inner = tracing::info_span!("inner", n = 7).entered();
            outer.record("key", tracing::field::display("k\"1"));
            tracing::warn!(cause = ?Some("two\nlines"), share = 0.5, none = f64::NAN, ok = true, "it \"works\"");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        let mut line: Value = serde_json::from_str(&text).unwrap();
        let at = line.as_object_mut().unwrap().remove("timestamp").unwrap();
        assert!(at.as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{at}");
        let expected = serde_json::json!({
            "level": "WARN", "function": "a-function", "message": "it \"works\"", "cause": "Some(\"two\\nlines\")",
            "share": 0.5, "ok": true, "n": 7, "request_id": "r-1", "key": "k\"1",
        });
        assert_eq!(line, expected);
    }
}
