//! The first steps of every function, HTTP or not: logging, the runtime, and the refusal to start.

use std::{error::Error, future::Future, process::ExitCode};

use piecework_core::{Settings, settings::SettingError};

use crate::{
    log::{JsonLine, JsonMembers},
    report::{self, Tee},
};

/// Reads the settings, starts logging, builds with `prepare`, and runs what `serve` makes of it on one thread: a sandbox has
/// one invocation at a time, and a single thread starts sooner and spends less (`docs/benchmarks.md`).
///
/// A setting that is missing, and a runtime that ends, are told on standard error and by the exit status: Lambda reports both.
pub fn start<T, F>(
    prepare: impl FnOnce(&Settings) -> Result<T, SettingError>,
    serve: impl FnOnce(T) -> F,
) -> ExitCode
where
    F: Future<Output = Result<(), Box<dyn Error + Send + Sync>>>,
{
    let made = Settings::from_env().and_then(|settings| {
        init_log(&settings);
        crate::span::init(&settings);
        report::init(&settings)?;
        prepare(&settings)
    });
    let made = match made {
        Ok(made) => made,
        Err(error) => return refuse(&error),
    };
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => match runtime.block_on(serve(made)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => refuse(&*error),
        },
        Err(error) => refuse(&error),
    }
}

#[expect(clippy::print_stderr, reason = "logging may not be there yet")]
fn refuse(error: &dyn Error) -> ExitCode {
    let line = serde_json::json!({ "level": "ERROR", "message": "the function refuses to start", "cause": error.to_string() });
    eprintln!("{line}");
    ExitCode::FAILURE
}

/// Log lines: JSON, one a line, each with the function, request and correlation id of its invocation (P11).
/// `LOG_FORMAT=pretty` is for people; `LOG_LEVEL` is `error` to `info`, and in debug builds also `debug`
/// and `trace`; `info` unless set.
fn init_log(settings: &Settings) {
    let level = settings.text("LOG_LEVEL").and_then(|l| l.parse().ok()).unwrap_or(tracing::Level::INFO);
    let builder = tracing_subscriber::fmt().with_max_level(level);
    // A second start in one process (a test) keeps the first's logger.
    let _ = if settings.text("LOG_FORMAT") == Some("pretty") {
        builder.with_target(false).compact().try_init()
    } else {
        let line = JsonLine::of(settings.text("AWS_LAMBDA_FUNCTION_NAME"));
        builder.fmt_fields(JsonMembers).event_format(line).with_writer(Tee).try_init()
    };
}
