//! A queue to a function: batches, a window, partial failures; what fails comes back by visibility.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use local_sqs::Message;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Invoker, backoff, failed_items};
use crate::services::sqs::Sqs;
use crate::template::model::SqsSource;
use crate::{Error, REGION, arn};

/// A synchronous invocation takes 6 MiB; the frame around the records needs a little of it.
const MAX_EVENT_BYTES: usize = 6 * 1024 * 1024 - 1024;
/// Messages of one receive: with the largest message, 100 MiB.
const RECEIVE_MAX: usize = 100;
/// The longest poll.
const LONG_POLL: Duration = Duration::from_secs(20);

/// One mapping of a queue to a function.
pub(crate) struct SqsPoller {
    pub sqs: Sqs,
    pub source: SqsSource,
    pub function: String,
    pub invoker: Invoker,
    /// Invocations at the same time.
    pub concurrency: usize,
    /// The server's cap on visibility time-outs. Shorter than a batch may take, so the poller keeps renewing.
    pub visibility_cap: Option<Duration>,
    pub stop: CancellationToken,
    /// Invocations in progress, to be waited for when the stack ends.
    pub running: TaskTracker,
}

struct Pending {
    id: String,
    handle: String,
    event: Value,
    bytes: usize,
}

impl SqsPoller {
    /// Polls until told to stop.
    pub async fn run(self) {
        let this = Arc::new(self);
        let stop = this.stop.clone();
        let permits = Arc::new(Semaphore::new(this.concurrency.max(1)));
        let (mut pending, mut failures) = (VecDeque::new(), 0);
        let poll = async {
            // One receiver fills batches; it waits for a free invocation first, so nothing is held unseen.
            while let Ok(permit) = permits.clone().acquire_owned().await {
                if let Err(error) = this.fill(&mut pending).await {
                    tracing::error!(queue = this.source.queue, %error, "receive failed");
                    tokio::time::sleep(backoff(failures)).await;
                    failures += 1;
                    continue;
                }
                failures = 0;
                let batch = this.take(&mut pending);
                if !batch.is_empty() {
                    let worker = Arc::clone(&this);
                    this.running.spawn(async move {
                        worker.deliver(batch).await;
                        drop(permit);
                    });
                }
            }
        };
        stop.run_until_cancelled(poll).await;
    }

    /// Receives until the batch is full or the window closes; without a window, once.
    async fn fill(&self, pending: &mut VecDeque<Pending>) -> Result<(), Error> {
        let full = |pending: &VecDeque<Pending>| {
            pending.len() >= self.source.batch_size
                || pending.iter().map(|p| p.bytes).sum::<usize>() >= MAX_EVENT_BYTES
        };
        let mut deadline = None;
        loop {
            if pending.is_empty() {
                deadline = None;
            } else if deadline.is_none() {
                deadline = Some(Instant::now() + self.source.window);
            }
            let wait = match deadline {
                None => LONG_POLL,
                Some(deadline) => deadline.saturating_duration_since(Instant::now()),
            };
            if full(pending) || !pending.is_empty() && wait.is_zero() {
                return Ok(());
            }
            let wait = match self.renewal() {
                Some(period) if !pending.is_empty() => wait.min(period),
                _ => wait,
            };
            let max = (self.source.batch_size - pending.len()).min(RECEIVE_MAX);
            let messages = self.sqs.receive(&self.source.queue, max, wait).await?;
            self.renew(pending.iter()).await;
            pending.extend(messages.into_iter().map(|m| self.pending(m)));
        }
    }

    fn take(&self, pending: &mut VecDeque<Pending>) -> Vec<Pending> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < self.source.batch_size
            && let Some(next) =
                pending.pop_front_if(|p| batch.is_empty() || bytes + p.bytes <= MAX_EVENT_BYTES)
        {
            bytes += next.bytes;
            batch.push(next);
        }
        batch
    }

    async fn deliver(&self, batch: Vec<Pending>) {
        let records: Vec<&Value> = batch.iter().map(|p| &p.event).collect();
        let event = json!({ "Records": records });
        let invocation = self.invoker.invoke(&self.function, &event);
        tokio::pin!(invocation);
        let answer = loop {
            let period = self.renewal().unwrap_or(Duration::MAX);
            match tokio::time::timeout(period, &mut invocation).await {
                Ok(answer) => break answer,
                Err(_) => self.renew(batch.iter()).await,
            }
        };
        let failed = match answer {
            Ok(answer) if self.source.report_failures => {
                failed_items(&answer, batch.iter().map(|p| p.id.as_str()))
            }
            Ok(_) => Some(Default::default()),
            Err(error) => {
                tracing::warn!(function = self.function, %error, "batch failed");
                None
            }
        };
        // What has failed stays where it is until its visibility time-out.
        let Some(failed) = failed else { return };
        let done = batch.into_iter().filter(|p| !failed.contains(&p.id)).map(|p| p.handle).collect();
        if let Err(error) = self.sqs.delete(&self.source.queue, done).await {
            tracing::error!(queue = self.source.queue, %error, "delete failed");
        }
    }

    /// How often messages in hand are hidden anew: only under a cap, whose length no template foresees.
    fn renewal(&self) -> Option<Duration> {
        self.visibility_cap.map(|cap| cap / 3)
    }

    async fn renew(&self, messages: impl Iterator<Item = &Pending>) {
        if self.visibility_cap.is_some() {
            for message in messages {
                self.sqs.hide(&self.source.queue, &message.handle).await;
            }
        }
    }

    fn pending(&self, message: Message) -> Pending {
        let arn = arn("sqs", &self.source.queue);
        let event = record(&message, &arn);
        let bytes = event.to_string().len() + 1;
        Pending { id: message.message_id, handle: message.receipt_handle, event, bytes }
    }
}

/// A message as Lambda gives it to a function.
fn record(message: &Message, queue_arn: &str) -> Value {
    let attributes: Map<String, Value> = message
        .message_attributes
        .iter()
        .map(|(name, attribute)| {
            let mut value =
                json!({"stringListValues": [], "binaryListValues": [], "dataType": attribute.data_type});
            if let Some(text) = &attribute.string_value {
                value["stringValue"] = text.as_str().into();
            }
            if let Some(bytes) = &attribute.binary_value {
                use base64::Engine as _;
                value["binaryValue"] = base64::engine::general_purpose::STANDARD.encode(bytes).into();
            }
            (name.clone(), value)
        })
        .collect();
    let mut record = json!({
        "messageId": message.message_id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": message.attributes,
        "messageAttributes": attributes,
        "md5OfBody": message.md5_of_body,
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": REGION,
    });
    if let Some(md5) = &message.md5_of_message_attributes {
        record["md5OfMessageAttributes"] = md5.as_str().into();
    }
    record
}
