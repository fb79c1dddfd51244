//! Messages from SQS, with partial batch responses.

use std::{future::Future, process::ExitCode};

use aws::{Deps, Queue};
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures::StreamExt as _;
use lambda_runtime::LambdaEvent;
use piecework_core::correlation;
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
                let request_id = event.context.request_id.clone();
                let LambdaEvent { payload, .. } = event;
                let batch: SqsEvent = serde_json::from_value(payload)?;
                let failed: Vec<String> = futures::stream::iter(batch.records)
                    .map(|message| one(handler, deps.clone(), &queues, message, &request_id))
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
    request_id: &str,
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
    let receives = message.attributes.get("ApproximateReceiveCount").cloned().unwrap_or_default();
    let span = tracing::info_span!("message", request_id, correlation_id, message_id = id, receives);
    let work = async {
        let outcome = match value.and_then(serde_json::from_value::<M>) {
            // The error's text may quote the message, so it stays out.
            Err(_) => Err(Failure::reject("not a message of this queue")),
            Ok(message) => handler(deps, message).await,
        };
        let receipt = message.receipt_handle.as_deref().unwrap_or_default();
        match outcome {
            Ok(()) => {
                tracing::info!("message handled");
                None
            }
            Err(Failure::Reject { reason }) => {
                tracing::error!(reason, "message rejected");
                let attributes = [
                    ("reason", reason.as_str()),
                    ("message_id", id.as_str()),
                    ("correlation_id", &correlation_id),
                ];
                match queues.dead.send_raw(body, &attributes).await {
                    Ok(()) => None,
                    Err(error) => {
                        tracing::error!(%error, "the dead-letter queue did not take the message; it stays");
                        Some(id)
                    }
                }
            }
            Err(Failure::Retry { after, cause }) => {
                tracing::warn!(cause, after_s = after.as_secs(), "message will be tried again");
                let seconds = u32::try_from(after.as_secs()).unwrap_or(u32::MAX);
                if let Err(error) = queues.source.hide(receipt, seconds).await {
                    tracing::warn!(%error, "the message's visibility stays as it is");
                }
                Some(id)
            }
        }
    };
    correlation::scope(correlation_id.clone(), work.instrument(span)).await
}
