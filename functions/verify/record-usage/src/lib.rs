//! The usage queue: what was verified is added to its day and hour (V10). A subscriber of the tasks' and checks' events.

use std::process::ExitCode;

use verify::{Tasks, UsageMessage};
use worker::Failure;

/// Serves the queue.
pub fn run() -> ExitCode {
    worker::run_queue(record_usage)
}

async fn record_usage(tasks: Tasks, message: UsageMessage) -> Result<(), Failure> {
    if tasks.record_usage(&message).await? { Ok(()) } else { Err(Failure::reject("an event without counts")) }
}
