//! The payfast queue: apply itn.

use std::process::ExitCode;

use piecework_core::WorkspaceId;
use serde::Deserialize;
use worker::Failure;

/// What the queue carries.
#[derive(Debug, Deserialize)]
pub struct Message {
    /// Whose.
    pub workspace: WorkspaceId,
}

/// Serves the queue.
pub fn run() -> ExitCode {
    worker::run_queue(apply_itn)
}

async fn apply_itn(_: (), message: Message) -> Result<(), Failure> {
    Err(Failure::reject(format!("nothing is done for {} yet", message.workspace)))
}
