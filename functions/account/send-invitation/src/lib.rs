//! The queue of invitations: each is sent by mail, where mail leaves at all (P8). Messages: `account.invitation.created`.

use std::process::ExitCode;

use account::InvitationMail;
use piecework_core::{DomainEvent, Problem};
use worker::Failure;

/// Serves the queue.
pub fn run() -> ExitCode {
    worker::run_queue(send_invitation)
}

async fn send_invitation(mail: InvitationMail, event: DomainEvent) -> Result<(), Failure> {
    match mail.send(&event).await.map_err(Problem::from)? {
        true => Ok(()),
        false => Err(Failure::reject("no invitation")),
    }
}
