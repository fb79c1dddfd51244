//! A queue, from the sender's side and for the health page.

use aws_sdk_sqs::types::{MessageAttributeValue, QueueAttributeName, SendMessageBatchRequestEntry};
use serde::Serialize;

use crate::{Clients, Error, sdk_error};

const SERVICE: &str = "SQS";

/// How many messages a queue holds, about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct QueueCounts {
    /// Waiting.
    pub waiting: u64,
    /// Received and not yet deleted.
    pub in_flight: u64,
    /// Not yet visible.
    pub delayed: u64,
}

/// A queue.
#[derive(Clone)]
pub struct Queue {
    clients: Clients,
    url: String,
}

impl Queue {
    /// The queue at this URL.
    pub fn new(clients: &Clients, url: &str) -> Self {
        Self { clients: clients.clone(), url: url.to_owned() }
    }

    /// Sends each body as a message, ten a call. Either all were accepted or an error says that some may not have been.
    pub async fn send_all<T: Serialize>(&self, bodies: &[T]) -> Result<(), Error> {
        for ten in bodies.chunks(10) {
            let mut batch = self.clients.sqs().send_message_batch().queue_url(&self.url);
            for (index, body) in ten.iter().enumerate() {
                let body = serde_json::to_string(body).map_err(|e| Error::Shape(e.to_string()))?;
                let entry =
                    SendMessageBatchRequestEntry::builder().id(index.to_string()).message_body(body).build();
                batch = batch.entries(entry.map_err(|e| Error::Shape(e.to_string()))?);
            }
            let answer = batch.send().await.map_err(|e| sdk_error(SERVICE, "SendMessageBatch", e))?;
            // 200 does not mean that every entry was taken.
            if let Some(failed) = answer.failed.first() {
                let cause = format!("{} of {} entries: {}", answer.failed.len(), ten.len(), failed.code());
                return Err(Error::Unavailable { service: SERVICE, cause });
            }
        }
        Ok(())
    }

    /// Sends a body as it is, with text attributes.
    pub async fn send_raw(&self, body: &str, attributes: &[(&str, &str)]) -> Result<(), Error> {
        let mut request = self.clients.sqs().send_message().queue_url(&self.url).message_body(body);
        for (name, value) in attributes {
            let value = MessageAttributeValue::builder().data_type("String").string_value(*value).build();
            request = request.message_attributes(*name, value.map_err(|e| Error::Shape(e.to_string()))?);
        }
        request.send().await.map_err(|e| sdk_error(SERVICE, "SendMessage", e))?;
        Ok(())
    }

    /// Hides a received message for so many seconds more.
    pub async fn hide(&self, receipt_handle: &str, seconds: u32) -> Result<(), Error> {
        self.clients
            .sqs()
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt_handle)
            .visibility_timeout(i32::try_from(seconds).unwrap_or(43_200).min(43_200))
            .send()
            .await
            .map_err(|e| sdk_error(SERVICE, "ChangeMessageVisibility", e))?;
        Ok(())
    }

    /// About how many messages there are.
    pub async fn counts(&self) -> Result<QueueCounts, Error> {
        use QueueAttributeName::{
            ApproximateNumberOfMessages as Waiting, ApproximateNumberOfMessagesDelayed as Delayed,
            ApproximateNumberOfMessagesNotVisible as InFlight,
        };
        let answer = self
            .clients
            .sqs()
            .get_queue_attributes()
            .queue_url(&self.url)
            .set_attribute_names(Some(vec![Waiting, InFlight, Delayed]))
            .send()
            .await
            .map_err(|e| sdk_error(SERVICE, "GetQueueAttributes", e))?;
        let count =
            |name| answer.attributes().and_then(|a| a.get(&name)).and_then(|v| v.parse().ok()).unwrap_or(0);
        Ok(QueueCounts { waiting: count(Waiting), in_flight: count(InFlight), delayed: count(Delayed) })
    }
}
