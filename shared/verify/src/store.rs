//! Tasks in DynamoDB, and the names of their objects in S3.
//!
//! `WSP#<workspace>` / `TASK#<task>`: the task. `TASK#<workspace>#<task>` / `CHUNK#<first row>`, `EVENT#<event>`,
//! `DOMAIN#<domain>`: what belongs to it. A task of another workspace is another key, and so not there.

use aws::{Clients, Deps, Found, Key, Query, Table};
use jiff::Timestamp;
use piecework_core::{DomainEvent, PageRequest, Settings, WorkspaceId, settings::SettingError, sortable};
use serde::{Deserialize, Serialize};
use tabular::{Hints, Layout};

use crate::{
    CreditUse, Error, JobStatusCounts, RowError, Task, TaskEvent, TaskId, TaskProblem, TaskSource, TaskState,
    VerificationCounts,
};

/// The value of `gsi2pk` while a task is open: the sweep's worklist.
pub(crate) const OPEN: &str = "OPEN";

/// The tasks' table.
#[derive(Clone)]
pub struct Tasks {
    pub(crate) table: Table,
}

impl Deps for Tasks {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        Ok(Self { table: Table::new(clients, settings.required("VERIFY_TABLE")?) })
    }
}

/// A task as it is kept. Counters are attributes of their own, so that chunks can add to them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TaskRecord {
    pub pk: String,
    pub sk: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gsi1pk: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gsi1sk: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gsi2pk: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gsi2sk: Option<String>,
    pub id: TaskId,
    pub workspace: WorkspaceId,
    pub source: TaskSource,
    pub state: TaskState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    #[serde(default)]
    pub hints: Hints,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,
    #[serde(default)]
    pub rows: u64,
    #[serde(default)]
    pub addresses: u64,
    #[serde(default)]
    pub duplicates: u64,
    #[serde(default)]
    pub bad_rows: u64,
    #[serde(default)]
    pub chunks: u64,
    #[serde(default)]
    pub n_chunks: u64,
    #[serde(default)]
    pub n_valid: u64,
    #[serde(default)]
    pub n_risky: u64,
    #[serde(default)]
    pub n_invalid: u64,
    #[serde(default)]
    pub n_unknown: u64,
    #[serde(default)]
    pub n_bad: u64,
    #[serde(default)]
    pub n_cancelled: u64,
    #[serde(default)]
    pub n_charged: u64,
    #[serde(default)]
    pub held: u64,
    #[serde(default)]
    pub charged: u64,
    #[serde(default)]
    pub errors: Vec<RowError>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<TaskProblem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drained_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    pub created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

impl TaskRecord {
    pub fn new(workspace: WorkspaceId, source: TaskSource, state: TaskState, at: Timestamp) -> Self {
        let id = TaskId::new();
        let Key { pk, sk } = task_key(workspace, id);
        let uploads = (source == TaskSource::Upload).then(|| format!("WSP#{workspace}#UPLOADS"));
        Self {
            pk,
            sk,
            gsi1sk: uploads.is_some().then(|| id.to_string()),
            gsi1pk: uploads,
            gsi2pk: Some(OPEN.to_owned()),
            gsi2sk: Some(look_again(at, id)),
            id,
            workspace,
            source,
            state,
            file_name: None,
            hints: Hints::default(),
            layout: None,
            rows: 0,
            addresses: 0,
            duplicates: 0,
            bad_rows: 0,
            chunks: 0,
            n_chunks: 0,
            n_valid: 0,
            n_risky: 0,
            n_invalid: 0,
            n_unknown: 0,
            n_bad: 0,
            n_cancelled: 0,
            n_charged: 0,
            held: 0,
            charged: 0,
            errors: Vec::new(),
            problem: None,
            result_bytes: None,
            upload_until: None,
            drained_at: None,
            correlation_id: piecework_core::correlation::current(),
            created_at: at,
            started_at: None,
            finished_at: None,
        }
    }

    pub fn key(&self) -> Key {
        Key::new(&self.pk, &self.sk)
    }

    /// Every chunk is done or passed over, and nobody has closed the task yet.
    pub fn is_drained(&self) -> bool {
        matches!(self.state, TaskState::Running | TaskState::Cancelling) && self.n_chunks == self.chunks
    }

    pub fn event(&self, what: &str, data: serde_json::Value) -> DomainEvent {
        DomainEvent::new(&format!("verification.task.{what}"), self.workspace, self.id, data)
    }

    pub fn view(self) -> Task {
        let verified = self.n_valid + self.n_risky + self.n_invalid + self.n_unknown;
        let settled = verified + self.n_bad + self.n_cancelled;
        let stopped = if self.state.is_final() { self.rows.saturating_sub(settled) } else { 0 };
        Task {
            id: self.id,
            workspace: self.workspace,
            source: self.source,
            state: self.state,
            file_name: self.file_name,
            rows: self.rows,
            addresses: self.addresses,
            duplicates: self.duplicates,
            verification_status: VerificationCounts {
                valid: self.n_valid,
                risky: self.n_risky,
                invalid: self.n_invalid,
                unknown: self.n_unknown,
            },
            job_status: JobStatusCounts {
                queued: self.rows.saturating_sub(settled + stopped),
                completed: verified,
                failed: self.n_bad,
                cancelled: self.n_cancelled + stopped,
            },
            credits: CreditUse {
                held: if self.state.is_final() { 0 } else { self.held },
                charged: self.charged,
            },
            errors: self.errors,
            problem: self.problem,
            created_at: self.created_at,
            started_at: self.started_at,
            finished_at: self.finished_at,
        }
    }
}

