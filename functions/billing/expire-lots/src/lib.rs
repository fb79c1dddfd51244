//! Every hour: credits whose time is over expire, and what came back to a refunded purchase is taken.

use std::process::ExitCode;

use billing::Billing;
use piecework_core::Problem;
use worker::Failure;

/// Serves the schedule.
pub fn run() -> ExitCode {
    worker::run_schedule(expire_lots)
}

async fn expire_lots(billing: Billing) -> Result<(), Failure> {
    let lots = billing.sweep().await.map_err(Problem::from)?;
    tracing::info!(lots, "swept");
    Ok(())
}
