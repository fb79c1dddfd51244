//! Errors to Sentry, where `SENTRY_DSN` is set: each log line of level `ERROR` becomes an event, without personal data (P17;
//! `docs/decisions/errors-to-sentry.md`).
//!
//! Lambda freezes a process as soon as it has answered, so what an invocation logged is sent before its answer. An invocation without
//! an error sends nothing and makes no client.

use std::{
    io::{self, Write},
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use piecework_core::{Settings, now, scrub_json, settings::SettingError};
use rand::random;
use serde_json::{Value, json};
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use crate::Outside;

/// How long an answer may wait for Sentry.
const PATIENCE: Duration = Duration::from_secs(2);

/// Lines kept of an invocation; one that fails in more ways than these has been heard.
const MOST: usize = 10;

static REPORTER: OnceLock<Reporter> = OnceLock::new();

struct Reporter {
    dsn: Dsn,
    environment: String,
    outside: Outside,
    waiting: Mutex<Vec<Vec<u8>>>,
}

/// Where Sentry takes events: `https://<key>@<host>[/<path>]/<project>`
/// (<https://develop.sentry.dev/sdk/foundations/transport/authentication/>).
#[derive(Debug, PartialEq, Eq)]
struct Dsn {
    key: String,
    endpoint: String,
}

impl Dsn {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (key, place) = rest.split_once('@')?;
        let (host, project) = place.trim_end_matches('/').rsplit_once('/')?;
        // Older addresses have a secret after the key; nobody asks for it any more.
        let key = key.split(':').next()?;
        let sound = matches!(scheme, "http" | "https")
            && !key.is_empty()
            && key.chars().all(|c| c.is_ascii_alphanumeric())
            && !host.is_empty()
            && !project.is_empty()
            && project.chars().all(|c| c.is_ascii_digit());
        let (host, path) = host.split_once('/').map_or((host, String::new()), |(h, p)| (h, format!("/{p}")));
        sound.then(|| Self {
            key: key.to_owned(),
            endpoint: format!("{scheme}://{host}{path}/api/{project}/envelope/"),
        })
    }
}

/// Reads `SENTRY_DSN`.
pub(crate) fn init(settings: &Settings) -> Result<(), SettingError> {
    let Some(dsn) = settings.text("SENTRY_DSN") else { return Ok(()) };
    let unusable = || SettingError::Unusable {
        name: "SENTRY_DSN",
        why: "must be https://<key>@<host>/<project>".to_owned(),
    };
    let reporter = Reporter {
        dsn: Dsn::parse(dsn).ok_or_else(unusable)?,
        environment: settings.environment.to_string(),
        outside: Outside::default(),
        waiting: Mutex::default(),
    };
    // A second start in one process (a test) keeps the first's reporter.
    let _ = REPORTER.set(reporter);
    Ok(())
}

/// Sends what was logged as an error since the last time. A Sentry that does not answer is a warning and nothing else.
pub async fn report_errors() {
    let Some(reporter) = REPORTER.get() else { return };
    let lines = std::mem::take(&mut *reporter.waiting.lock().unwrap_or_else(PoisonError::into_inner));
    if lines.is_empty() {
        return;
    }
    let send = async {
        for line in lines {
            // Each line is JSON: the log's own format writes it.
            let Ok(line) = serde_json::from_slice(&line) else { continue };
            if let Err(error) = reporter.send(line).await {
                tracing::warn!(%error, "an error was not reported");
                return;
            }
        }
    };
    if tokio::time::timeout(PATIENCE, send).await.is_err() {
        tracing::warn!("errors were not reported: no answer within {PATIENCE:?}");
    }
}

impl Reporter {
    async fn send(&self, line: Value) -> Result<(), crate::OutsideError> {
        let id = format!("{:032x}", random::<u128>());
        let event = self.event(&id, line);
        let header = json!({ "event_id": id, "sent_at": now().to_string() });
        let envelope = format!("{header}\n{}\n{event}\n", json!({ "type": "event" }));
        let auth = format!("Sentry sentry_version=7, sentry_client=piecework/1, sentry_key={}", self.dsn.key);
        let headers = [("content-type", "application/x-sentry-envelope".to_owned()), ("x-sentry-auth", auth)];
        self.outside.post(&self.dsn.endpoint, &headers, envelope, PATIENCE, 64 * 1024).await?;
        Ok(())
    }

