//! The queue of exports: what the account area has of the user is written, and the other areas are asked (P19). Messages:
//! `account.export.requested`.

use std::process::ExitCode;

use account::{Exporter, Order};
use piecework_core::Problem;
use worker::Failure;

/// Serves the queue.
pub fn run() -> ExitCode {
    worker::run_queue(export_user)
}

async fn export_user(exporter: Exporter, order: Order) -> Result<(), Failure> {
    Ok(exporter.write_user(&order).await.map_err(Problem::from)?)
}
