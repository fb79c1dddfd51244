//! The AWS JSON 1.0 protocol: `POST` with `X-Amz-Target: AmazonSQS.Operation`, whatever the path.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::attributes::{COMPUTED, effective, is_known};
use crate::engine::{Engine, check_batch_size, within};
use crate::error::SqsError;
use crate::message::{size, uuid};
use crate::store::Queue;
use crate::wire::{
    AddTags, AttributeNames, Batch, CreateQueue, GetQueueUrl, Handle, Nothing, OnQueue, Page, ReceiveMessage,
    RemoveTags, SendMessage, SetAttributes, Visibility,
};

/// A batch of 1 MiB may be several times that in JSON: `\u0009` is one byte of message.
const LARGEST_REQUEST: usize = 16 * 1024 * 1024;

type Answer = Result<Value, SqsError>;

pub(crate) fn router(engine: Arc<Engine>) -> Router {
    Router::new().fallback(serve).with_state(engine)
}

async fn serve(State(engine): State<Arc<Engine>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let answer = match to_bytes(body, LARGEST_REQUEST).await {
        Ok(body) => Call { engine: &engine }.run(&head.headers, &body).await,
        Err(cause) => Err(SqsError::Serialization(cause.to_string())),
    };
    respond(answer)
}

fn respond(answer: Answer) -> Response {
    let (status, error, body) = match answer {
        Ok(body) => (StatusCode::OK, None, body),
        Err(cause) => {
            if !cause.sender_fault() {
                tracing::error!(%cause, "an SQS request failed");
            }
            let status = StatusCode::from_u16(cause.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let side = if cause.sender_fault() { "Sender" } else { "Receiver" };
            let body = json!({ "__type": cause.shape(), "message": cause.to_string() });
            (status, HeaderValue::from_str(&format!("{};{side}", cause.code())).ok(), body)
        }
    };
    // An operation without a result answers with no body, as AWS does.
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
    headers
        .extend(HeaderValue::from_str(&uuid()).map(|id| (HeaderName::from_static("x-amzn-requestid"), id)));
    headers.extend(error.map(|error| (HeaderName::from_static("x-amzn-query-error"), error)));
    response
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, SqsError> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|cause| SqsError::Serialization(cause.to_string()))
}

fn value(of: impl serde::Serialize) -> Answer {
    serde_json::to_value(of).map_err(|cause| SqsError::Serialization(cause.to_string()))
}

struct Call<'a> {
    engine: &'a Arc<Engine>,
}

