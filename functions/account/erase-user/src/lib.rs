//! The queue of users who end: they leave every workspace, and all that is kept of them goes (P19). Messages: `account.user.erasing`.

use std::process::ExitCode;

use account::{EndMessage, Erasures};
use piecework_core::Problem;
use worker::Failure;

/// Serves the queue.
pub fn run() -> ExitCode {
    worker::run_queue(erase_user)
}

async fn erase_user(erasures: Erasures, message: EndMessage) -> Result<(), Failure> {
    match erasures.end_user(&message).await.map_err(Problem::from)? {
        true => Ok(()),
        false => Err(Failure::reject("not the end of a user")),
    }
}
