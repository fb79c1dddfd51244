//! Splitting: a list of any size becomes chunks of rows, in bounded memory.

use std::io::{Read as _, Seek as _};

use aws::{Clients, CommitError, Cond, Deps, Key, Queue, Transaction, Update, Value};
use billing::{Book, CREDITS_LABEL};
use futures::{StreamExt as _, TryStreamExt as _};
use piecework_core::{DomainEvent, Settings, WorkspaceId, now, settings::SettingError};
use serde::{Deserialize, Deserializer};
use tabular::{BadRow, Format, FoundBy, Item, Layout, Limits, LineEnding, ListError, ListReader, sniff};
use tokio::io::AsyncWriteExt as _;

use crate::{
    ChunkMessage, Error, RowError, TaskId, TaskProblem, TaskSource, TaskState, Verify,
    list::{CHUNK_BYTES, CHUNK_ROWS, ListRow, Seen},
    store::{ChunkRecord, ChunkState, Objects, TaskRecord, chunk_key, look_again, parts},
};

/// Chunk records written at once.
const CHUNKS_AT_ONCE: usize = 16;
/// Rows reported in the task itself.
const REPORTED: usize = 100;
/// How long a chunk's record is kept.
const KEPT: jiff::SignedDuration = jiff::SignedDuration::from_hours(40 * 24);
/// When the sweep looks at a running task.
pub(crate) const LOOK_AGAIN: jiff::SignedDuration = jiff::SignedDuration::from_mins(10);

/// Splits lists.
#[derive(Clone)]
pub struct Splitter {
    verify: Verify,
    chunks: Queue,
}

impl Deps for Splitter {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        Ok(Self {
            verify: Verify::new(settings, clients)?,
            chunks: Queue::new(clients, settings.required("CHUNK_QUEUE_URL")?),
        })
    }
}

/// What the split queue carries: our event of a new task, or S3's notification of an uploaded file.
#[derive(Debug, Clone)]
pub struct SplitMessage {
    tasks: Vec<(WorkspaceId, TaskId)>,
}

impl<'de> Deserialize<'de> for SplitMessage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Wire {
            Event(Box<DomainEvent>),
            Notification {
                #[serde(rename = "Records")]
                records: Vec<Record>,
            },
            /// What S3 sends when a notification is set up.
            Test {
                #[serde(rename = "Event")]
                event: String,
            },
        }
        #[derive(Deserialize)]
        struct Record {
            s3: Entity,
        }
        #[derive(Deserialize)]
        struct Entity {
            object: Object,
        }
        #[derive(Deserialize)]
        struct Object {
            key: String,
        }
        use serde::de::Error as _;
        let tasks = match Wire::deserialize(deserializer)? {
            Wire::Event(event) => vec![(event.workspace, event.entity.parse().map_err(D::Error::custom)?)],
            Wire::Notification { records } => records
                .iter()
                .map(|r| uploaded(&r.s3.object.key).ok_or_else(|| D::Error::custom("not an upload of ours")))
                .collect::<Result<_, _>>()?,
            Wire::Test { event } if event == "s3:TestEvent" => Vec::new(),
            Wire::Test { .. } => return Err(D::Error::custom("unknown notification")),
        };
        Ok(Self { tasks })
    }
}

/// The task of an upload's key. S3 encodes keys like form values, but these have nothing to encode.
fn uploaded(key: &str) -> Option<(WorkspaceId, TaskId)> {
    let mut parts = key.strip_prefix("uploads/")?.split('/');
    let found = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    parts.next().is_none().then_some(found)
}

/// What the split found.
struct Split {
    layout: Layout,
    rows: u64,
    addresses: u64,
    duplicates: u64,
    bad_rows: u64,
    errors: Vec<RowError>,
    chunks: Vec<ChunkRecord>,
}

impl Splitter {
    /// Splits the lists that the message names. A repeat finds the task past its split and only sends again what is pending.
    pub async fn run(&self, message: SplitMessage) -> Result<(), Error> {
        for (workspace, id) in message.tasks {
            self.split(workspace, id).await?;
        }
        Ok(())
    }

