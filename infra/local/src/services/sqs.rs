//! SQS as the stack uses it, by queue name or address: our own server in this process, or another on the wire.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use local_sqs::{Counts, Message, MessageAttributes, SendOptions, SqsHandle};
use serde::Deserialize;
use serde_json::{Value, json};

use super::wire::{Api, Wire, WireError};
use crate::template::model::Queue;
use crate::{ACCOUNT_ID, Error};

/// Longer than any cap, and short of the twelve hours that SQS allows a message in all.
const HIDDEN: Duration = Duration::from_secs(3600);
/// What one receive of the wire gives at most.
const RECEIVE_MAX: usize = 10;

/// The queues.
#[derive(Clone)]
pub struct Sqs(Side);

#[derive(Clone)]
enum Side {
    Embedded(SqsHandle),
    Elsewhere { wire: Wire, cap: Option<Duration> },
}

impl Sqs {
    /// Those of a server in this process.
    pub(crate) fn embedded(handle: SqsHandle) -> Self {
        Self(Side::Embedded(handle))
    }

    /// Those of another cloud. No visibility time-out and no delay that is set here is longer than the cap.
    pub(crate) fn elsewhere(wire: Wire, cap: Option<Duration>) -> Self {
        Self(Side::Elsewhere { wire, cap })
    }

    /// Makes the queues, targets of redrives first; queues that exist take the templates' attributes.
    ///
    /// # Errors
    /// If the server refuses the attributes.
    pub async fn ensure_queues(&self, queues: &[Queue]) -> Result<(), Error> {
        let existing = self.names().await?;
        let (sources, targets): (Vec<_>, Vec<_>) =
            queues.iter().partition(|q| q.attributes.contains_key("RedrivePolicy"));
        for queue in targets.into_iter().chain(sources) {
            let mut attributes = queue.attributes.clone();
            let made = if existing.contains(&queue.name) {
                attributes.remove("FifoQueue");
                self.set_attributes(&queue.name, attributes).await
            } else {
                self.create(&queue.name, attributes).await
            };
            made.map_err(|e| Error::Resource { id: queue.id.to_string(), reason: e.to_string() })?;
        }
        Ok(())
    }

    async fn names(&self) -> Result<BTreeSet<String>, Error> {
        match &self.0 {
            Side::Embedded(handle) => Ok(handle.list().into_iter().map(|q| q.name).collect()),
            Side::Elsewhere { wire, .. } => {
                let listed = wire.call(Api::Sqs, "ListQueues", &json!({"MaxResults": 1000})).await?;
                let urls = listed["QueueUrls"].as_array().into_iter().flatten().filter_map(Value::as_str);
                Ok(urls.filter_map(|url| url.rsplit('/').next()).map(str::to_owned).collect())
            }
        }
    }

    async fn create(&self, name: &str, attributes: BTreeMap<String, String>) -> Result<(), Error> {
        match &self.0 {
            Side::Embedded(handle) => Ok(handle.create_queue(name, attributes).await.map(drop)?),
            Side::Elsewhere { wire, cap } => {
                let mut attributes = attributes;
                // Or SQS's own default would be longer than the cap.
                attributes.entry("VisibilityTimeout".to_owned()).or_insert_with(|| "30".to_owned());
                let input = json!({"QueueName": name, "Attributes": capped(attributes, *cap)});
                wire.call(Api::Sqs, "CreateQueue", &input).await?;
                Ok(())
            }
        }
    }

    /// Sets attributes of a queue; the others stay.
    ///
    /// # Errors
    /// As SQS.
    pub async fn set_attributes(
        &self,
        queue: &str,
        attributes: BTreeMap<String, String>,
    ) -> Result<(), Error> {
        match &self.0 {
            Side::Embedded(handle) => Ok(handle.set_attributes(queue, attributes).await?),
            Side::Elsewhere { cap, .. } => {
                let attributes = capped(attributes, *cap);
                self.call("SetQueueAttributes", queue, json!({"Attributes": attributes})).await?;
                Ok(())
            }
        }
    }

    /// Sends a message; the server has it when this returns.
    ///
    /// # Errors
    /// As SQS.
    pub async fn send(&self, queue: &str, body: &str) -> Result<(), Error> {
        match &self.0 {
            Side::Embedded(handle) => {
                handle.send(queue, body, SendOptions::default()).await?;
            }
            Side::Elsewhere { .. } => {
                self.call("SendMessage", queue, json!({"MessageBody": body})).await?;
            }
        }
        Ok(())
    }

    /// Receives up to `max` messages, as soon as there are any, and none after `wait`.
    ///
    /// # Errors
    /// As SQS.
    pub async fn receive(&self, queue: &str, max: usize, wait: Duration) -> Result<Vec<Message>, Error> {
        match &self.0 {
            Side::Embedded(handle) => Ok(handle.receive(queue, max, wait).await?),
            Side::Elsewhere { .. } => {
                let deadline = Instant::now() + wait;
                let mut found = self.receive_once(queue, max, wait.as_secs()).await?;
                let rest = deadline.saturating_duration_since(Instant::now());
                if found.is_empty() && !rest.is_zero() && wait < Duration::from_secs(1) {
                    // The wire waits in whole seconds.
                    tokio::time::sleep(rest).await;
                    found = self.receive_once(queue, max, 0).await?;
                }
                let mut last = found.len();
                while last == RECEIVE_MAX && found.len() < max {
                    let more = self.receive_once(queue, max - found.len(), 0).await?;
                    last = more.len();
                    found.extend(more);
                }
                Ok(found)
            }
        }
    }

