//! The tables' streams: each new event goes to the queues of its subscribers (P9).

use std::process::ExitCode;

use ops::Dispatcher;
use piecework_core::DomainEvent;
use serde::Deserialize;
use worker::{Failure, StreamRecord};

/// Serves the streams.
pub fn run() -> ExitCode {
    worker::run_stream(dispatch_events)
}

#[derive(Deserialize)]
struct EventItem {
    event: DomainEvent,
}

async fn dispatch_events(dispatcher: Dispatcher, record: StreamRecord) -> Result<(), Failure> {
    if record.name != "INSERT" {
        return Ok(());
    }
    match record.new_image::<EventItem>() {
        Some(item) => Ok(dispatcher.dispatch(&item.event).await?),
        None => Ok(()),
    }
}