    async fn split(&self, workspace: WorkspaceId, id: TaskId) -> Result<(), Error> {
        let tasks = &self.verify.tasks;
        let Some(task) = tasks.record(workspace, id).await? else {
            tracing::warn!(%id, "a list without a task: its workspace was erased while it was on its way");
            return self.discard(workspace, id).await;
        };
        match task.state {
            TaskState::AwaitingUpload | TaskState::Queued => {}
            TaskState::Running => return self.send_pending(&task).await,
            TaskState::Cancelled | TaskState::Expired if task.started_at.is_none() => {
                return self.discard(workspace, id).await;
            }
            _ => return Ok(()),
        }
        let split = match self.read(&task).await {
            Ok(split) => split,
            Err(Error::Unreadable(error)) if !matches!(error, ListError::Io(_)) => {
                let problem = TaskProblem {
                    code: error.code().into(),
                    detail: error.to_string(),
                    required: None,
                    available: None,
                };
                return self.fail(&task, problem).await;
            }
            Err(error) => return Err(error),
        };
        // Before the task says that it runs: what it then points to is there. Only what is not there yet is written: a repeat
        // that comes late must not open chunks again that were counted meanwhile.
        let created = split.chunks.iter().map(|chunk| tasks.table.put(chunk, Some(Cond::Absent("pk"))));
        futures::stream::iter(created)
            .buffer_unordered(CHUNKS_AT_ONCE)
            .try_for_each(|_| async { Ok(()) })
            .await?;
        if self.begin(&task, &split).await? {
            tracing::info!(%id, rows = split.rows, chunks = split.chunks.len(), "split");
            self.send_all(&task, &split.chunks).await?;
        }
        Ok(())
    }

    /// Deletes a file that came too late: nobody will read it, and nobody would erase it.
    async fn discard(&self, workspace: WorkspaceId, id: TaskId) -> Result<(), Error> {
        Ok(self.verify.bucket.delete(&Objects::of(workspace, id).upload()).await?)
    }

