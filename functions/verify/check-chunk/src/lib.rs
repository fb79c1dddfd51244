//! The chunk queue: a chunk of a list is verified (V2, V7, V16).

use std::process::ExitCode;

use piecework_core::Problem;
use verify::{Checker, ChunkMessage, ChunkOutcome};
use worker::Failure;

/// Serves the queue.
pub fn run() -> ExitCode {
    worker::run_queue(check_chunk)
}

async fn check_chunk(checker: Checker, message: ChunkMessage) -> Result<(), Failure> {
    match checker.run(&message).await.map_err(Problem::from)? {
        ChunkOutcome::Settled => Ok(()),
        ChunkOutcome::Claimed(seconds) => Err(Failure::retry(seconds, "another sandbox holds the claim")),
    }
}
