//! What the wire and the handle have in common.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::attributes::MAX_BYTES;
use crate::error::{SqsError, invalid};
use crate::message::{
    Message, SendOptions, Sent, check_attributes, check_body, check_id, hex, md5_hex, md5_of_attributes,
    size, uuid,
};
use crate::store::{Prepared, Queue, Registry};
use crate::writer::Writer;

pub(crate) struct Engine {
    pub writer: Writer,
    pub queues: Arc<Registry>,
    pub endpoint: String,
    pub account: String,
    pub stopping: CancellationToken,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Engine {
    pub(crate) fn url(&self, name: &str) -> String {
        format!("{}/{}/{name}", self.endpoint, self.account)
    }

    /// The queue name in an address. Only the path counts: a kept address may name another port. A bare name
    /// is an address too.
    pub(crate) fn name<'a>(&self, url: &'a str) -> Result<&'a str, SqsError> {
        let mut parts = url.trim_end_matches('/').rsplit('/');
        let name = parts.next().filter(|name| !name.is_empty()).ok_or(SqsError::QueueDoesNotExist)?;
        match parts.next() {
            None => Ok(name),
            Some(account) if account == self.account => Ok(name),
            Some(_) => Err(SqsError::QueueDoesNotExist),
        }
    }

    pub(crate) fn queue(&self, url: &str) -> Result<Arc<Queue>, SqsError> {
        self.queues.find(self.name(url)?)
    }

    /// Checks a message against every rule of its queue, off the database thread.
    pub(crate) fn prepare(
        &self,
        queue: &Queue,
        body: String,
        with: SendOptions,
    ) -> Result<Prepared, SqsError> {
        check_body(&body)?;
        check_attributes(&with.message_attributes)?;
        if size(&body, &with.message_attributes) > queue.settings.max_bytes {
            return Err(SqsError::InvalidParameterValue(format!(
                "One or more parameters are invalid. Reason: Message must be shorter than {} bytes.",
                queue.settings.max_bytes
            )));
        }
        let delay = check_delay(queue, with.delay_seconds)?;
        let dedup = check_ids(queue, &body, with.message_group_id.as_deref(), with.message_deduplication_id)?;
        let system = with.message_system_attributes;
        if let Some(other) = system.keys().find(|name| *name != "AWSTraceHeader") {
            return Err(invalid("MessageSystemAttributes", other, "It is not a message system attribute."));
        }
        let attributes = (!with.message_attributes.is_empty())
            .then(|| serde_json::to_string(&with.message_attributes))
            .transpose()
            .map_err(|cause| SqsError::Serialization(cause.to_string()))?;
        Ok(Prepared {
            sent: Sent {
                message_id: uuid(),
                md5_of_body: md5_hex(body.as_bytes()),
                md5_of_attributes: md5_of_attributes(&with.message_attributes),
                md5_of_system_attributes: md5_of_attributes(&system),
                sequence_number: None,
            },
            body,
            attributes,
            trace: system.into_values().next().and_then(|attribute| attribute.string_value),
            sender: self.account.clone(),
            group: with.message_group_id,
            dedup,
            delay,
        })
    }

    pub(crate) async fn send(
        &self,
        queue: Arc<Queue>,
        entries: Vec<Prepared>,
    ) -> Result<Vec<Sent>, SqsError> {
        self.writer.run(move |store| store.send(&queue, entries)).await
    }

    /// Receives, waiting up to `wait` for a first message: until one is sent, comes back or comes due.
    pub(crate) async fn receive(
        &self,
        queue: &Queue,
        max: usize,
        visibility: Option<i64>,
        wait: Duration,
    ) -> Result<Vec<Message>, SqsError> {
        let deadline = Instant::now() + wait;
        loop {
            // Listening begins before looking, so nothing that arrives in between is missed.
            let arrival = queue.arrivals.notified();
            tokio::pin!(arrival);
            arrival.as_mut().enable();
            let name = queue.name.clone();
            let found = self.writer.run(move |store| store.receive(&name, max, visibility)).await?;
            if !found.messages.is_empty() || Instant::now() >= deadline {
                return Ok(found.messages);
            }
            let due = found.next.and_then(|at| u64::try_from(at - found.now).ok());
            let due = due.map_or(deadline, |ms| deadline.min(Instant::now() + Duration::from_millis(ms)));
            tokio::select! {
                () = &mut arrival => {}
                () = tokio::time::sleep_until(due) => {}
                () = self.stopping.cancelled() => return Ok(Vec::new()),
            }
        }
    }

    /// Deletes each handle's message in one transaction; the outcomes are in the order of the handles.
    pub(crate) async fn delete(
        &self,
        queue: Arc<Queue>,
        handles: Vec<String>,
    ) -> Result<Vec<Result<(), SqsError>>, SqsError> {
        self.writer
            .run(move |store| Ok(handles.iter().map(|handle| store.delete_message(&queue, handle)).collect()))
            .await
    }

    /// Changes visibility, in seconds, for each handle in one transaction.
    pub(crate) async fn change_visibility(
        &self,
        queue: Arc<Queue>,
        changes: Vec<(String, i64)>,
    ) -> Result<Vec<Result<(), SqsError>>, SqsError> {
        let change = move |store: &mut crate::store::Store| {
            let one = |(handle, seconds): &(String, i64)| {
                let timeout = within("VisibilityTimeout", *seconds, 0, 43_200)? * 1_000;
                store.change_visibility(&queue, handle, timeout)
            };
            Ok(changes.iter().map(one).collect())
        };
        self.writer.run(change).await
    }
}

