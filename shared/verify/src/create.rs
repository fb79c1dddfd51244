//! New tasks: pasted lists and uploads.

use std::time::Duration;

use aws::{Bucket, Clients, CommitError, Cond, Deps, PresignedUpload, Transaction, idempotency};
use billing::{Billing, Book, CREDITS_LABEL};
use jiff::{SignedDuration, Timestamp};
use piecework_core::{
    Problem, Settings, UserId, WorkspaceId,
    idempotency::{Reply, Request},
    now,
    settings::SettingError,
};
use serde::{Deserialize, Serialize};
use tabular::{Column, Format, Hints};
use utoipa::ToSchema;

use crate::{
    Error, Task, TaskSource, TaskState,
    list::count_different,
    store::{Objects, TaskRecord, Tasks, erased_key, look_again, parts},
};

/// Addresses that a request can carry; a file can have [`crate::MAX_ROWS`].
pub const MAX_PASTED: usize = 100_000;
/// Octets that an uploaded text file can have.
const MAX_TEXT: u64 = 256 << 20;
/// Octets that an uploaded workbook can have.
const MAX_XLSX: u64 = 100 << 20;
/// How long an upload link lasts. A link dies with the credentials that signed it, and a function's last for hours.
const UPLOAD_LIFE: Duration = Duration::from_secs(3600);
/// The label of the check that the workspace was not erased.
const ERASED: &str = "erased";

/// Tasks, their objects, and the credits that they cost.
#[derive(Clone)]
pub struct Verify {
    pub(crate) tasks: Tasks,
    pub(crate) bucket: Bucket,
    pub(crate) billing: Billing,
}

impl Deps for Verify {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        Ok(Self {
            tasks: Tasks::new(settings, clients)?,
            bucket: Bucket::new(clients, settings.required("VERIFY_BUCKET")?),
            billing: Billing::new(settings, clients)?,
        })
    }
}

/// A pasted list.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTask {
    /// The addresses, 1 to 100,000. What is no address gets `invalid`; a repeated one is verified and charged once.
    #[schema(min_items = 1, max_items = 100000, example = json!(["ada@gmail.com", "bob@gmial.com"]))]
    pub emails: Vec<String>,
    /// What people call it.
    #[serde(default)]
    #[schema(max_length = 200)]
    pub name: Option<String>,
}

/// A file to be uploaded.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUpload {
    /// Its name; the ending says what it is: `.csv`, `.tsv`, `.txt` or `.xlsx`.
    #[schema(min_length = 1, max_length = 200, example = "contacts.csv")]
    pub file_name: String,
    /// Its exact size in octets. At most 268,435,456 for text, 104,857,600 for a workbook.
    #[schema(minimum = 1, maximum = 268435456, example = 23)]
    pub size: u64,
    /// The column with the addresses: its name, or its number from 1. Found if not given.
    #[serde(default)]
    #[schema(value_type = Option<ColumnChoice>, example = "Email")]
    pub column: Option<Column>,
    /// Whether the first row names the columns. Found if not given.
    #[serde(default)]
    pub has_header: Option<bool>,
    /// The sign between cells. Found if not given.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 1, example = ",")]
    pub delimiter: Option<char>,
    /// The encoding's label. Found if not given.
    #[serde(default)]
    #[schema(example = "utf-8")]
    pub encoding: Option<String>,
}

/// A column, by its name or by its number from 1.
#[derive(ToSchema)]
#[serde(untagged)]
pub enum ColumnChoice {
    /// As the header has it.
    Name(String),
    /// From 1.
    Number(u32),
}

/// A task that waits for its file, and where to put it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Upload {
    /// The task; it starts by itself when the file is there.
    pub task: Task,
    /// The request that uploads the file. Send the headers as they are; the link takes one file of the declared size.
    #[schema(value_type = UploadRequest)]
    pub upload: PresignedUpload,
    /// When the link ends.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

/// A presigned request.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes aws::PresignedUpload, which knows nothing of OpenAPI")]
pub struct UploadRequest {
    /// HTTP method.
    #[schema(example = "PUT")]
    method: String,
    /// Where to send the file.
    url: String,
    /// Headers to send exactly so.
    headers: std::collections::BTreeMap<String, String>,
}

impl Verify {
    /// Makes a task of a pasted list: the list goes to S3, then task, hold, event and idempotency record in one transaction.
    pub async fn create_task(
        &self,
        workspace: WorkspaceId,
        actor: UserId,
        list: NewTask,
        request: Option<&Request>,
    ) -> Result<Reply, Problem> {
        let effect = self.create_task_once(workspace, actor, list, request);
        idempotency::once(&self.tasks.table, request, effect).await
    }

