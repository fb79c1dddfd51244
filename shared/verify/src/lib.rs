//! Email verification: tasks, their chunks and results, the real-time check, uploads and usage (V1 to V8, V10, V16).
//!
//! A task goes `awaiting_upload → queued → running → completed`, and from any of the first three to `cancelled` (by way of
//! `cancelling` while chunks are under way), `failed` or `expired`. Each step is a conditional write on the state before it.
//!
//! | step | who | what |
//! |---|---|---|
//! | create | [`Verify::create_task`], [`Verify::create_upload`] | task and event, and for a pasted list the hold, in one transaction |
//! | split | [`Splitter`] | the list becomes chunk objects and chunk records; for an upload the hold is made here |
//! | check | [`Checker`] | a chunk is claimed by lease, verified, written, and counted once |
//! | finish | [`Finisher`] | the chunks' CSV become one object; the hold is settled; the task is closed |
//! | sweep | [`Sweeper`] | what a crash left unsent is sent again; uploads that never came expire |

mod cancel;
mod check;
mod chunk;
mod create;
mod erase;
mod error;
mod export;
mod finish;
mod list;
mod model;
mod network;
mod overview;
mod read;
mod results;
mod split;
mod store;
mod sweep;
mod upstream;
mod usage;

pub use archive::Order;
pub use check::{CheckId, CheckRequest, Checked, SingleCheck};
pub use chunk::{Checker, ChunkMessage, ChunkOutcome};
pub use create::{ColumnChoice, MAX_PASTED, NewTask, NewUpload, Upload, UploadRequest, Verify};
pub use erase::Eraser;
pub use error::Error;
pub use export::TaskExport;
pub use finish::{Finisher, TaskMessage};
pub use list::MAX_ROWS;
pub use model::{
    CreditUse, Job, JobState, JobStatusCounts, RowError, Task, TaskEvent, TaskId, TaskProblem, TaskSource,
    TaskState, VerificationCounts,
};
pub use network::Network;
pub use overview::{CreditOverview, Overview, Overviews};
pub use read::{Download, Results};
pub use split::{SplitMessage, Splitter};
pub use store::Tasks;
pub use sweep::Sweeper;
pub use upstream::{NOT_GIVEN, UPSTREAM, complete_list};
pub use usage::{Bucketing, Usage, UsageMessage, UsagePoint, UsageQuery};