impl Call<'_> {
    async fn run(&self, headers: &HeaderMap, body: &[u8]) -> Answer {
        let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
        let operation = target.strip_prefix("AmazonSQS.").unwrap_or_default();
        match operation {
            "CreateQueue" => self.create_queue(parse(body)?).await,
            "GetQueueUrl" => self.get_queue_url(&parse(body)?),
            "ListQueues" => self.list_queues(&parse(body)?),
            "ListDeadLetterSourceQueues" => self.list_sources(&self.on(body)?),
            "DeleteQueue" => {
                let (queue, Nothing {}) = self.on(body)?;
                self.engine.writer.run(move |store| store.delete(&queue.name)).await.map(|()| Value::Null)
            }
            "PurgeQueue" => {
                let (queue, Nothing {}) = self.on(body)?;
                self.engine.writer.run(move |store| store.purge(&queue.name)).await.map(|()| Value::Null)
            }
            "GetQueueAttributes" => self.get_attributes(self.on(body)?).await,
            "SetQueueAttributes" => {
                let (queue, SetAttributes { attributes }) = self.on(body)?;
                let set = self.engine.writer.run(move |store| store.set_attributes(&queue.name, attributes));
                set.await.map(|()| Value::Null)
            }
            "TagQueue" => {
                let (queue, AddTags { tags }) = self.on(body)?;
                let set = self.engine.writer.run(move |store| store.set_tags(&queue.name, tags, &[]));
                set.await.map(|()| Value::Null)
            }
            "UntagQueue" => {
                let (queue, RemoveTags { tag_keys }) = self.on(body)?;
                let remove = move |store: &mut crate::store::Store| {
                    store.set_tags(&queue.name, BTreeMap::new(), &tag_keys)
                };
                self.engine.writer.run(remove).await.map(|()| Value::Null)
            }
            "ListQueueTags" => {
                let (queue, Nothing {}) = self.on(body)?;
                Ok(json!({ "Tags": queue.tags }))
            }
            "SendMessage" => self.send(self.on(body)?).await,
            "SendMessageBatch" => self.send_batch(self.on(body)?).await,
            "ReceiveMessage" => self.receive(self.on(body)?).await,
            "DeleteMessage" => {
                let (queue, Handle { receipt_handle }) = self.on(body)?;
                single(self.engine.delete(queue, vec![receipt_handle]).await?)
            }
            "DeleteMessageBatch" => self.delete_batch(self.on(body)?).await,
            "ChangeMessageVisibility" => {
                let (queue, change): (_, Visibility) = self.on(body)?;
                let change = (change.receipt_handle, change.visibility_timeout);
                single(self.engine.change_visibility(queue, vec![change]).await?)
            }
            "ChangeMessageVisibilityBatch" => self.change_batch(self.on(body)?).await,
            _ => Err(SqsError::UnknownOperation(target.to_owned())),
        }
    }

    /// Reads a body that names a queue, and finds the queue.
    fn on<T: DeserializeOwned>(&self, body: &[u8]) -> Result<(Arc<Queue>, T), SqsError> {
        let input: OnQueue<T> = parse(body)?;
        let url = input.queue_url.ok_or_else(|| SqsError::MissingParameter("QueueUrl".to_owned()))?;
        Ok((self.engine.queue(&url)?, input.rest))
    }

    async fn create_queue(&self, input: CreateQueue) -> Answer {
        let url = self.engine.url(&input.queue_name);
        let CreateQueue { queue_name, attributes, tags } = input;
        self.engine.writer.run(move |store| store.create(&queue_name, attributes, tags)).await?;
        Ok(json!({ "QueueUrl": url }))
    }

    fn get_queue_url(&self, input: &GetQueueUrl) -> Answer {
        if input.owner.as_ref().is_some_and(|owner| *owner != self.engine.account) {
            return Err(SqsError::QueueDoesNotExist);
        }
        let queue = self.engine.queues.find(&input.queue_name)?;
        Ok(json!({ "QueueUrl": self.engine.url(&queue.name) }))
    }

    fn list_queues(&self, input: &Page) -> Answer {
        let all = self.engine.queues.all();
        let names = all.iter().map(|queue| queue.name.as_str());
        self.page("QueueUrls", names.filter(|name| name.starts_with(&input.queue_name_prefix)), input)
    }

    fn list_sources(&self, (target, input): &(Arc<Queue>, Page)) -> Answer {
        let all = self.engine.queues.all();
        let points_here =
            |queue: &&Arc<Queue>| queue.settings.redrive.as_ref().is_some_and(|r| r.target_arn == target.arn);
        self.page("queueUrls", all.iter().filter(points_here).map(|queue| queue.name.as_str()), input)
    }

    /// Names come sorted; the token is the last name of the page before. AWS pages only when asked to, and
    /// otherwise ends after 1,000.
    fn page<'q>(&self, field: &str, names: impl Iterator<Item = &'q str>, page: &Page) -> Answer {
        let max = within("MaxResults", page.max_results.unwrap_or(1_000), 1, 1_000)?;
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        let after = page.next_token.as_deref().unwrap_or_default();
        let mut names = names.filter(|name| *name > after);
        let shown: Vec<&str> = names.by_ref().take(max).collect();
        let mut answer = Map::new();
        if let (Some(last), Some(_), Some(_)) = (shown.last(), page.max_results, names.next()) {
            answer.insert("NextToken".to_owned(), json!(last));
        }
        if !shown.is_empty() {
            let urls: Vec<String> = shown.into_iter().map(|name| self.engine.url(name)).collect();
            answer.insert(field.to_owned(), json!(urls));
        }
        Ok(Value::Object(answer))
    }

    async fn get_attributes(&self, (queue, input): (Arc<Queue>, AttributeNames)) -> Answer {
        let asked = input.attribute_names;
        if let Some(unknown) = asked.iter().find(|name| *name != "All" && !is_known(name)) {
            return Err(SqsError::InvalidAttributeName(unknown.clone()));
        }
        let name = queue.name.clone();
        let counts = self.engine.writer.run(move |store| store.counts(&name)).await?;
        let mut all = effective(&queue.set, queue.fifo);
        let computed = [
            counts.visible.to_string(),
            counts.in_flight.to_string(),
            counts.delayed.to_string(),
            queue.created.to_string(),
            queue.modified.to_string(),
            queue.arn.clone(),
        ];
        all.extend(COMPUTED.iter().map(|name| (*name).to_owned()).zip(computed));
        all.retain(|name, _| asked.iter().any(|asked| asked == "All" || asked == name));
        Ok(if all.is_empty() { json!({}) } else { json!({ "Attributes": all }) })
    }

    async fn send(&self, (queue, input): (Arc<Queue>, SendMessage)) -> Answer {
        let entry = self.engine.prepare(&queue, input.message_body, input.options)?;
        value(self.engine.send(queue, vec![entry]).await?.pop())
    }

    /// Entries that break a rule fail alone; the others are stored together.
    async fn send_batch(&self, (queue, batch): (Arc<Queue>, Batch<SendMessage>)) -> Answer {
        let entries = batch.checked()?;
        check_batch_size(
            entries.iter().map(|e| size(&e.rest.message_body, &e.rest.options.message_attributes)).sum(),
        )?;
        let (mut ids, mut prepared, mut report) = (Vec::new(), Vec::new(), Report::default());
        for entry in entries {
            match self.engine.prepare(&queue, entry.rest.message_body, entry.rest.options) {
                Ok(ready) => {
                    ids.push(entry.id);
                    prepared.push(ready);
                }
                Err(cause) => report.failed(&entry.id, &cause),
            }
        }
        if !prepared.is_empty() {
            for (id, sent) in ids.iter().zip(self.engine.send(queue, prepared).await?) {
                report.succeeded(id, value(sent)?);
            }
        }
        Ok(report.into())
    }

    async fn receive(&self, (queue, input): (Arc<Queue>, ReceiveMessage)) -> Answer {
        let max = within("MaxNumberOfMessages", input.max_number_of_messages.unwrap_or(1), 1, 10)?;
        let visibility = match input.visibility_timeout {
            Some(seconds) => Some(within("VisibilityTimeout", seconds, 0, 43_200)? * 1_000),
            None => None,
        };
        let wait = match input.wait_time_seconds {
            Some(seconds) => within("WaitTimeSeconds", seconds, 0, 20)? * 1_000,
            None => queue.settings.wait,
        };
        let wait = Duration::from_millis(u64::try_from(wait).unwrap_or_default());
        let max = usize::try_from(max).unwrap_or(1);
        let mut messages = self.engine.receive(&queue, max, visibility, wait).await?;
        let system = [input.attribute_names, input.message_system_attribute_names].concat();
        messages.iter_mut().for_each(|message| message.narrow(&system, &input.message_attribute_names));
        Ok(if messages.is_empty() { json!({}) } else { json!({ "Messages": messages }) })
    }

    async fn delete_batch(&self, (queue, batch): (Arc<Queue>, Batch<Handle>)) -> Answer {
        let entries = batch.checked()?;
        let (ids, handles): (Vec<_>, _) = entries.into_iter().map(|e| (e.id, e.rest.receipt_handle)).unzip();
        Ok(Report::of(&ids, self.engine.delete(queue, handles).await?).into())
    }

    async fn change_batch(&self, (queue, batch): (Arc<Queue>, Batch<Visibility>)) -> Answer {
        let entries = batch.checked()?;
        let change = |rest: Visibility| (rest.receipt_handle, rest.visibility_timeout);
        let (ids, changes): (Vec<_>, _) = entries.into_iter().map(|e| (e.id, change(e.rest))).unzip();
        Ok(Report::of(&ids, self.engine.change_visibility(queue, changes).await?).into())
    }
}

