//! A table's stream to a function: in order, retried, with a position that survives a restart.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{InvocationError, Invoker, backoff, failed_items};
use crate::services::dynamodb::{Position, START, StreamRecord, TableStream};
use crate::services::sqs::Sqs;
use crate::template::model::StreamSource;
use crate::{Error, arn, files, stream_of};

/// Pause between looks at an idle stream. AWS looks four times a second.
const IDLE_POLL: Duration = Duration::from_millis(100);
/// Pause right after there was something.
const BUSY_POLL: Duration = Duration::from_millis(10);

/// One mapping of a stream to a function.
pub(crate) struct StreamPoller {
    pub stream: TableStream,
    pub source: StreamSource,
    pub function: String,
    pub invoker: Invoker,
    /// Where the position is kept.
    pub checkpoint: PathBuf,
    pub sqs: Sqs,
    pub stop: CancellationToken,
}

/// Records that are tried together.
struct Batch {
    records: Vec<StreamRecord>,
    attempts: u32,
}

impl StreamPoller {
    /// Follows the stream until told to stop; an invocation in progress is waited for.
    pub async fn run(self) {
        let mut failures = 0;
        while let Err(error) = self.follow().await {
            tracing::error!(function = self.function, table = self.source.table, %error, "stream poller failed");
            self.pause(backoff(failures)).await;
            failures += 1;
            if self.stop.is_cancelled() {
                return;
            }
        }
    }

    /// Waits, but not beyond the end of the stack.
    async fn pause(&self, time: Duration) {
        self.stop.run_until_cancelled(tokio::time::sleep(time)).await;
    }

    async fn follow(&self) -> Result<(), Error> {
        let mut position = self.start_position().await?;
        let mut idle = BUSY_POLL;
        while !self.stop.is_cancelled() {
            let records = self.collect(&position).await?;
            match records.last() {
                Some(last) => {
                    position.clone_from(&last.position);
                    idle = BUSY_POLL;
                    let wanted = |r: &StreamRecord| !r.changes_nothing() && self.source.filters.pass(&r.json);
                    let wanted: Vec<_> = records.into_iter().filter(wanted).collect();
                    match wanted.is_empty() {
                        true => self.reached(&position)?,
                        false => self.deliver(wanted).await?,
                    }
                }
                None => {
                    self.pause(idle).await;
                    idle = (idle * 2).min(IDLE_POLL);
                }
            }
        }
        Ok(())
    }

    async fn start_position(&self) -> Result<Position, Error> {
        match std::fs::read_to_string(&self.checkpoint) {
            Ok(text) => {
                let text = text.trim();
                return match !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
                    true => Ok(text.to_owned()),
                    false => Err(Error::DataDir(format!("{} is not a position", self.checkpoint.display()))),
                };
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(e.into()),
        }
        let position = match self.source.from_start {
            true => START.to_owned(),
            false => self.stream.latest().await?,
        };
        // Written at once, or LATEST would be a later one after a restart.
        self.reached(&position)?;
        Ok(position)
    }

    fn reached(&self, position: &str) -> Result<(), Error> {
        Ok(files::replace(&self.checkpoint, position.as_bytes())?)
    }

    /// The next batch: full, or what there is when the window closes.
    async fn collect(&self, position: &str) -> Result<Vec<StreamRecord>, Error> {
        let mut records = self.stream.after(position, self.source.batch_size).await?;
        let deadline = Instant::now() + self.source.window;
        while !records.is_empty() && records.len() < self.source.batch_size && Instant::now() < deadline {
            self.pause(BUSY_POLL).await;
            if self.stop.is_cancelled() {
                break;
            }
            records = self.stream.after(position, self.source.batch_size).await?;
        }
        Ok(records)
    }

    async fn deliver(&self, records: Vec<StreamRecord>) -> Result<(), Error> {
        let mut queue = VecDeque::from([Batch { records, attempts: 0 }]);
        while let Some(mut batch) = queue.pop_front() {
            if self.stop.is_cancelled() {
                // The position says what is done; the rest is for the next start.
                return Ok(());
            }
            let done = self.attempt(&batch.records).await;
            let mut rest = batch.records.split_off(done);
            if let Some(last) = batch.records.last() {
                self.reached(&last.position)?;
                batch.attempts = 0;
            }
            let Some(end) = rest.last().map(|r| r.position.clone()) else { continue };
            // Splitting does not count as an attempt (Lambda developer guide, stream error handling).
            if self.source.bisect && rest.len() > 1 {
                if done == 0 {
                    let second = rest.split_off(rest.len() / 2);
                    queue.push_front(Batch { records: second, attempts: batch.attempts });
                }
                queue.push_front(Batch { records: rest, attempts: batch.attempts });
                continue;
            }
            let attempts = batch.attempts + 1;
            if self.source.max_retries.is_some_and(|max| attempts > max) {
                self.give_up(&rest, attempts).await?;
                self.reached(&end)?;
                continue;
            }
            self.pause(backoff(attempts - 1)).await;
            queue.push_front(Batch { records: rest, attempts });
        }
        Ok(())
    }

    /// Invokes; how many records at the head need no further attempt.
    async fn attempt(&self, records: &[StreamRecord]) -> usize {
        let answer = match self.invoke(records).await {
            Ok(answer) if self.source.report_failures => answer,
            Ok(_) => return records.len(),
            Err(error) => {
                tracing::warn!(function = self.function, %error, "stream batch failed");
                return 0;
            }
        };
        match failed_items(&answer, records.iter().map(sequence_number)) {
            // The lowest failed record is where the next attempt starts, whatever was said of later ones.
            Some(failed) => {
                let lowest = records.iter().position(|r| failed.contains(sequence_number(r)));
                lowest.unwrap_or(records.len())
            }
            None => 0,
        }
    }

    async fn invoke(&self, records: &[StreamRecord]) -> Result<bytes::Bytes, InvocationError> {
        let arn = arn("dynamodb", &stream_of(&self.source.table));
        let records = records.iter().map(|r| {
            let mut json = r.json.clone();
            json["eventSourceARN"] = arn.as_str().into();
            json
        });
        self.invoker.invoke(&self.function, &json!({"Records": records.collect::<Vec<Value>>()})).await
    }

    /// What Lambda sends to the on-failure destination, which names the records but does not hold them.
    async fn give_up(&self, records: &[StreamRecord], attempts: u32) -> Result<(), Error> {
        let (Some(first), Some(last)) = (records.first(), records.last()) else { return Ok(()) };
        tracing::error!(
            function = self.function,
            table = self.source.table,
            records = records.len(),
            "gave up on stream records"
        );
        let Some(queue) = &self.source.on_failure else { return Ok(()) };
        let message = json!({
            "requestContext": {
                "functionArn": arn("lambda", &format!("function:{}", self.function)),
                "condition": "RetryAttemptsExhausted",
                "approximateInvokeCount": attempts,
            },
            "version": "1.0",
            "timestamp": jiff::Timestamp::now().to_string(),
            "DDBStreamBatchInfo": {
                "shardId": self.stream.shard_id(),
                "startSequenceNumber": sequence_number(first),
                "endSequenceNumber": sequence_number(last),
                "batchSize": records.len(),
                "streamArn": arn("dynamodb", &stream_of(&self.source.table)),
            },
        });
        self.sqs.send(queue, &message.to_string()).await
    }
}

fn sequence_number(record: &StreamRecord) -> &str {
    record.json["dynamodb"]["SequenceNumber"].as_str().unwrap_or_default()
}
