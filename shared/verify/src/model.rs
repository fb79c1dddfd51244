//! Tasks and jobs as the API shows them.

use email::{Mx, Server, Status, SubStatus, Syntax, Verification};
use jiff::Timestamp;
use piecework_core::{DomainEvent, WorkspaceId, typed_id};
use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

typed_id!(TaskId, "tsk", "A verification task.");

/// Where a task's addresses come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskSource {
    /// Pasted into a request.
    List,
    /// An uploaded file.
    Upload,
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// The file has not come yet.
    AwaitingUpload,
    /// The list waits to be split.
    Queued,
    /// Chunks are being verified.
    Running,
    /// Cancelled while chunks were under way: those end, no other begins.
    Cancelling,
    /// Every address has its result.
    Completed,
    /// Stopped by its owner; what was verified by then is kept and charged.
    Cancelled,
    /// The list could not be read, or the balance did not cover it; `problem` says why. Nothing is charged.
    Failed,
    /// The file never came. Nothing is charged.
    Expired,
}

impl TaskState {
    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::AwaitingUpload => "awaiting_upload",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Cancelling => "cancelling",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Expired => "expired",
        }
    }

    /// Whether nothing will change any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled | Self::Failed | Self::Expired)
    }
}

/// Rows by verification status, duplicates counted like any other row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VerificationCounts {
    /// The domain takes mail and nothing speaks against the address.
    pub valid: u64,
    /// Mail may arrive, but something speaks against the address.
    pub risky: u64,
    /// Mail cannot arrive.
    pub invalid: u64,
    /// Not found out. Not charged.
    pub unknown: u64,
}

/// Rows by job status. The four add up to `rows`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobStatusCounts {
    /// Not yet verified.
    pub queued: u64,
    /// Verified.
    pub completed: u64,
    /// Without an address that could be read; reported by line.
    pub failed: u64,
    /// Not verified, because the task was cancelled.
    pub cancelled: u64,
}

/// What the task costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreditUse {
    /// Set aside while it runs: one for each different address.
    pub held: u64,
    /// Charged: one for each different address whose result is not `unknown`.
    pub charged: u64,
}

/// A row that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RowError {
    /// The line of the file, from 1.
    pub line: u64,
    /// What is wrong, as a stable code.
    #[schema(example = "unclosed_quote")]
    pub code: String,
    /// What is wrong, in words.
    pub detail: String,
}

impl RowError {
    pub(crate) fn new(line: u64, reason: &tabular::BadReason) -> Self {
        Self { line, code: reason.code().into(), detail: reason.to_string() }
    }
}

/// Why a task failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskProblem {
    /// As a stable code.
    #[schema(example = "no_address_column")]
    pub code: String,
    /// In words.
    pub detail: String,
    /// Credits that it would have taken, if credits were missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub required: Option<u64>,
    /// Credits that were there, if credits were missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub available: Option<u64>,
}

/// A verification task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// Where its addresses come from.
    pub source: TaskSource,
    /// Where it stands.
    pub state: TaskState,
    /// The uploaded file's name.
    pub file_name: Option<String>,
    /// Rows of the list, its header not counted. Zero until it is split.
    pub rows: u64,
    /// Different addresses: what is verified and can be charged.
    pub addresses: u64,
    /// Rows whose address stood in an earlier row.
    pub duplicates: u64,
    /// By verification status.
    pub verification_status: VerificationCounts,
    /// By job status.
    pub job_status: JobStatusCounts,
    /// What it costs.
    pub credits: CreditUse,
    /// The first hundred rows that could not be read. The download has all of them.
    pub errors: Vec<RowError>,
    /// Why it failed.
    pub problem: Option<TaskProblem>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When the first chunk could start.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    /// When it reached its final state.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
}

/// Where a row stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Not yet verified.
    Queued,
    /// Verified.
    Completed,
    /// Without an address that could be read.
    Failed,
    /// Not verified, because the task was cancelled.
    Cancelled,
}

/// One row of a task, with everything that was found out (V5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// Its place in the list, from 0.
    pub row: u64,
    /// Its line in the file, from 1.
    pub line: u64,
    /// Where it stands.
    pub state: JobState,
    /// The address as given.
    pub email: String,
    /// As it goes into SMTP.
    pub normalized: Option<String>,
    /// Whether to send.
    pub status: Option<Status>,
    /// Why.
    pub sub_status: Option<SubStatus>,
    /// The address that was probably meant.
    pub suggestion: Option<String>,
    /// What the text tells.
    pub syntax: Option<Syntax>,
    /// What the DNS tells.
    pub mx: Option<Mx>,
    /// What the mail server tells.
    pub server: Option<Server>,
    /// The local part names a function, not a person.
    pub role: Option<bool>,
    /// The domain gives out throw-away mailboxes.
    pub disposable: Option<bool>,
    /// Anyone can have a mailbox at the domain.
    pub free: Option<bool>,
    /// The server takes mail for any mailbox.
    pub catch_all: Option<bool>,
    /// The row where the same address stood first. Such a row is not charged.
    pub duplicate_of: Option<u64>,
    /// Why the row could not be read.
    pub error: Option<RowError>,
    /// When the result was found.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub validated_at: Option<Timestamp>,
}

impl Job {
    /// A row without a result.
    pub(crate) fn open(row: u64, line: u64, state: JobState, email: &str) -> Self {
        Self {
            row,
            line,
            state,
            email: email.to_owned(),
            normalized: None,
            status: None,
            sub_status: None,
            suggestion: None,
            syntax: None,
            mx: None,
            server: None,
            role: None,
            disposable: None,
            free: None,
            catch_all: None,
            duplicate_of: None,
            error: None,
            validated_at: None,
        }
    }

    /// A row with its result.
    pub(crate) fn done(row: u64, line: u64, found: Verification, at: Timestamp) -> Self {
        Self {
            row,
            line,
            state: JobState::Completed,
            email: found.email,
            normalized: found.normalized,
            status: Some(found.status),
            sub_status: Some(found.sub_status),
            suggestion: found.suggestion,
            syntax: Some(found.syntax),
            mx: Some(found.mx),
            server: Some(found.server),
            role: Some(found.role),
            disposable: Some(found.disposable),
            free: Some(found.free),
            catch_all: found.catch_all,
            duplicate_of: None,
            error: None,
            validated_at: Some(at),
        }
    }
}

/// Something that happened to a task, as its timeline shows it. Described apart from the events of other things, because a task's
/// can come from an upstream (V15).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskEvent(pub DomainEvent);

impl PartialSchema for TaskEvent {
    fn schema() -> RefOr<Schema> {
        DomainEvent::schema()
    }
}

impl ToSchema for TaskEvent {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        DomainEvent::schemas(schemas);
    }
}
