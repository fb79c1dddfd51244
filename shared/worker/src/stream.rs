//! Changes from a table's stream, in order within a partition.

use std::{future::Future, process::ExitCode};

use aws::Deps;
use aws_lambda_events::{
    dynamodb::Event,
    streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse},
};
use piecework_core::correlation;
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

    /// The correlation id of the work behind the change, where the change is an event.
    fn correlation_id(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Item {
            event: Event,
        }
        #[derive(Deserialize)]
        struct Event {
            correlation_id: String,
        }
        correlation::accept(&self.new_image::<Item>()?.event.correlation_id)
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
                    let record = StreamRecord { name: record.event_name, new_image: record.change.new_image };
                    let correlation_id = record.correlation_id().unwrap_or_else(|| request_id.clone());
                    let span = tracing::info_span!("change", request_id, correlation_id, sequence);
                    let work = handler(deps.clone(), record).instrument(span);
                    if let Err(error) = correlation::scope(correlation_id, work).await {
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
