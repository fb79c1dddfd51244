//! What an export of a user's data has of a workspace's tasks (P19): the tasks, their lists and results, and usage.

use std::collections::BTreeMap;

use archive::{Exports, Order, Part};
use aws::{Bucket, Clients, Deps, Query, Transaction};
use piecework_core::{DomainEvent, Settings, WorkspaceId, settings::SettingError};
use serde::{Deserialize, Serialize};

use crate::{
    Error, TaskSource, Tasks, VerificationCounts,
    store::{Objects, TaskRecord, parts},
};

/// Tasks whose files are one part. After a crash a part is begun anew, so few.
const AT_ONCE: u32 = 20;
/// Records read at once.
const PAGE: u32 = 100;

/// Exports tasks.
#[derive(Clone)]
pub struct TaskExport {
    tasks: Tasks,
    bucket: Bucket,
    exports: Exports,
}

impl Deps for TaskExport {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        Ok(Self {
            tasks: Tasks::new(settings, clients)?,
            bucket: Bucket::new(clients, settings.required("VERIFY_BUCKET")?),
            exports: Exports::new(settings, clients)?,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct EventRow {
    event: DomainEvent,
}

/// Usage of a day or an hour.
#[derive(Serialize, Deserialize)]
struct UsageRow {
    #[serde(rename(deserialize = "sk"))]
    period: String,
    #[serde(flatten)]
    counts: VerificationCounts,
    charged: u64,
}

/// Where a page starts.
type Start = Option<BTreeMap<String, String>>;

impl TaskExport {
    /// Writes what there is, and says that it is done. A repeat goes on with the part that was not finished.
    pub async fn run(&self, order: &Order) -> Result<(), Error> {
        let workspace = order.workspace;
        let (tasks, table) = (Query::partition(format!("WSP#{workspace}")).prefix("TASK#"), self.table());
        let folder = format!("verification/{workspace}");
        if let Some(mut part) = self.exports.part(order, &folder).await? {
            self.records(&mut part, workspace).await?;
            part.finish().await?;
        }
        let mut written = 1;
        let mut start: Start = None;
        loop {
            // Oldest first, so that a page is the same at every repeat but for the last, which may grow.
            let page = table.query::<TaskRecord>(tasks.clone().limit(AT_ONCE).start(start)).await?;
            if let Some(first) = page.items.first() {
                written += self.files(order, &format!("{folder}/{}", first.id), &page.items).await?;
            }
            start = page.next;
            if start.is_none() {
                break;
            }
        }
        let event = order.written("verification", written);
        let mut transaction = Transaction::new();
        transaction.create("event", table, &aws::passing_event_item(&format!("WSP#{workspace}"), &event));
        Ok(transaction.commit().await?)
    }

    fn table(&self) -> &aws::Table {
        &self.tasks.table
    }

    /// All tasks, and the usage.
    async fn records(&self, part: &mut Part, workspace: WorkspaceId) -> Result<(), Error> {
        let all = Query::partition(format!("WSP#{workspace}")).limit(PAGE);
        part.begin_rows(&format!("verification/{workspace}/tasks.json")).await?;
        let mut start: Start = None;
        loop {
            let page = self.table().query::<TaskRecord>(all.clone().prefix("TASK#").start(start)).await?;
            for task in page.items {
                part.row(&task.view()).await?;
            }
            start = page.next;
            if start.is_none() {
                break;
            }
        }
        part.end_rows().await?;
        part.begin_rows(&format!("verification/{workspace}/usage.json")).await?;
        loop {
            let page = self.table().query::<UsageRow>(all.clone().prefix("USAGE#").start(start)).await?;
            for row in &page.items {
                part.row(row).await?;
            }
            start = page.next;
            if start.is_none() {
                break;
            }
        }
        Ok(part.end_rows().await?)
    }

    /// The files of some tasks; how many parts that makes: none if nothing of them is kept any more.
    async fn files(&self, order: &Order, name: &str, tasks: &[TaskRecord]) -> Result<u64, Error> {
        let Some(mut part) = self.exports.part(order, name).await? else { return Ok(1) };
        for task in tasks {
            let folder = format!("verification/{}/{}", task.workspace, task.id);
            let (objects, bucket) = (Objects::of(task.workspace, task.id), &self.bucket);
            let (list, ending) = match task.source {
                TaskSource::List => (objects.pasted(), "json"),
                TaskSource::Upload => (objects.upload(), ending(task.file_name.as_deref())),
            };
            part.object(&format!("{folder}/list.{ending}"), bucket, &list).await?;
            if task.result_bytes.is_some() {
                part.object(&format!("{folder}/results.csv"), bucket, &objects.csv()).await?;
            }
            part.begin_rows(&format!("{folder}/events.json")).await?;
            let events = Query::partition(parts(task.workspace, task.id)).prefix("EVENT#");
            for row in self.table().query::<EventRow>(events).await?.items {
                part.row(&row.event).await?;
            }
            part.end_rows().await?;
        }
        part.finish().await?;
        Ok(1)
    }
}

/// How a file's name ends, if it is one of those that lists have: a name of a customer's choosing does not become a path.
fn ending(file_name: Option<&str>) -> &'static str {
    let name = file_name.unwrap_or_default().to_ascii_lowercase();
    ["csv", "tsv", "txt", "xlsx"]
        .into_iter()
        .find(|ending| name.strip_suffix(ending).is_some_and(|rest| rest.ends_with('.')))
        .unwrap_or("txt")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_gives_an_ending_and_no_path() {
        let ends = ["a.CSV", "b.xlsx", "../../etc/passwd", ".csv/../x", "csv"].map(|n| ending(Some(n)));
        assert_eq!(ends, ["csv", "xlsx", "txt", "txt", "txt"]);
        assert_eq!(ending(None), "txt");
    }
}
