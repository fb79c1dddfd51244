//! The Paddle queue: each call that was kept is merged into what is known of its transaction, and the credits follow (V12, V13).

use std::process::ExitCode;

use billing::{inbound::InboundMessage, paddle::Paddle};
use piecework_core::Problem;
use worker::Failure;

/// Serves the queue.
pub fn run() -> ExitCode {
    worker::run_queue(apply_paddle)
}

async fn apply_paddle(paddle: Paddle, message: InboundMessage) -> Result<(), Failure> {
    Ok(paddle.apply(message).await.map_err(Problem::from)?)
}
