//! The queue of receipts: an area is done with a workspace that has ended (P19). Messages: `….workspace.erased`.

use std::process::ExitCode;

use account::Erasures;
use piecework_core::{DomainEvent, Problem};
use worker::Failure;

/// Serves the queue.
pub fn run() -> ExitCode {
    worker::run_queue(record_erasure)
}

async fn record_erasure(erasures: Erasures, event: DomainEvent) -> Result<(), Failure> {
    match erasures.note(&event).await.map_err(Problem::from)? {
        true => Ok(()),
        false => Err(Failure::reject("not a receipt")),
    }
}