    /// The transition to `running`, with the hold if the list was uploaded. `false` if the task is no longer to be split.
    async fn begin(&self, task: &TaskRecord, split: &Split) -> Result<bool, Error> {
        let (verify, at) = (&self.verify, now());
        for _ in 0..aws::RACES {
            let mut transaction = Transaction::new();
            let mut update = Update::at(task.key())
                .set("state", TaskState::Running.name())
                .set("layout", Value::of(&split.layout)?)
                .set("rows", split.rows)
                .set("addresses", split.addresses)
                .set("duplicates", split.duplicates)
                .set("bad_rows", split.bad_rows)
                .set("errors", Value::of(&split.errors)?)
                .set("chunks", split.chunks.len())
                .set("started_at", at)
                .set("gsi2sk", look_again(at + LOOK_AGAIN, task.id))
                .when(Cond::eq("state", task.state.name()));
            if task.source == TaskSource::Upload {
                let plan = match verify.billing.plan(&Book::credits(task.workspace), split.addresses).await {
                    Ok(plan) => plan,
                    Err(billing::Error::Insufficient { required, available }) => {
                        let detail = format!(
                            "The list costs up to {required} credits; {available} are available. Nothing was charged."
                        );
                        let (required, available) = (Some(required), Some(available));
                        let problem =
                            TaskProblem { code: "insufficient_credits".into(), detail, required, available };
                        self.fail(task, problem).await?;
                        return Ok(false);
                    }
                    Err(billing::Error::Scattered { at_once }) => {
                        let detail = format!(
                            "The credits were bought or given in many parts; at most {at_once} can be spent at once. Split the list. Nothing was charged."
                        );
                        let problem = TaskProblem {
                            code: "scattered_credits".into(),
                            detail,
                            required: None,
                            available: None,
                        };
                        self.fail(task, problem).await?;
                        return Ok(false);
                    }
                    Err(error) => return Err(error.into()),
                };
                verify.billing.hold_in(&mut transaction, &plan, &task.id.to_string());
                update = update.set("held", split.addresses);
            }
            transaction.update("task", &verify.tasks.table, update);
            let data = serde_json::json!({ "rows": split.rows, "addresses": split.addresses, "chunks": split.chunks.len() });
            let event = task.event("started", data);
            transaction.create(
                "event",
                &verify.tasks.table,
                &aws::event_item(&parts(task.workspace, task.id), &event),
            );
            match transaction.commit().await {
                Ok(()) => return Ok(true),
                Err(CommitError::Refused { label: CREDITS_LABEL, .. }) => {}
                // Another split, or a cancel, was first.
                Err(CommitError::Refused { label: "task" | "hold", .. }) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        Err(aws::Error::races("billing").into())
    }

    /// Ends a task whose list cannot be used, and gives back what a pasted list held.
    async fn fail(&self, task: &TaskRecord, problem: TaskProblem) -> Result<(), Error> {
        tracing::info!(id = %task.id, code = problem.code, "the list cannot be used");
        let event = task.event("failed", serde_json::json!({ "code": problem.code }));
        let update = Update::at(task.key()).set("problem", Value::of(&problem)?);
        self.verify.close(task, TaskState::Failed, &[task.state], update, 0, event).await?;
        Ok(())
    }

    async fn read(&self, task: &TaskRecord) -> Result<Split, Error> {
        let objects = Objects::of(task.workspace, task.id);
        let bucket = &self.verify.bucket;
        let mut out = Chunks {
            splitter: self,
            task,
            split: Split::empty(),
            seen: Seen::default(),
            rows: Vec::new(),
            bytes: 0,
        };
        match task.source {
            TaskSource::List => {
                let object = bucket.get(&objects.pasted()).await?.ok_or_else(|| lost(task))?;
                let emails: Vec<String> = serde_json::from_slice(&object)
                    .map_err(|e| aws::Error::Shape(format!("pasted list: {e}")))?;
                drop(object);
                for (at, email) in emails.into_iter().enumerate() {
                    out.row(at as u64 + 1, vec![email]).await?;
                }
            }
            TaskSource::Upload => {
                let file = tempfile::NamedTempFile::new().map_err(ListError::Io)?;
                let mut copy = tokio::fs::File::from_std(file.reopen().map_err(ListError::Io)?);
                let size = bucket.download(&objects.upload(), &mut copy).await?.ok_or_else(|| lost(task))?;
                copy.flush().await.map_err(ListError::Io)?;
                tracing::info!(id = %task.id, size, "list fetched");
                let mut head = vec![0; 1024];
                let mut local = file.reopen().map_err(ListError::Io)?;
                let got = local.read(&mut head).map_err(ListError::Io)?;
                let format = sniff(task.file_name.as_deref().unwrap_or_default(), &head[..got])?;
                local.rewind().map_err(ListError::Io)?;
                let limits = Limits::default();
                let reader = match format {
                    Format::Xlsx => ListReader::xlsx(file.path(), &task.hints, &limits)?,
                    _ => ListReader::text(local, format, &task.hints, &limits)?,
                };
                out.split.layout = reader.layout().clone();
                for item in reader {
                    match item? {
                        Item::Row(row) => {
                            out.row(row.line(), row.cells().map(str::to_owned).collect()).await?
                        }
                        Item::Bad(bad) => out.bad(bad).await?,
                    }
                }
            }
        }
        out.end().await
    }

    async fn send_all(&self, task: &TaskRecord, chunks: &[ChunkRecord]) -> Result<(), Error> {
        let messages: Vec<_> = chunks.iter().map(|c| ChunkMessage::of(task, c.first)).collect();
        Ok(self.chunks.send_all(&messages).await?)
    }

    async fn send_pending(&self, task: &TaskRecord) -> Result<(), Error> {
        let chunks = self.verify.tasks.chunks(task.workspace, task.id).await?;
        let pending: Vec<_> = chunks.into_iter().filter(|c| c.state == ChunkState::Pending).collect();
        self.send_all(task, &pending).await
    }
}

fn lost(task: &TaskRecord) -> aws::Error {
    // S3 is consistent: an object that was announced and is not there may only be on its way back from a replication or restore.
    aws::Error::Unavailable { service: "S3", cause: format!("the list of {} is not there", task.id) }
}

impl Split {
    fn empty() -> Self {
        Self {
            layout: Layout {
                format: Format::Csv,
                delimiter: Some(','),
                encoding: "UTF-8".into(),
                bom: false,
                line_ending: LineEnding::CrLf,
                header: Some(vec!["email".into()]),
                address_column: 0,
                found_by: FoundBy::Name,
                columns: 1,
                sheet: None,
            },
            rows: 0,
            addresses: 0,
            duplicates: 0,
            bad_rows: 0,
            errors: Vec::new(),
            chunks: Vec::new(),
        }
    }
}

/// Gathers rows and writes a chunk object whenever there are enough.
struct Chunks<'a> {
    splitter: &'a Splitter,
    task: &'a TaskRecord,
    split: Split,
    seen: Seen,
    rows: Vec<u8>,
    bytes: usize,
}

impl Chunks<'_> {
    async fn row(&mut self, line: u64, cells: Vec<String>) -> Result<(), Error> {
        let address = cells.get(self.split.layout.address_column).map_or("", String::as_str);
        let duplicate_of = self.seen.first(address, self.split.rows);
        match duplicate_of {
            Some(_) => self.split.duplicates += 1,
            None => self.split.addresses += 1,
        }
        self.push(&ListRow { line, cells, duplicate_of, bad: None }).await
    }

