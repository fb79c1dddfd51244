//! Where the output of functions goes.

use std::io::{IsTerminal as _, Write as _};
use std::sync::mpsc::{Sender, channel};

use local_lambda::{InvocationReport, LogSink, Outcome};

/// Says nothing; lines are there at `RUST_LOG=local=debug`.
pub struct Quiet;

impl LogSink for Quiet {
    fn line(&self, function: &str, sandbox: u64, line: &str) {
        tracing::debug!(function, sandbox, "{line}");
    }

    fn report(&self, report: &InvocationReport) {
        tracing::debug!(function = report.function, outcome = ?report.outcome, "invocation");
    }
}

/// Writes to the terminal: one line per invocation, and the functions' own lines, dimmed.
///
/// A thread of its own writes, so that a slow terminal never holds an invocation up.
pub struct Terminal {
    lines: Sender<String>,
    colour: bool,
}

impl Terminal {
    /// Starts the writer. Colours only on a terminal, and not with `NO_COLOR`.
    pub fn start() -> Self {
        let (lines, received) = channel::<String>();
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        std::thread::spawn(move || {
            for line in received {
                let mut out = std::io::stdout().lock();
                // Whoever closed our output does not want the lines.
                let _ = writeln!(out, "{line}");
            }
        });
        Self { lines, colour }
    }

    fn write(&self, style: &str, text: &str) {
        let line = if self.colour { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() };
        let _ = self.lines.send(line);
    }
}

const DIM: &str = "2";
const PLAIN: &str = "0";
const RED: &str = "31";

impl LogSink for Terminal {
    fn line(&self, function: &str, sandbox: u64, line: &str) {
        self.write(DIM, &format!("{function}#{sandbox} {line}"));
    }

    fn report(&self, report: &InvocationReport) {
        self.write(if report.outcome == Outcome::Ok { PLAIN } else { RED }, &describe(report));
    }
}

fn describe(report: &InvocationReport) -> String {
    let milliseconds = |d: std::time::Duration| format!("{:.1} ms", d.as_secs_f64() * 1000.0);
    let mut text = format!("{} {} {}", report.function, report.request_id, milliseconds(report.duration));
    if let Some(init) = report.init_duration {
        text.push_str(&format!(" (init {})", milliseconds(init)));
    }
    text.push_str(&format!(" {:.1} MiB", report.peak_memory_bytes as f64 / 1_048_576.0));
    if let Some(correlation) = &report.correlation_id {
        text.push_str(&format!(" correlation={correlation}"));
    }
    match report.outcome {
        Outcome::Ok => {}
        Outcome::FunctionError => text.push_str(" failed"),
        Outcome::TimedOut => text.push_str(" timed out"),
        Outcome::Crashed { signal: Some(signal), .. } => {
            text.push_str(&format!(" killed by signal {signal}"))
        }
        Outcome::Crashed { code, .. } => text.push_str(&format!(" exited with {}", code.unwrap_or_default())),
        Outcome::InitFailed => text.push_str(" did not start"),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_invocations_line_has_all_that_lambda_reports() {
        let report = InvocationReport {
            function: "verify-create-task".into(),
            sandbox: 1,
            request_id: "r-1".into(),
            correlation_id: Some("c-1".into()),
            duration: Duration::from_micros(12_340),
            init_duration: Some(Duration::from_millis(2)),
            peak_memory_bytes: 9 * 1024 * 1024,
            outcome: Outcome::Crashed { signal: Some(9), code: None },
            cold: true,
        };
        let expected =
            "verify-create-task r-1 12.3 ms (init 2.0 ms) 9.0 MiB correlation=c-1 killed by signal 9";
        assert_eq!(describe(&report), expected);
    }
}
