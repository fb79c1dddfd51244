//! Closing a task: by its owner, or because it came to an end. One transaction: state, hold and event.

use aws::{CommitError, Cond, Transaction, Update};
use billing::Book;
use piecework_core::{DomainEvent, WorkspaceId, now};

use crate::{
    Error, Task, TaskId, TaskState, Verify,
    store::{TaskRecord, parts},
};

impl Verify {
    /// Moves a task from one of the states `from` to the final state `to`: `charge` of its hold is spent, the rest goes back,
    /// and `event` is written. `false` if the task was in none of those states any more.
    pub(crate) async fn close(
        &self,
        task: &TaskRecord,
        to: TaskState,
        from: &[TaskState],
        update: Update,
        charge: u64,
        event: DomainEvent,
    ) -> Result<bool, Error> {
        let book = Book::credits(task.workspace);
        let hold = match task.held {
            0 => None,
            _ => self.billing.hold(&book, &task.id.to_string()).await?,
        };
        let mut transaction = Transaction::new();
        let update = update
            .set("state", to.name())
            .set("charged", charge)
            .set("finished_at", now())
            .remove("gsi2pk")
            .remove("gsi2sk")
            .when(Cond::one_of("state", from.iter().map(|s| s.name())));
        transaction.update("task", &self.tasks.table, update);
        transaction.create(
            "event",
            &self.tasks.table,
            &aws::event_item(&parts(task.workspace, task.id), &event),
        );
        if let Some(hold) = hold {
            self.billing.settle_in(&mut transaction, &book, &hold, charge);
        }
        match transaction.commit().await {
            Ok(()) => Ok(true),
            Err(CommitError::Refused { label: "task" | "settle", .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Stops a task. Chunks under way end and are charged; no other begins, and what was held for those comes back when the
    /// last one is counted. Cancelling again changes nothing; a task that came to its end is refused.
    pub async fn cancel(
        &self,
        workspace: WorkspaceId,
        id: TaskId,
        actor: impl ToString,
    ) -> Result<Task, Error> {
        let actor = actor.to_string();
        loop {
            let task = self.tasks.record(workspace, id).await?.ok_or(Error::NoSuchTask)?;
            let moved = match task.state {
                TaskState::Cancelled | TaskState::Cancelling => return Ok(task.view()),
                state @ (TaskState::AwaitingUpload | TaskState::Queued) => {
                    let event = task
                        .event("cancelled", serde_json::json!({ "verification_status": {}, "charged": 0 }))
                        .by(&actor);
                    self.close(&task, TaskState::Cancelled, &[state], Update::at(task.key()), 0, event)
                        .await?
                }
                TaskState::Running => {
                    let mut transaction = Transaction::new();
                    let update = Update::at(task.key())
                        .set("state", TaskState::Cancelling.name())
                        .when(Cond::eq("state", TaskState::Running.name()))
                        .when(Cond::Absent("drained_at"));
                    transaction.update("task", &self.tasks.table, update);
                    let event = task.event("cancelling", serde_json::json!({})).by(&actor);
                    transaction.create(
                        "event",
                        &self.tasks.table,
                        &aws::event_item(&parts(workspace, id), &event),
                    );
                    match transaction.commit().await {
                        Ok(()) => true,
                        // Every row is verified; there is nothing left to stop.
                        Err(CommitError::Refused { label: "task", .. }) if task.drained_at.is_some() => {
                            return Err(Error::WrongState(TaskState::Running));
                        }
                        Err(CommitError::Refused { label: "task", .. }) => false,
                        Err(error) => return Err(error.into()),
                    }
                }
                state => return Err(Error::WrongState(state)),
            };
            if moved {
                return self.tasks.task(workspace, id).await;
            }
        }
    }
}
