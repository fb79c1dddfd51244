//! The split queue: a new list becomes chunks (V2, V7). Messages: `verification.task.queued`, and S3's notification of an upload.

use std::process::ExitCode;

use piecework_core::Problem;
use verify::{SplitMessage, Splitter};
use worker::Failure;

/// Serves the queue.
pub fn run() -> ExitCode {
    worker::run_queue(split_list)
}

async fn split_list(splitter: Splitter, message: SplitMessage) -> Result<(), Failure> {
    Ok(splitter.run(message).await.map_err(Problem::from)?)
}
