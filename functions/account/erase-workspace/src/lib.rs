//! The queue of workspaces that end: members, keys and invitations go (P19). Messages: `account.workspace.deleted`.

use std::process::ExitCode;

use account::{EndMessage, Erasures};
use piecework_core::Problem;
use worker::Failure;

/// Serves the queue.
pub fn run() -> ExitCode {
    worker::run_queue(erase_workspace)
}

async fn erase_workspace(erasures: Erasures, message: EndMessage) -> Result<(), Failure> {
    match erasures.end_workspace(&message).await.map_err(Problem::from)? {
        true => Ok(()),
        false => Err(Failure::reject("not the end of a workspace")),
    }
}
