//! The finish queue: a task whose chunks are all counted is put together, paid for and closed. Messages: `verification.task.drained`.

use std::process::ExitCode;

use piecework_core::Problem;
use verify::{Finisher, TaskMessage};
use worker::Failure;

/// Serves the queue.
pub fn run() -> ExitCode {
    worker::run_queue(finish_task)
}

async fn finish_task(finisher: Finisher, message: TaskMessage) -> Result<(), Failure> {
    Ok(finisher.run(message).await.map_err(Problem::from)?)
}
