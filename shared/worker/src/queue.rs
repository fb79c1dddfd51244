//! Messages from SQS, with partial batch responses.

use std::{future::Future, process::ExitCode, time::Instant};

use aws::{Deps, Queue, Span, SpanKind, metrics};
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures::StreamExt as _;
use lambda_runtime::LambdaEvent;
use piecework_core::{
    correlation,
    trace::{self, SpanContext},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::Instrument as _;

use crate::{Failure, start};

/// Messages of one batch that are handled at the same time.
const AT_ONCE: usize = 10;

#[derive(Clone)]
struct Queues {
    source: Queue,
    dead: Queue,
}

/// Runs `handler` for every message of the queue. Needs `QUEUE_URL` and `DEAD_LETTER_URL`, and
/// `FunctionResponseTypes: [ReportBatchItemFailures]` on the event source.
///
/// A body that is not JSON or not an `M` is rejected: it is not ours, and no retry will make it so.
pub fn run_queue<D, M, F, Fut>(handler: F) -> ExitCode
where
    D: Deps,
    M: DeserializeOwned,
    F: Fn(D, M) -> Fut,
    Fut: Future<Output = Result<(), Failure>>,
{
    start::serve::<D, _, _, _, _>(
        |settings, clients| {
            Ok(Queues {
                source: Queue::new(clients, settings.required("QUEUE_URL")?),
                dead: Queue::new(clients, settings.required("DEAD_LETTER_URL")?),
            })
        },
        |deps: D, queues: Queues, event| {
            let handler = &handler;
            async move {
                let LambdaEvent { payload, context } = event;
                let batch: SqsEvent = serde_json::from_value(payload)?;
                let failed: Vec<String> = futures::stream::iter(batch.records)
                    .map(|message| one(handler, deps.clone(), &queues, message, &context))
                    .buffer_unordered(AT_ONCE)
                    .filter_map(|failed| async { failed })
                    .collect()
                    .await;
                let mut response = SqsBatchResponse::default();
                for id in failed {
                    response.add_failure(id);
                }
                Ok(response)
            }
        },
    )
}

/// Handles one message; its id, if it is to stay in the queue.
async fn one<D, M, F, Fut>(
    handler: &F,
    deps: D,
    queues: &Queues,
    message: SqsMessage,
    context: &lambda_runtime::Context,
) -> Option<String>
where
    M: DeserializeOwned,
    F: Fn(D, M) -> Fut,
    Fut: Future<Output = Result<(), Failure>>,
{
    let id = message.message_id.clone().unwrap_or_default();
    let body = message.body.as_deref().unwrap_or_default();
    let value: Result<Value, _> = serde_json::from_str(body);
    let correlation_id = value
        .as_ref()
        .ok()
        .and_then(|v| v.get("correlation_id").and_then(Value::as_str))
        .and_then(correlation::accept)
        .unwrap_or_else(|| id.clone());
    let parent = value
        .as_ref()
        .ok()
        .and_then(|v| v.get("traceparent").and_then(Value::as_str))
        .and_then(SpanContext::parse);
    let traced = Span::begin(SpanKind::Consumer, parent, context.xray_trace_id.as_deref());
    let started = Instant::now();
    let receives = message.attributes.get("ApproximateReceiveCount").cloned().unwrap_or_default();
    let request_id = context.request_id.as_str();
    let span = tracing::info_span!(
        "message",
        request_id,
        correlation_id,
        trace_id = format_args!("{:032x}", traced.context().trace),
        message_id = id,
        receives
    );
    let work = async {
        let outcome = match value.and_then(serde_json::from_value::<M>) {
            // The error's text may quote the message, so it stays out.
            Err(_) => Err(Failure::reject("not a message of this queue")),
            Ok(message) => handler(deps, message).await,
        };
        let latency = started.elapsed().as_secs_f64() * 1000.0;
        let receipt = message.receipt_handle.as_deref().unwrap_or_default();
        let failed = outcome.is_err();
        let stays = match outcome {
            Ok(()) => {
                tracing::info!(
                    target: metrics::MESSAGE,
                    handled = 1u64, retried = 0u64, rejected = 0u64, latency, "message handled"
                );
                None
            }
            Err(Failure::Reject { reason }) => {
                tracing::error!(
                    target: metrics::MESSAGE,
                    handled = 0u64, retried = 0u64, rejected = 1u64, latency, reason, "message rejected"
                );
                let attributes = [
                    ("reason", reason.as_str()),
                    ("message_id", id.as_str()),
                    ("correlation_id", &correlation_id),
                ];
                match queues.dead.send_raw(body, &attributes).await {
                    Ok(()) => None,
                    Err(error) => {
                        tracing::error!(%error, "the dead-letter queue did not take the message; it stays");
                        Some(id.clone())
                    }
                }
            }
            Err(Failure::Retry { after, cause }) => {
                tracing::warn!(
                    target: metrics::MESSAGE,
                    handled = 0u64, retried = 1u64, rejected = 0u64, latency, cause, after_s = after.as_secs(),
                    "message will be tried again"
                );
                let seconds = u32::try_from(after.as_secs()).unwrap_or(u32::MAX);
                if let Err(error) = queues.source.hide(receipt, seconds).await {
                    tracing::warn!(%error, "the message's visibility stays as it is");
                }
                Some(id.clone())
            }
        };
        (stays, failed)
    };
    let work = correlation::scope(correlation_id.clone(), work.instrument(span));
    let (stays, failed) = trace::scope(traced.context(), work).await;
    traced.end(failed, || {
        let queue =
            message.event_source_arn.as_deref().and_then(|arn| arn.rsplit(':').next()).unwrap_or_default();
        let attributes = vec![
            ("messaging.system", "aws_sqs".into()),
            ("messaging.operation.type", "process".into()),
            ("messaging.destination.name", queue.into()),
            ("messaging.message.id", id.as_str().into()),
            ("faas.invocation_id", request_id.into()),
            ("piecework.correlation_id", correlation_id.as_str().into()),
        ];
        (format!("process {queue}"), attributes)
    });
    stays
}