    async fn create_task_once(
        &self,
        workspace: WorkspaceId,
        actor: UserId,
        list: NewTask,
        request: Option<&Request>,
    ) -> Result<Reply, Error> {
        if list.emails.is_empty() {
            return Err(Error::EmptyList);
        }
        if list.emails.len() > MAX_PASTED {
            return Err(Error::TooManyPasted(list.emails.len()));
        }
        let name = list.name.filter(|n| !n.is_empty());
        check_name("/name", name.as_deref().unwrap_or("x"))?;
        let mut task = TaskRecord::new(workspace, TaskSource::List, TaskState::Queued, now());
        task.file_name = name;
        task.rows = list.emails.len() as u64;
        task.addresses = count_different(list.emails.iter().map(String::as_str));
        task.duplicates = task.rows - task.addresses;
        task.held = task.addresses;
        let mut plan = self.billing.plan(&Book::credits(workspace), task.addresses).await?;
        let body = serde_json::to_vec(&list.emails).map_err(|e| aws::Error::Shape(e.to_string()))?;
        self.bucket.put(&Objects::of(workspace, task.id).pasted(), "application/json", body).await?;

        let event =
            task.event("queued", serde_json::json!({ "source": task.source, "rows": task.rows })).by(actor);
        let reply = reply(202, &task.clone().view(), task.id)?;
        for _ in 0..aws::RACES {
            let mut transaction = Transaction::new();
            transaction.create("task", &self.tasks.table, &task);
            self.unless_erased(&mut transaction, workspace);
            self.billing.hold_in(&mut transaction, &plan, &task.id.to_string());
            transaction.create(
                "event",
                &self.tasks.table,
                &aws::event_item(&parts(workspace, task.id), &event),
            );
            if let Some(request) = request {
                idempotency::complete_in(&mut transaction, &self.tasks.table, request, &reply);
            }
            match transaction.commit().await {
                // Somebody else took of the same lots: look at the balance again, which may now be too low.
                Err(CommitError::Refused { label: CREDITS_LABEL, .. }) => {
                    plan = self.billing.plan(&Book::credits(workspace), task.addresses).await?;
                }
                Err(CommitError::Refused { label: ERASED, .. }) => return Err(Error::NoSuchTask),
                outcome => return Ok(outcome.map(|()| reply)?),
            }
        }
        Err(aws::Error::races("billing").into())
    }

    /// No task is made that the workspace's erasure, which came meanwhile, would not see.
    fn unless_erased(&self, transaction: &mut Transaction, workspace: WorkspaceId) {
        transaction.check(ERASED, &self.tasks.table, &erased_key(workspace), Cond::Absent("pk"));
    }

    /// Makes a task that waits for a file, and the link that takes it.
    pub async fn create_upload(
        &self,
        workspace: WorkspaceId,
        actor: UserId,
        new: NewUpload,
        request: Option<&Request>,
    ) -> Result<Reply, Problem> {
        let effect = self.create_upload_once(workspace, actor, new, request);
        idempotency::once(&self.tasks.table, request, effect).await
    }

    async fn create_upload_once(
        &self,
        workspace: WorkspaceId,
        actor: UserId,
        new: NewUpload,
        request: Option<&Request>,
    ) -> Result<Reply, Error> {
        check_name("/file_name", &new.file_name)?;
        let format = Format::of_name(&new.file_name)?;
        let limit = if format == Format::Xlsx { MAX_XLSX } else { MAX_TEXT };
        if new.size > limit {
            return Err(Error::FileTooLarge { limit });
        }
        if new.size == 0 {
            return Err(tabular::ListError::Empty.into());
        }
        let at = now();
        let expires_at = at + SignedDuration::try_from(UPLOAD_LIFE).unwrap_or(SignedDuration::from_hours(1));
        let mut task = TaskRecord::new(workspace, TaskSource::Upload, TaskState::AwaitingUpload, at);
        task.file_name = Some(new.file_name);
        task.hints = Hints {
            delimiter: new.delimiter,
            has_header: new.has_header,
            column: new.column,
            encoding: new.encoding,
        };
        task.upload_until = Some(expires_at);
        // A notification that got lost is noticed when the link ends.
        task.gsi2sk = Some(look_again(expires_at, task.id));
        let key = Objects::of(workspace, task.id).upload();
        let upload = self.bucket.presign_upload(&key, content_type(format), new.size, UPLOAD_LIFE).await?;
        let event =
            task.event("created", serde_json::json!({ "source": task.source, "size": new.size })).by(actor);
        let reply = reply(201, &Upload { task: task.clone().view(), upload, expires_at }, task.id)?;
        let mut transaction = Transaction::new();
        transaction.create("task", &self.tasks.table, &task);
        self.unless_erased(&mut transaction, workspace);
        transaction.create("event", &self.tasks.table, &aws::event_item(&parts(workspace, task.id), &event));
        if let Some(request) = request {
            idempotency::complete_in(&mut transaction, &self.tasks.table, request, &reply);
        }
        match transaction.commit().await {
            Err(CommitError::Refused { label: ERASED, .. }) => Err(Error::NoSuchTask),
            outcome => Ok(outcome.map(|()| reply)?),
        }
    }
}

fn check_name(pointer: &'static str, name: &str) -> Result<(), Error> {
    let fine = (1..=200).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if fine {
        return Ok(());
    }
    Err(Error::Unusable {
        pointer,
        detail: "must be 1 to 200 characters, none of them a control character".into(),
    })
}

fn content_type(format: Format) -> &'static str {
    match format {
        Format::Csv => "text/csv",
        Format::Tsv => "text/tab-separated-values",
        Format::Txt => "text/plain",
        Format::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    }
}

fn reply(status: u16, body: &impl Serialize, id: crate::TaskId) -> Result<Reply, aws::Error> {
    Ok(Reply {
        status,
        location: Some(format!("/v1/verification/tasks/{id}")),
        body: serde_json::to_string(body).map_err(|e| aws::Error::Shape(e.to_string()))?,
    })
}