    async fn bad(&mut self, bad: BadRow) -> Result<(), Error> {
        self.split.bad_rows += 1;
        if self.split.errors.len() < REPORTED {
            self.split.errors.push(RowError::new(bad.line, &bad.reason));
        }
        self.push(&ListRow { line: bad.line, cells: bad.cells, duplicate_of: None, bad: Some(bad.reason) })
            .await
    }

    async fn push(&mut self, row: &ListRow) -> Result<(), Error> {
        if self.split.chunks.last().is_none_or(|_| self.bytes == 0) && self.rows.is_empty() {
            self.open();
        }
        self.bytes += row.cells.iter().map(String::len).sum::<usize>() + 1;
        serde_json::to_writer(&mut self.rows, row).map_err(|e| aws::Error::Shape(e.to_string()))?;
        self.rows.push(b'\n');
        self.split.rows += 1;
        let in_chunk = self.split.chunks.last_mut().map_or(0, |chunk| {
            chunk.rows += 1;
            chunk.rows
        });
        if in_chunk >= CHUNK_ROWS as u64 || self.bytes >= CHUNK_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    fn open(&mut self) {
        let first = self.split.rows;
        let Key { pk, sk } = chunk_key(self.task.workspace, self.task.id, first);
        let state = ChunkState::Pending;
        let expires_at = (now() + KEPT).as_second();
        let (lease_until, lease, counted, offsets) = (None, None, None, Vec::new());
        self.split.chunks.push(ChunkRecord {
            pk,
            sk,
            first,
            rows: 0,
            state,
            lease_until,
            lease,
            counted,
            offsets,
            expires_at,
        });
    }

    async fn flush(&mut self) -> Result<(), Error> {
        let Some(chunk) = self.split.chunks.last() else { return Ok(()) };
        let key = Objects::of(self.task.workspace, self.task.id).chunk(chunk.first);
        self.bytes = 0;
        let object = std::mem::take(&mut self.rows);
        Ok(self.splitter.verify.bucket.put(&key, "application/x-ndjson", object).await?)
    }

    async fn end(mut self) -> Result<Split, Error> {
        if !self.rows.is_empty() {
            self.flush().await?;
        }
        Ok(self.split)
    }
}
