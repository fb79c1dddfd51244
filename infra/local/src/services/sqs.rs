//! SQS: our own server, seen by queue name.

use std::collections::BTreeSet;
use std::time::Duration;

use local_sqs::{Message, SendOptions, SqsHandle};

use crate::Error;
use crate::template::model::Queue;

/// Longer than any cap, and short of the twelve hours that SQS allows a message in all.
const HIDDEN: Duration = Duration::from_secs(3600);

/// A handle that knows queues by name.
#[derive(Clone)]
pub struct Sqs {
    handle: SqsHandle,
}

impl Sqs {
    /// A handle on a server.
    pub fn new(handle: SqsHandle) -> Self {
        Self { handle }
    }

    /// The server's own handle.
    pub fn handle(&self) -> &SqsHandle {
        &self.handle
    }

    /// Makes the queues, targets of redrives first; queues that exist take the templates' attributes.
    ///
    /// # Errors
    /// If the server refuses the attributes.
    pub async fn ensure_queues(&self, queues: &[Queue]) -> Result<(), Error> {
        let existing: BTreeSet<String> = self.handle.list().into_iter().map(|q| q.name).collect();
        let (sources, targets): (Vec<_>, Vec<_>) =
            queues.iter().partition(|q| q.attributes.contains_key("RedrivePolicy"));
        for queue in targets.into_iter().chain(sources) {
            let mut attributes = queue.attributes.clone();
            let made = if existing.contains(&queue.name) {
                attributes.remove("FifoQueue");
                self.handle.set_attributes(&queue.name, attributes).await
            } else {
                self.handle.create_queue(&queue.name, attributes).await.map(drop)
            };
            made.map_err(|e| Error::Resource { id: queue.id.to_string(), reason: e.to_string() })?;
        }
        Ok(())
    }

    /// Sends a message; it is on disk when this returns.
    ///
    /// # Errors
    /// As SQS.
    pub async fn send(&self, queue: &str, body: &str) -> Result<(), Error> {
        self.handle.send(queue, body, SendOptions::default()).await?;
        Ok(())
    }

    /// Receives up to `max` messages, at once if there are any.
    ///
    /// # Errors
    /// As SQS.
    pub async fn receive(&self, queue: &str, max: usize, wait: Duration) -> Result<Vec<Message>, Error> {
        Ok(self.handle.receive(queue, max, wait).await?)
    }

    /// Hides a message in flight for as long as the server's cap allows.
    pub async fn hide(&self, queue: &str, handle: &str) {
        if let Err(error) = self.handle.change_visibility(queue, handle, HIDDEN).await {
            tracing::debug!(queue, %error, "a message could not be hidden for longer");
        }
    }

    /// Deletes messages by receipt handle; a handle that has expired is no error, its message will come again.
    ///
    /// # Errors
    /// As SQS.
    pub async fn delete(&self, queue: &str, handles: Vec<String>) -> Result<(), Error> {
        if handles.is_empty() {
            return Ok(());
        }
        for outcome in self.handle.delete_batch(queue, handles).await? {
            if let Err(error) = outcome {
                tracing::warn!(queue, %error, "a message was handled but not deleted");
            }
        }
        Ok(())
    }
}
