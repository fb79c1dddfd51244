//! The queue of workspaces that are exported: tasks, lists and results are written (P19). Messages: `account.workspace.exporting`.

use std::process::ExitCode;

use piecework_core::Problem;
use verify::{Order, TaskExport};
use worker::Failure;

/// Serves the queue.
pub fn run() -> ExitCode {
    worker::run_queue(export_workspace)
}

async fn export_workspace(tasks: TaskExport, order: Order) -> Result<(), Failure> {
    Ok(tasks.run(&order).await.map_err(Problem::from)?)
}
