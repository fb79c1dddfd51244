//! The queue of workspaces that are exported: their ledger is written (P19). Messages: `account.workspace.exporting`.

use std::process::ExitCode;

use billing::{LedgerExport, Order};
use piecework_core::Problem;
use worker::Failure;

/// Serves the queue.
pub fn run() -> ExitCode {
    worker::run_queue(export_workspace)
}

async fn export_workspace(ledger: LedgerExport, order: Order) -> Result<(), Failure> {
    Ok(ledger.run(&order).await.map_err(Problem::from)?)
}
