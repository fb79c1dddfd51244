//! Work on a schedule.

use std::{future::Future, process::ExitCode};

use aws::{Deps, Span, SpanKind};
use piecework_core::{correlation, trace};
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
            let traced = Span::begin(SpanKind::Internal, None, event.context.xray_trace_id.as_deref());
            let trace_id = format!("{:032x}", traced.context().trace);
            let span = tracing::info_span!("schedule", request_id, correlation_id = request_id, trace_id);
            let work = handler(deps);
            async move {
                let work = correlation::scope(request_id.clone(), work.instrument(span));
                let outcome = trace::scope(traced.context(), work).await;
                traced.end(outcome.is_err(), || {
                    let attributes = vec![("piecework.correlation_id", request_id.as_str().into())];
                    ("schedule".to_owned(), attributes)
                });
                Ok(outcome?)
            }
        },
    )
}