/// Refuses a number outside its range.
pub(crate) fn within(parameter: &str, value: i64, min: i64, max: i64) -> Result<i64, SqsError> {
    if (min..=max).contains(&value) {
        return Ok(value);
    }
    Err(invalid(parameter, value, &format!("Must be between {min} and {max}, if provided.")))
}

/// The sum that [`MAX_BYTES`] bounds in a batch.
pub(crate) fn check_batch_size(bytes: usize) -> Result<(), SqsError> {
    if bytes > MAX_BYTES { Err(SqsError::BatchRequestTooLong(bytes)) } else { Ok(()) }
}

/// A FIFO queue has only the delay of the queue. In milliseconds.
fn check_delay(queue: &Queue, seconds: Option<i64>) -> Result<Option<i64>, SqsError> {
    match seconds {
        Some(seconds) if queue.fifo && seconds != 0 => {
            let reason = "The request include parameter that is not valid for this queue type.";
            Err(invalid("DelaySeconds", seconds, reason))
        }
        Some(_) if queue.fifo => Ok(None),
        Some(seconds) => Ok(Some(within("DelaySeconds", seconds, 0, 900)? * 1_000)),
        None => Ok(None),
    }
}

/// The deduplication id to use. A standard queue takes a group (fair queues) and no deduplication id.
fn check_ids(
    queue: &Queue,
    body: &str,
    group: Option<&str>,
    dedup: Option<String>,
) -> Result<Option<String>, SqsError> {
    if let Some(group) = group {
        check_id("MessageGroupId", group)?;
    }
    if let Some(dedup) = &dedup {
        check_id("MessageDeduplicationId", dedup)?;
    }
    match (queue.fifo, group, dedup) {
        (false, _, Some(dedup)) => {
            let reason = "The request include parameter that is not valid for this queue type.";
            Err(invalid("MessageDeduplicationId", dedup, reason))
        }
        (false, _, None) => Ok(None),
        (true, None, _) => Err(SqsError::MissingParameter("MessageGroupId".to_owned())),
        (true, Some(_), Some(dedup)) => Ok(Some(dedup)),
        (true, Some(_), None) if queue.settings.content_dedup => Ok(Some(hex(&Sha256::digest(body.as_bytes())))),
        (true, Some(_), None) => Err(SqsError::InvalidParameterValue(
            "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly".to_owned(),
        )),
    }
}