    /// The event of a line (<https://develop.sentry.dev/sdk/data-model/event-payloads/>). The line is scrubbed as a whole first.
    fn event(&self, id: &str, line: Value) -> Value {
        let mut line = scrub_json(line);
        let kind = line.get("kind").cloned();
        let mut take = |name: &str| line.as_object_mut().and_then(|l| l.remove(name));
        let (timestamp, function, message) = (take("timestamp"), take("function"), take("message"));
        take("level");
        let tags = ["request_id", "correlation_id", "trace_id", "kind"].into_iter();
        let tags: serde_json::Map<String, Value> =
            tags.filter_map(|name| Some((name.to_owned(), take(name)?))).collect();
        json!({
            "event_id": id,
            "timestamp": timestamp,
            "platform": "native",
            "level": "error",
            "environment": self.environment,
            // One issue for each kind of thing that goes wrong in a function, whatever differs from case to case.
            "fingerprint": [function, message, kind],
            "transaction": function,
            "message": { "formatted": message },
            "tags": tags,
            "extra": line,
        })
    }
}

/// Writes lines where logs go, and keeps those of errors for [`report_errors`].
#[derive(Clone, Copy)]
pub(crate) struct Tee;

/// The writer of one line.
pub(crate) struct Line {
    kept: bool,
}

impl Write for Line {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if self.kept
            && let Some(reporter) = REPORTER.get()
        {
            let mut waiting = reporter.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if waiting.len() < MOST {
                waiting.push(octets.to_vec());
            }
        }
        io::stdout().write_all(octets)?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

impl<'a> MakeWriter<'a> for Tee {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { kept: false }
    }

    fn make_writer_for(&'a self, about: &Metadata<'_>) -> Line {
        Line { kept: *about.level() == Level::ERROR }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dsn_is_read_as_sentry_writes_it() {
        let dsn = |text| Dsn::parse(text).map(|d| (d.key, d.endpoint));
        let found = |key: &str, endpoint: &str| Some((key.to_owned(), endpoint.to_owned()));
        assert_eq!(
            dsn("https://public1@o1.ingest.sentry.io/42"),
            found("public1", "https://o1.ingest.sentry.io/api/42/envelope/")
        );
        assert_eq!(
            dsn("http://k:s@localhost:9000/sentry/7/"),
            found("k", "http://localhost:9000/sentry/api/7/envelope/")
        );
        for wrong in [
            "",
            "https://sentry.io/42",
            "https://k@sentry.io",
            "https://k@sentry.io/x",
            "ftp://k@h/1",
            "https://@h/1",
        ] {
            assert_eq!(dsn(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_event_has_the_line_and_nobody_in_it() {
        let reporter = Reporter {
            dsn: Dsn::parse("https://k@h/1").unwrap(),
            environment: "prod".to_owned(),
            outside: Outside::default(),
            waiting: Mutex::default(),
        };
        let event = reporter.event(
            "e1",
            json!({
                "timestamp": "2026-11-20T10:11:12Z", "level": "ERROR", "function": "verify-check-address",
                "message": "the request failed", "cause": "no answer for ada@gmail.com from 192.0.2.7",
                "request_id": "r-1", "trace_id": "t-1", "kind": "internal", "key": "key_1", "email": "ada",
            }),
        );
        assert_eq!(
            event,
            json!({
                "event_id": "e1", "timestamp": "2026-11-20T10:11:12Z", "platform": "native", "level": "error",
                "environment": "prod", "transaction": "verify-check-address",
                "fingerprint": ["verify-check-address", "the request failed", "internal"],
                "message": { "formatted": "the request failed" },
                "tags": { "request_id": "r-1", "trace_id": "t-1", "kind": "internal" },
                "extra": { "cause": "no answer for [address] from [ip]", "key": "key_1", "email": "[removed]" },
            })
        );
    }
}