/// A chunk: its rows are `first .. first + rows`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ChunkRecord {
    pub pk: String,
    pub sk: String,
    pub first: u64,
    pub rows: u64,
    pub state: ChunkState,
    /// Until when the claim holds, epoch milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<i64>,
    /// Which claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<String>,
    /// The claim whose results were counted; the names of their objects have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<String>,
    /// Where every hundredth row begins in the object of jobs, octets; the last is its size.
    #[serde(default)]
    pub offsets: Vec<u64>,
    /// When the record goes, epoch seconds: after its objects, which S3 keeps for 30 days.
    pub expires_at: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChunkState {
    Pending,
    Done,
    Cancelled,
}

pub(crate) fn task_key(workspace: WorkspaceId, id: TaskId) -> Key {
    Key::new(format!("WSP#{workspace}"), format!("TASK#{id}"))
}

/// The partition of what belongs to a task.
pub(crate) fn parts(workspace: WorkspaceId, id: TaskId) -> String {
    format!("TASK#{workspace}#{id}")
}

/// What stays of a workspace that was erased: that it was.
pub(crate) fn erased_key(workspace: WorkspaceId) -> Key {
    Key::new(format!("ERASED#{workspace}"), "ERASED")
}

pub(crate) fn chunk_key(workspace: WorkspaceId, id: TaskId, first: u64) -> Key {
    Key::new(parts(workspace, id), format!("CHUNK#{first:08}"))
}

/// The sort key under which the sweep finds the task once `at` has passed.
pub(crate) fn look_again(at: Timestamp, id: TaskId) -> String {
    format!("{}#{id}", sortable(at))
}

/// The names of a task's objects.
pub(crate) struct Objects {
    pub workspace: WorkspaceId,
    pub id: TaskId,
}

impl Objects {
    pub fn of(workspace: WorkspaceId, id: TaskId) -> Self {
        Self { workspace, id }
    }
    /// An uploaded file. Only these names cause a notification.
    pub fn upload(&self) -> String {
        format!("uploads/{}/{}", self.workspace, self.id)
    }
    /// A pasted list.
    pub fn pasted(&self) -> String {
        format!("lists/{}/{}", self.workspace, self.id)
    }
    pub fn chunk(&self, first: u64) -> String {
        format!("chunks/{}/{}/{first:08}.ndjson", self.workspace, self.id)
    }
    /// A chunk's results. Every claim writes its own, so that one which outlived its lease cannot touch those that were counted.
    pub fn jobs(&self, first: u64, claim: &str) -> String {
        format!("results/{}/{}/jobs/{first:08}-{claim}.ndjson", self.workspace, self.id)
    }
    pub fn segment(&self, first: u64, claim: &str) -> String {
        format!("results/{}/{}/csv/{first:08}-{claim}.csv", self.workspace, self.id)
    }
    pub fn csv(&self) -> String {
        format!("results/{}/{}/results.csv", self.workspace, self.id)
    }
}

impl Tasks {
    pub(crate) async fn record(
        &self,
        workspace: WorkspaceId,
        id: TaskId,
    ) -> Result<Option<TaskRecord>, aws::Error> {
        self.table.get(&task_key(workspace, id)).await
    }

    pub(crate) async fn chunks(
        &self,
        workspace: WorkspaceId,
        id: TaskId,
    ) -> Result<Vec<ChunkRecord>, aws::Error> {
        Ok(self.table.query(Query::partition(parts(workspace, id)).prefix("CHUNK#")).await?.items)
    }

    /// One task (V4).
    pub async fn task(&self, workspace: WorkspaceId, id: TaskId) -> Result<Task, Error> {
        Ok(self.record(workspace, id).await?.ok_or(Error::NoSuchTask)?.view())
    }

    /// A workspace's tasks, newest first (V3).
    pub async fn list(&self, workspace: WorkspaceId, page: &PageRequest) -> Result<Found<Task>, Error> {
        let query = Query::partition(format!("WSP#{workspace}")).prefix("TASK#");
        self.page(query, page).await
    }

    /// A workspace's uploads, newest first (V8).
    pub async fn uploads(&self, workspace: WorkspaceId, page: &PageRequest) -> Result<Found<Task>, Error> {
        self.page(Query::index("gsi1", format!("WSP#{workspace}#UPLOADS")), page).await
    }

    async fn page(&self, query: Query, page: &PageRequest) -> Result<Found<Task>, Error> {
        let query = query.newest_first().limit(page.limit).start(page.start.clone());
        let found = self.table.query::<TaskRecord>(query).await?;
        Ok(Found { items: found.items.into_iter().map(TaskRecord::view).collect(), next: found.next })
    }

    /// Open tasks of every workspace, the one that is looked at next first: for support (V17).
    pub async fn open(&self, page: &PageRequest) -> Result<Found<Task>, Error> {
        let query = Query::index("gsi2", OPEN).limit(page.limit).start(page.start.clone());
        let found = self.table.query::<TaskRecord>(query).await?;
        Ok(Found { items: found.items.into_iter().map(TaskRecord::view).collect(), next: found.next })
    }

    /// What happened to a task, oldest first (P9).
    pub async fn events(
        &self,
        workspace: WorkspaceId,
        id: TaskId,
        page: &PageRequest,
    ) -> Result<Found<TaskEvent>, Error> {
        #[derive(Deserialize)]
        struct Row {
            event: DomainEvent,
        }
        let query = Query::partition(parts(workspace, id))
            .prefix("EVENT#")
            .limit(page.limit)
            .start(page.start.clone());
        let found = self.table.query::<Row>(query).await?;
        // Every task has at least the event of its making.
        if found.items.is_empty() && page.start.is_none() {
            return Err(Error::NoSuchTask);
        }
        Ok(Found {
            items: found.items.into_iter().map(|row| TaskEvent(row.event)).collect(),
            next: found.next,
        })
    }
}
