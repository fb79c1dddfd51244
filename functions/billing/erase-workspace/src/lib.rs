//! The queue of workspaces that have been emptied: their ledger goes on under a pseudonym (P19). Messages: `account.workspace.emptied`.

use std::process::ExitCode;

use billing::Billing;
use piecework_core::{DomainEvent, Problem};
use worker::Failure;

/// Serves the queue.
pub fn run() -> ExitCode {
    worker::run_queue(erase_workspace)
}

async fn erase_workspace(billing: Billing, event: DomainEvent) -> Result<(), Failure> {
    if !billing.pseudonymise_user(&event).await.map_err(Problem::from)? {
        billing.pseudonymise(event.workspace).await.map_err(Problem::from)?;
    }
    Ok(())
}
