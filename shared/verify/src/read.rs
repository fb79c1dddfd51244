//! Reading results: jobs by page, and the download.

use std::{collections::BTreeMap, time::Duration};

use aws::{Bucket, Clients, Deps, Found, Query};
use bytes::Bytes;
use piecework_core::{PageRequest, Settings, WorkspaceId, settings::SettingError};

use crate::{
    Error, Job, JobState, TaskId, TaskState, Tasks,
    list::parse_rows,
    results::INDEX_EVERY,
    store::{ChunkRecord, ChunkState, Objects, chunk_key, parts},
};

/// Largest download that goes through the function itself; a larger one is a link. A function's answer ends at 6 MB, and JSON
/// may need two octets for one.
const INLINE: u64 = 2 << 20;
/// How long a download link lasts.
const LINK_LIFE: Duration = Duration::from_secs(900);

/// Results of tasks.
#[derive(Clone)]
pub struct Results {
    tasks: Tasks,
    bucket: Bucket,
}

impl Deps for Results {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        Ok(Self {
            tasks: Tasks::new(settings, clients)?,
            bucket: Bucket::new(clients, settings.required("VERIFY_BUCKET")?),
        })
    }
}

/// A finished list.
#[derive(Debug, Clone)]
pub enum Download {
    /// The CSV itself.
    Inline {
        /// A name to save it under.
        file_name: String,
        /// The CSV.
        body: Bytes,
    },
    /// A link to it.
    Link(String),
}

impl Results {
    /// The task's rows in their order, from the cursor's row. A page ends with a chunk at the latest, so it may be short
    /// while there is a next one.
    pub async fn jobs(
        &self,
        workspace: WorkspaceId,
        id: TaskId,
        page: &PageRequest,
    ) -> Result<Found<Job>, Error> {
        let from: u64 =
            page.start.as_ref().and_then(|s| s.get("row")).and_then(|r| r.parse().ok()).unwrap_or(0);
        let low = chunk_key(workspace, id, 0).sk;
        let high = chunk_key(workspace, id, from).sk;
        let query = Query::partition(parts(workspace, id)).between(low, high).newest_first().limit(1);
        let chunk = self.tasks.table.query::<ChunkRecord>(query).await?.items.pop();
        let Some(chunk) = chunk.filter(|c| from < c.first + c.rows) else {
            // Not this workspace's at all, aged out, not split yet, or past the end.
            let task = self.tasks.task(workspace, id).await?;
            if task.started_at.is_some() && from < task.rows {
                return Err(Error::ResultsGone);
            }
            return Ok(Found { items: Vec::new(), next: None });
        };
        let wanted = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let skip = usize::try_from(from - chunk.first).unwrap_or(0);
        let items = match chunk.state {
            ChunkState::Pending => self.open(workspace, id, &chunk, skip, wanted).await?,
            ChunkState::Done | ChunkState::Cancelled => {
                self.done(workspace, id, &chunk, skip, wanted).await?
            }
        };
        let next = from + items.len() as u64;
        // Only at a chunk's end does it take one more look to tell whether there is a next page.
        let more =
            if next < chunk.first + chunk.rows { true } else { self.follows(workspace, id, next).await? };
        let next = more.then(|| BTreeMap::from([("row".to_owned(), next.to_string())]));
        Ok(Found { items, next })
    }

    async fn follows(&self, workspace: WorkspaceId, id: TaskId, row: u64) -> Result<bool, Error> {
        Ok(self.tasks.table.get::<ChunkRecord>(&chunk_key(workspace, id, row)).await?.is_some())
    }

    /// Rows of a chunk with results: only the octets that hold them are read.
    async fn done(
        &self,
        workspace: WorkspaceId,
        id: TaskId,
        chunk: &ChunkRecord,
        skip: usize,
        wanted: usize,
    ) -> Result<Vec<Job>, Error> {
        let claim = chunk.counted.as_deref().unwrap_or_default();
        let key = Objects::of(workspace, id).jobs(chunk.first, claim);
        let lost = || aws::Error::Shape(format!("{key} does not fit its index"));
        let (block, last) = (skip / INDEX_EVERY, (skip + wanted).div_ceil(INDEX_EVERY));
        let start = *chunk.offsets.get(block).ok_or_else(lost)?;
        let end = *chunk.offsets.get(last).or(chunk.offsets.last()).ok_or_else(lost)?;
        let object = self.bucket.get_range(&key, start, end).await?.ok_or(Error::ResultsGone)?;
        let lines = object.split(|&b| b == b'\n').filter(|l| !l.is_empty());
        lines
            .skip(skip - block * INDEX_EVERY)
            .take(wanted)
            .map(|line| serde_json::from_slice(line).map_err(|_| lost().into()))
            .collect()
    }

    /// Rows of a chunk that waits.
    async fn open(
        &self,
        workspace: WorkspaceId,
        id: TaskId,
        chunk: &ChunkRecord,
        skip: usize,
        wanted: usize,
    ) -> Result<Vec<Job>, Error> {
        let Some(task) = self.tasks.record(workspace, id).await? else { return Err(Error::NoSuchTask) };
        let Some(layout) = task.layout else { return Ok(Vec::new()) };
        let object =
            self.bucket.get(&Objects::of(workspace, id).chunk(chunk.first)).await?.unwrap_or_default();
        let rows = parse_rows(&object)?;
        let numbered = rows.iter().zip(chunk.first..).skip(skip).take(wanted);
        Ok(numbered.map(|(row, n)| row.open_job(n, JobState::Queued, &layout)).collect())
    }

    /// The list with its result columns, once the task has come to an end that has one.
    pub async fn download(&self, workspace: WorkspaceId, id: TaskId) -> Result<Download, Error> {
        let task = self.tasks.record(workspace, id).await?.ok_or(Error::NoSuchTask)?;
        let Some(size) =
            task.result_bytes.filter(|_| matches!(task.state, TaskState::Completed | TaskState::Cancelled))
        else {
            return Err(Error::WrongState(task.state));
        };
        let key = Objects::of(workspace, id).csv();
        let file_name = format!("{id}.csv");
        // `lambda_http` takes a byte order mark off a text answer, and Excel then takes UTF-8 for the local encoding.
        let marked = task.layout.is_some_and(|layout| layout.bom);
        if size > INLINE || marked {
            return Ok(Download::Link(self.bucket.presign_download(&key, &file_name, LINK_LIFE).await?));
        }
        let body = self.bucket.get(&key).await?.ok_or(Error::ResultsGone)?;
        Ok(Download::Inline { file_name, body })
    }
}
