//! The end of a workspace's tasks (P19): what runs is cancelled and paid for, then records and objects go.

use aws::{Clients, Deps, Query, Transaction};
use piecework_core::{DomainEvent, Settings, WorkspaceId, settings::SettingError};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Verify,
    store::{TaskRecord, erased_key, parts},
};

/// Who cancels, in the events.
const ACTOR: &str = "verify-erase-workspace";

/// Erases workspaces.
#[derive(Clone)]
pub struct Eraser {
    verify: Verify,
}

impl Deps for Eraser {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        Ok(Self { verify: Verify::new(settings, clients)? })
    }
}

#[derive(Serialize, Deserialize)]
struct Erased {
    pk: String,
    sk: String,
}

impl Eraser {
    /// Erases a workspace; `false` if some of its work is still under way, and it is to be tried again. A repeat finds less to do,
    /// and says again that it is done.
    pub async fn run(&self, workspace: WorkspaceId) -> Result<bool, Error> {
        let (table, bucket) = (&self.verify.tasks.table, &self.verify.bucket);
        let aws::Key { pk, sk } = erased_key(workspace);
        table.put(&Erased { pk: pk.clone(), sk }, None).await?;
        let mut erased = 0;
        let mut under_way = false;
        let all = Query::partition(format!("WSP#{workspace}"));
        let mut start = None;
        loop {
            let page = table.query::<TaskRecord>(all.clone().prefix("TASK#").limit(100).start(start)).await?;
            for task in page.items {
                if !task.state.is_final() {
                    match self.verify.cancel(workspace, task.id, ACTOR).await {
                        Ok(task) => under_way |= !task.state.is_final(),
                        // It came to its end in the meantime, or is about to.
                        Err(Error::WrongState(state)) => under_way |= !state.is_final(),
                        Err(error) => return Err(error),
                    }
                }
            }
            start = page.next;
            if start.is_none() {
                break;
            }
        }
        if under_way {
            return Ok(false);
        }
        for prefix in ["uploads", "lists", "chunks", "results"] {
            erased += bucket.delete_prefix(&format!("{prefix}/{workspace}/")).await?;
        }
        loop {
            let page = table.query::<TaskRecord>(all.clone().prefix("TASK#").limit(100)).await?.items;
            if page.is_empty() {
                break;
            }
            for task in page {
                // The task goes last: it leads to its parts.
                erased += table.delete_found(Query::partition(parts(workspace, task.id))).await?;
                table.delete_many(&[task.key()]).await?;
                erased += 1;
            }
        }
        erased += table.delete_found(all).await?;
        let data = serde_json::json!({ "erased": erased });
        let event = DomainEvent::new("verification.workspace.erased", workspace, workspace, data);
        let mut transaction = Transaction::new();
        transaction.create("event", table, &aws::event_item(&pk, &event));
        transaction.commit().await?;
        Ok(true)
    }
}
