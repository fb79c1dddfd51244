//! Changes from a table's stream, in order within a partition.

use std::{future::Future, process::ExitCode, time::Instant};

use aws::{Deps, Span, SpanKind, metrics};
use aws_lambda_events::{
    dynamodb::Event,
    streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse},
};
use piecework_core::{
    correlation,
    trace::{self, SpanContext},
};
use serde::{Deserialize, de::DeserializeOwned};
use tracing::Instrument as _;

use crate::{Failure, start};

/// One change of a table.
pub struct StreamRecord {
    /// `INSERT`, `MODIFY` or `REMOVE`.
    pub name: String,
    new_image: serde_dynamo::Item,
}

impl StreamRecord {
    /// The item after the change as a `T`, if it is one.
    pub fn new_image<T: DeserializeOwned>(&self) -> Option<T> {
        serde_dynamo::from_item(self.new_image.clone()).ok()
    }

    /// The correlation id and the span of the work behind the change, where the change is an event.
    fn origin(&self) -> (Option<String>, Option<SpanContext>) {
        #[derive(Deserialize)]
        struct Item {
            event: Event,
        }
        #[derive(Deserialize)]
        struct Event {
            correlation_id: Option<String>,
            traceparent: Option<String>,
        }
        let Some(Item { event }) = self.new_image() else { return (None, None) };
        let id = event.correlation_id.as_deref().and_then(correlation::accept);
        (id, event.traceparent.as_deref().and_then(SpanContext::parse))
    }
}

/// Runs `handler` for every record, one after the other. At the first failure the batch stops there and the stream resumes at
/// that record, so that order holds. Needs `FunctionResponseTypes: [ReportBatchItemFailures]` on the event source.
pub fn run_stream<D, F, Fut>(handler: F) -> ExitCode
where
    D: Deps,
    F: Fn(D, StreamRecord) -> Fut,
    Fut: Future<Output = Result<(), Failure>>,
{
    start::serve::<D, _, _, _, _>(
        |_, _| Ok(()),
        |deps: D, (), event| {
            let handler = &handler;
            async move {
                let request_id = event.context.request_id.clone();
                let batch: Event = serde_json::from_value(event.payload)?;
                let mut response = DynamoDbEventResponse::default();
                for record in batch.records {
                    let sequence = record.change.sequence_number.clone().unwrap_or_default();
                    let source = record.event_source_arn.clone();
                    let record = StreamRecord { name: record.event_name, new_image: record.change.new_image };
                    let (correlation_id, parent) = record.origin();
                    let correlation_id = correlation_id.unwrap_or_else(|| request_id.clone());
                    let traced =
                        Span::begin(SpanKind::Consumer, parent, event.context.xray_trace_id.as_deref());
                    let started = Instant::now();
                    let trace_id = format!("{:032x}", traced.context().trace);
                    let span = tracing::info_span!("change", request_id, correlation_id, trace_id, sequence);
                    let work = handler(deps.clone(), record).instrument(span.clone());
                    let work = correlation::scope(correlation_id.clone(), work);
                    let outcome = trace::scope(traced.context(), work).await;
                    let table = source.as_deref().and_then(|arn| arn.split('/').nth(1)).unwrap_or_default();
                    traced.end(outcome.is_err(), || {
                        let attributes = vec![
                            ("messaging.system", "aws_dynamodb_streams".into()),
                            ("messaging.operation.type", "process".into()),
                            ("messaging.destination.name", table.into()),
                            ("faas.invocation_id", request_id.as_str().into()),
                            ("piecework.correlation_id", correlation_id.as_str().into()),
                        ];
                        (format!("process {table}"), attributes)
                    });
                    let latency = started.elapsed().as_secs_f64() * 1000.0;
                    let (handled, retried) = (u64::from(outcome.is_ok()), u64::from(outcome.is_err()));
                    span.in_scope(|| {
                        tracing::info!(
                            target: metrics::MESSAGE,
                            handled, retried, rejected = 0u64, latency, "change handled"
                        );
                    });
                    if let Err(error) = outcome {
                        tracing::error!(%error, sequence, "the stream stops here and resumes");
                        let mut failure = DynamoDbBatchItemFailure::default();
                        failure.item_identifier = Some(sequence);
                        response.batch_item_failures.push(failure);
                        break;
                    }
                }
                Ok(response)
            }
        },
    )
}
