//! Work on a schedule.

use std::{future::Future, process::ExitCode};

use aws::Deps;
use piecework_core::correlation;
use tracing::Instrument as _;

use crate::{Failure, start};

/// Runs `handler` whenever the schedule fires. A failure is an error of the function; the next round does the work.
pub fn run_schedule<D, F, Fut>(handler: F) -> ExitCode
where
    D: Deps,
    F: Fn(D) -> Fut,
    Fut: Future<Output = Result<(), Failure>>,
{
    start::serve::<D, _, _, _, _>(
        |_, _| Ok(()),
        |deps: D, (), event| {
            let request_id = event.context.request_id;
            let span = tracing::info_span!("schedule", request_id, correlation_id = request_id);
            let work = handler(deps);
            async move { Ok(correlation::scope(request_id, work.instrument(span)).await?) }
        },
    )
}
