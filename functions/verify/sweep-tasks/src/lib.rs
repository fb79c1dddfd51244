//! Every five minutes: open tasks that nothing moves are moved, and uploads that never came expire.

use std::process::ExitCode;

use piecework_core::Problem;
use verify::Sweeper;
use worker::Failure;

/// Serves the schedule.
pub fn run() -> ExitCode {
    worker::run_schedule(sweep_tasks)
}

async fn sweep_tasks(sweeper: Sweeper) -> Result<(), Failure> {
    Ok(sweeper.run().await.map_err(Problem::from)?)
}