fn single(mut outcomes: Vec<Result<(), SqsError>>) -> Answer {
    outcomes.pop().unwrap_or(Err(SqsError::Stopped)).map(|()| Value::Null)
}

/// The answer to a batch: 200 even when entries failed.
#[derive(Default)]
struct Report {
    successful: Vec<Value>,
    failed: Vec<Value>,
}

impl Report {
    fn of(ids: &[String], outcomes: Vec<Result<(), SqsError>>) -> Self {
        let mut report = Self::default();
        for (id, outcome) in ids.iter().zip(outcomes) {
            match outcome {
                Ok(()) => report.succeeded(id, json!({})),
                Err(cause) => report.failed(id, &cause),
            }
        }
        report
    }

    fn succeeded(&mut self, id: &str, mut entry: Value) {
        entry["Id"] = json!(id);
        self.successful.push(entry);
    }

    fn failed(&mut self, id: &str, cause: &SqsError) {
        self.failed.push(json!({
            "Id": id, "SenderFault": cause.sender_fault(), "Code": cause.code(), "Message": cause.to_string(),
        }));
    }
}

impl From<Report> for Value {
    /// AWS leaves an empty list out.
    fn from(report: Report) -> Self {
        let lists = [("Successful", report.successful), ("Failed", report.failed)];
        let lists = lists.into_iter().filter(|(_, entries)| !entries.is_empty());
        Value::Object(lists.map(|(name, entries)| (name.to_owned(), Value::Array(entries))).collect())
    }
}
