//! The queue of workspaces that end: their tasks are cancelled, then records and files go (P19). Messages: `account.workspace.deleted`.

use std::process::ExitCode;

use piecework_core::{DomainEvent, Problem};
use verify::Eraser;
use worker::Failure;

/// Serves the queue.
pub fn run() -> ExitCode {
    worker::run_queue(erase_workspace)
}

async fn erase_workspace(eraser: Eraser, event: DomainEvent) -> Result<(), Failure> {
    match eraser.run(event.workspace).await.map_err(Problem::from)? {
        true => Ok(()),
        // What is under way when the tasks are cancelled ends within a claim's time.
        false => Err(Failure::retry(90, "tasks are under way")),
    }
}
