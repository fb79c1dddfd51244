//! The PayFast queue: each notification that was kept is confirmed and merged into its payment, and the wallet follows (S5).

use std::process::ExitCode;

use billing::{
    inbound::InboundMessage,
    payfast::{Notices, Pause},
};
use piecework_core::Problem;
use worker::Failure;

/// Serves the queue.
pub fn run() -> ExitCode {
    worker::run_queue(apply_itn)
}

async fn apply_itn(notices: Notices, message: InboundMessage) -> Result<(), Failure> {
    notices.apply(message).await.map_err(|pause| match pause {
        Pause::Unconfirmed { after, .. } => Failure::Retry { after, cause: pause.to_string() },
        Pause::Billing(error) => Problem::from(error).into(),
    })
}
