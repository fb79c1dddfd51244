//! Finishing: the chunks' CSV become one object, and the task is closed and paid for.

use aws::{Clients, Deps, Update};
use piecework_core::{DomainEvent, Settings, WorkspaceId, settings::SettingError};
use serde::{Deserialize, Deserializer};

use crate::{
    Error, TaskId, TaskState, Verify, results,
    store::{Objects, TaskRecord},
};

/// Finishes tasks.
#[derive(Clone)]
pub struct Finisher {
    verify: Verify,
}

impl Deps for Finisher {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        Ok(Self { verify: Verify::new(settings, clients)? })
    }
}

/// A task that an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskMessage {
    /// Whose.
    pub workspace: WorkspaceId,
    /// Which.
    pub task: TaskId,
}

impl<'de> Deserialize<'de> for TaskMessage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let event = DomainEvent::deserialize(deserializer)?;
        let task = event.entity.parse().map_err(serde::de::Error::custom)?;
        Ok(Self { workspace: event.workspace, task })
    }
}

impl Finisher {
    /// Puts the results together and closes the task. A repeat writes the same object and finds the task closed.
    pub async fn run(&self, message: TaskMessage) -> Result<(), Error> {
        let tasks = &self.verify.tasks;
        let Some(task) = tasks.record(message.workspace, message.task).await? else { return Ok(()) };
        if !task.is_drained() {
            return Ok(());
        }
        let bytes = self.gather(&task).await?;
        let (to, what) = match task.state {
            TaskState::Cancelling => (TaskState::Cancelled, "cancelled"),
            _ => (TaskState::Completed, "completed"),
        };
        let charge = task.n_charged;
        let counts = task.clone().view().verification_status;
        let (valid, risky, invalid, unknown) = (counts.valid, counts.risky, counts.invalid, counts.unknown);
        let event = task.event(what, serde_json::json!({ "verification_status": counts, "charged": charge }));
        let update = Update::at(task.key()).set("result_bytes", bytes);
        let closed = self.verify.close(&task, to, &[task.state], update, charge, event).await?;
        if closed {
            tracing::info!(
                target: aws::metrics::WORK,
                id = %task.id, outcome = what, tasks = 1u64, checks = 0u64, valid, risky, invalid, unknown,
                charged = charge, bytes, "finished"
            );
        }
        Ok(())
    }

    /// Joins the chunks' CSV under one header, a chunk at a time; its size in octets.
    async fn gather(&self, task: &TaskRecord) -> Result<u64, Error> {
        let (bucket, objects) = (&self.verify.bucket, Objects::of(task.workspace, task.id));
        let layout =
            task.layout.as_ref().ok_or_else(|| aws::Error::Shape(format!("{} has no layout", task.id)))?;
        let mut out = bucket.writer(&objects.csv(), "text/csv; charset=utf-8");
        let header = results::header(layout)?;
        let mut bytes = header.len() as u64;
        out.write(&header).await?;
        for chunk in self.verify.tasks.chunks(task.workspace, task.id).await? {
            let missing =
                || aws::Error::Shape(format!("chunk {} of {} has no results", chunk.first, task.id));
            let claim = chunk.counted.as_deref().ok_or_else(missing)?;
            let segment = bucket.get(&objects.segment(chunk.first, claim)).await?.ok_or_else(missing)?;
            bytes += segment.len() as u64;
            out.write(&segment).await?;
        }
        out.finish().await?;
        Ok(bytes)
    }
}
