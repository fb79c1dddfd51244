//! The sweep: what a crash left unsent is sent again, and uploads that never came expire.

use aws::{Bucket, Clients, Cond, Deps, Query, Queue, Update};
use jiff::SignedDuration;
use piecework_core::{Settings, now, settings::SettingError, sortable};

use crate::{
    ChunkMessage, Error, TaskState, Verify,
    split::LOOK_AGAIN,
    store::{ChunkState, OPEN, Objects, TaskRecord, look_again},
};

/// Open tasks looked at in one round.
const ROUND: u32 = 200;
/// How long after the end of its link an upload still counts.
const GRACE: SignedDuration = SignedDuration::from_mins(5);

/// Sweeps.
#[derive(Clone)]
pub struct Sweeper {
    verify: Verify,
    bucket: Bucket,
    split: Queue,
    chunks: Queue,
    finish: Queue,
}

impl Deps for Sweeper {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        let queue = |name| Ok(Queue::new(clients, settings.required(name)?));
        Ok(Self {
            verify: Verify::new(settings, clients)?,
            bucket: Bucket::new(clients, settings.required("VERIFY_BUCKET")?),
            split: queue("SPLIT_QUEUE_URL")?,
            chunks: queue("CHUNK_QUEUE_URL")?,
            finish: queue("FINISH_QUEUE_URL")?,
        })
    }
}

impl Sweeper {
    /// Looks at every open task whose time has come.
    pub async fn run(&self) -> Result<(), Error> {
        let high = sortable(now());
        let query = Query::index("gsi2", OPEN).between("0", high).limit(ROUND);
        let due = self.verify.tasks.table.query::<TaskRecord>(query).await?.items;
        tracing::info!(due = due.len(), "sweep");
        for seen in due {
            // The index lags; the table does not.
            let Some(task) = self.verify.tasks.record(seen.workspace, seen.id).await? else { continue };
            self.look(&task).await?;
        }
        Ok(())
    }

    async fn look(&self, task: &TaskRecord) -> Result<(), Error> {
        match task.state {
            TaskState::AwaitingUpload => {
                let there = self.bucket.size(&Objects::of(task.workspace, task.id).upload()).await?.is_some();
                if there {
                    self.send_split(task).await?;
                } else if task.upload_until.is_some_and(|until| until + GRACE < now()) {
                    let event = task.event("expired", serde_json::json!({}));
                    let update = Update::at(task.key());
                    self.verify
                        .close(task, TaskState::Expired, &[TaskState::AwaitingUpload], update, 0, event)
                        .await?;
                    return Ok(());
                }
            }
            TaskState::Queued => self.send_split(task).await?,
            TaskState::Running | TaskState::Cancelling if task.drained_at.is_some() => {
                self.finish.send_all(&[task.event("drained", serde_json::json!({}))]).await?;
            }
            TaskState::Running | TaskState::Cancelling if task.is_drained() => {
                self.verify.tasks.announce_drained(task).await?
            }
            TaskState::Running | TaskState::Cancelling => {
                let chunks = self.verify.tasks.chunks(task.workspace, task.id).await?;
                let pending = chunks.iter().filter(|c| c.state == ChunkState::Pending);
                let messages: Vec<_> = pending.map(|c| ChunkMessage::of(task, c.first)).collect();
                self.chunks.send_all(&messages).await?;
            }
            TaskState::Completed | TaskState::Cancelled | TaskState::Failed | TaskState::Expired => {
                return Ok(());
            }
        }
        let update = Update::at(task.key())
            .set("gsi2sk", look_again(now() + LOOK_AGAIN, task.id))
            .when(Cond::eq("state", task.state.name()));
        self.verify.tasks.table.update::<TaskRecord>(update).await?;
        Ok(())
    }

    async fn send_split(&self, task: &TaskRecord) -> Result<(), aws::Error> {
        self.split.send_all(&[task.event("queued", serde_json::json!({}))]).await
    }
}
