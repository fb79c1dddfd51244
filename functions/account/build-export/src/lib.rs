//! The queue of written parts: when the last of an export is there, they become one zip (P19). Messages: `account.user.exported`,
//! `<area>.workspace.exported`.

use std::process::ExitCode;

use account::{ExportProgress, Exporter};
use piecework_core::{DomainEvent, Problem};
use worker::Failure;

/// Serves the queue.
pub fn run() -> ExitCode {
    worker::run_queue(build_export)
}

async fn build_export(exporter: Exporter, event: DomainEvent) -> Result<(), Failure> {
    match exporter.note(&event).await.map_err(Problem::from)? {
        ExportProgress::Noted => Ok(()),
        ExportProgress::Claimed(seconds) => Err(Failure::retry(seconds, "somebody else makes the zip")),
        ExportProgress::Unknown => Err(Failure::reject("no area's word about an export")),
    }
}
