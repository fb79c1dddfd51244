//! The queues for code in this process. No authorisation is asked here: this is the stack itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::error::SqsError;
use crate::message::{Message, SendOptions, Sent};
use crate::store::Counts;

/// `http://127.0.0.1:PORT/ACCOUNT/NAME`. Any host and port, or the bare name, is accepted back.
pub type QueueUrl = String;

/// A queue as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueInfo {
    /// Such as `chunks` or `ledger.fifo`.
    pub name: String,
    /// Its address on this server.
    pub url: QueueUrl,
    /// `arn:aws:sqs:REGION:ACCOUNT:NAME`.
    pub arn: String,
}

/// The same operations as on the wire, with the same rules but for the sizes of batches. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SqsHandle {
    engine: Arc<Engine>,
}

impl SqsHandle {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    /// Makes a queue, or finds the one that is alike. Attribute names and values as in `CreateQueue`.
    pub async fn create_queue(
        &self,
        name: &str,
        attributes: BTreeMap<String, String>,
    ) -> Result<QueueUrl, SqsError> {
        let made = name.to_owned();
        self.engine.writer.run(move |store| store.create(&made, attributes, BTreeMap::new())).await?;
        Ok(self.engine.url(name))
    }

    /// Sets attributes of an existing queue; the others stay.
    pub async fn set_attributes(
        &self,
        url: &str,
        attributes: BTreeMap<String, String>,
    ) -> Result<(), SqsError> {
        let name = self.engine.name(url)?.to_owned();
        self.engine.writer.run(move |store| store.set_attributes(&name, attributes)).await
    }

    /// Removes a queue with its messages.
    pub async fn delete_queue(&self, url: &str) -> Result<(), SqsError> {
        let name = self.engine.name(url)?.to_owned();
        self.engine.writer.run(move |store| store.delete(&name)).await
    }

    /// Sends one message; once answered it survives the death of this process.
    pub async fn send(
        &self,
        url: &str,
        body: impl Into<String>,
        options: SendOptions,
    ) -> Result<Sent, SqsError> {
        let queue = self.engine.queue(url)?;
        let entry = self.engine.prepare(&queue, body.into(), options)?;
        let mut sent = self.engine.send(queue, vec![entry]).await?;
        sent.pop().ok_or(SqsError::Stopped)
    }

    /// Receives up to `max` messages (1 to 10,000), hidden for the queue's visibility timeout. Returns as soon
    /// as there is at least one, and empty after `wait` or when the server stops.
    pub async fn receive(&self, url: &str, max: usize, wait: Duration) -> Result<Vec<Message>, SqsError> {
        let queue = self.engine.queue(url)?;
        self.engine.receive(&queue, max.clamp(1, 10_000), None, wait).await
    }

    /// Deletes in one transaction; outcomes are in the order of the handles.
    pub async fn delete_batch(
        &self,
        url: &str,
        handles: Vec<String>,
    ) -> Result<Vec<Result<(), SqsError>>, SqsError> {
        self.engine.delete(self.engine.queue(url)?, handles).await
    }

    /// Hides a message in flight for `timeout` from now, in whole seconds; zero gives it back at once.
    pub async fn change_visibility(
        &self,
        url: &str,
        handle: &str,
        timeout: Duration,
    ) -> Result<(), SqsError> {
        let seconds = i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX);
        let changes = vec![(handle.to_owned(), seconds)];
        let mut outcome = self.engine.change_visibility(self.engine.queue(url)?, changes).await?;
        outcome.pop().unwrap_or(Err(SqsError::Stopped))
    }

    /// How many messages the queue holds, by state.
    pub async fn attributes(&self, url: &str) -> Result<Counts, SqsError> {
        let name = self.engine.name(url)?.to_owned();
        self.engine.writer.run(move |store| store.counts(&name)).await
    }

    /// Every queue, by name.
    pub fn list(&self) -> Vec<QueueInfo> {
        let info = |queue: &Arc<crate::store::Queue>| QueueInfo {
            name: queue.name.clone(),
            url: self.engine.url(&queue.name),
            arn: queue.arn.clone(),
        };
        self.engine.queues.all().iter().map(info).collect()
    }
}