    async fn receive_once(&self, queue: &str, max: usize, seconds: u64) -> Result<Vec<Message>, Error> {
        let input = json!({
            "MaxNumberOfMessages": max.clamp(1, RECEIVE_MAX),
            "WaitTimeSeconds": seconds.min(20),
            "AttributeNames": ["All"],
            "MessageAttributeNames": ["All"],
        });
        let answer = self.call("ReceiveMessage", queue, input).await?;
        let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
        messages.into_iter().map(|m| Ok(serde_json::from_value::<Received>(m)?.into())).collect()
    }

    /// Hides a message in flight for as long as the cap allows.
    pub async fn hide(&self, queue: &str, handle: &str) {
        let hidden = match &self.0 {
            Side::Embedded(sqs) => sqs.change_visibility(queue, handle, HIDDEN).await.map_err(Error::from),
            Side::Elsewhere { cap, .. } => {
                let seconds = cap.map_or(HIDDEN, |cap| cap.min(HIDDEN)).as_secs();
                let input = json!({"ReceiptHandle": handle, "VisibilityTimeout": seconds});
                self.call("ChangeMessageVisibility", queue, input).await.map(drop).map_err(Error::from)
            }
        };
        if let Err(error) = hidden {
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
        let refused = |error: &dyn std::fmt::Display| {
            tracing::warn!(queue, %error, "a message was handled but not deleted");
        };
        match &self.0 {
            Side::Embedded(sqs) => {
                for outcome in sqs.delete_batch(queue, handles).await? {
                    if let Err(error) = outcome {
                        refused(&error);
                    }
                }
            }
            Side::Elsewhere { .. } => {
                for batch in handles.chunks(RECEIVE_MAX) {
                    let entry =
                        |(n, handle): (usize, &String)| json!({"Id": n.to_string(), "ReceiptHandle": handle});
                    let entries: Vec<_> = batch.iter().enumerate().map(entry).collect();
                    let answer = self.call("DeleteMessageBatch", queue, json!({"Entries": entries})).await?;
                    answer["Failed"].as_array().into_iter().flatten().for_each(|failed| refused(failed));
                }
            }
        }
        Ok(())
    }

    /// How many messages a queue holds, by state.
    ///
    /// # Errors
    /// As SQS.
    pub async fn attributes(&self, queue: &str) -> Result<Counts, Error> {
        match &self.0 {
            Side::Embedded(handle) => Ok(handle.attributes(queue).await?),
            Side::Elsewhere { .. } => {
                const COUNTS: [&str; 3] = [
                    "ApproximateNumberOfMessages",
                    "ApproximateNumberOfMessagesNotVisible",
                    "ApproximateNumberOfMessagesDelayed",
                ];
                let answer =
                    self.call("GetQueueAttributes", queue, json!({"AttributeNames": COUNTS})).await?;
                let [visible, in_flight, delayed] = COUNTS.map(|name| {
                    answer["Attributes"][name].as_str().and_then(|n| n.parse().ok()).unwrap_or_default()
                });
                Ok(Counts { visible, in_flight, delayed })
            }
        }
    }

    /// An operation on a queue of another cloud.
    async fn call(&self, operation: &str, queue: &str, mut input: Value) -> Result<Value, WireError> {
        let Side::Elsewhere { wire, .. } = &self.0 else { return Ok(Value::Null) };
        // Only the path of an address counts, as for the embedded server.
        let name = queue.rsplit('/').next().unwrap_or(queue);
        input["QueueUrl"] = format!("{}/{ACCOUNT_ID}/{name}", wire.endpoint()).into();
        wire.call(Api::Sqs, operation, &input).await
    }
}

/// Attributes whose times are no longer than the cap.
fn capped(mut attributes: BTreeMap<String, String>, cap: Option<Duration>) -> BTreeMap<String, String> {
    if let Some(cap) = cap {
        for (name, value) in &mut attributes {
            if ["VisibilityTimeout", "DelaySeconds"].contains(&name.as_str())
                && value.parse::<u64>().is_ok_and(|seconds| seconds > cap.as_secs())
            {
                *value = cap.as_secs().to_string();
            }
        }
    }
    attributes
}

/// A message on the wire.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Received {
    message_id: String,
    receipt_handle: String,
    body: String,
    #[serde(rename = "MD5OfBody")]
    md5_of_body: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(default, rename = "MD5OfMessageAttributes")]
    md5_of_message_attributes: Option<String>,
    #[serde(default)]
    message_attributes: MessageAttributes,
}

impl From<Received> for Message {
    fn from(received: Received) -> Self {
        Self {
            message_id: received.message_id,
            receipt_handle: received.receipt_handle,
            body: received.body,
            md5_of_body: received.md5_of_body,
            attributes: received.attributes,
            md5_of_message_attributes: received.md5_of_message_attributes,
            message_attributes: received.message_attributes,
        }
    }
}
