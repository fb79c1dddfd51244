//! Objects as files, index in SQLite.
//!
//! `DIR/objects/ID` holds a body under a random id, so no key ever becomes a path; `DIR/scratch/` holds bodies
//! on their way in; `DIR/index.sqlite` says which file is which object. A body is complete on disk before its
//! row is committed, and a row is gone before its file is, so a crash leaves at most files that no row names:
//! opening the store removes those. Files are never changed once named, only replaced.

mod list;
mod objects;
mod uploads;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};
use s3s::s3_error;
use ulid::Ulid;

pub(crate) use self::list::{Entry, Listing, Page, successor};
pub(crate) use self::objects::{Condition, Detail, Headers, NewObject, Object, Stored};
pub(crate) use self::uploads::{ClaimedPart, Completion, Part, Upload};
use crate::error::Error;
use crate::event::{EventKind, ObjectEvent};

/// Called with each committed change.
pub type OnEvent = Arc<dyn Fn(ObjectEvent) + Send + Sync>;

const SCHEMA: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS buckets (name TEXT PRIMARY KEY, created INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT NOT NULL, key BLOB NOT NULL, file TEXT NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL,
    modified INTEGER NOT NULL, detail TEXT NOT NULL, PRIMARY KEY (bucket, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY, bucket TEXT NOT NULL, key BLOB NOT NULL, initiated INTEGER NOT NULL,
    detail TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS uploads_by_key ON uploads (bucket, key, id);
CREATE TABLE IF NOT EXISTS parts (
    upload TEXT NOT NULL, number INTEGER NOT NULL, file TEXT NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL,
    modified INTEGER NOT NULL, sums TEXT NOT NULL, PRIMARY KEY (upload, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (sequence INTEGER PRIMARY KEY, event TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS counter (one INTEGER PRIMARY KEY CHECK (one = 1), value INTEGER NOT NULL);
INSERT OR IGNORE INTO counter VALUES (1, 0);
";

/// The store of one server.
pub(crate) struct Store {
    objects: PathBuf,
    scratch: PathBuf,
    index: Mutex<Connection>,
    on_event: Option<OnEvent>,
}

impl Store {
    /// Opens or makes the store in `dir`, removes what a crash left, and tells events that were not told.
    pub(crate) fn open(dir: &Path, on_event: Option<OnEvent>) -> Result<Self, Error> {
        let (objects, scratch) = (dir.join("objects"), dir.join("scratch"));
        fs::create_dir_all(&objects)?;
        if scratch.exists() {
            fs::remove_dir_all(&scratch)?;
        }
        fs::create_dir_all(&scratch)?;
        let index = Connection::open(dir.join("index.sqlite"))?;
        index.execute_batch(SCHEMA)?;
        let store = Self { objects, scratch, index: Mutex::new(index), on_event };
        store.sweep()?;
        store.deliver_pending()?;
        Ok(store)
    }

    /// Runs blocking work on the store.
    pub(crate) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let store = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&store)).await?
    }

    /// A new temporary file name that is removed when dropped.
    pub(crate) fn scratch(&self) -> Scratch {
        let id = Ulid::generate().to_string();
        Scratch { path: self.scratch.join(&id), id, kept: false }
    }

    fn index(&self) -> MutexGuard<'_, Connection> {
        // A panic inside a transaction has rolled it back: the connection is fit for use.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let mut index = self.index();
        let tx = index.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&tx)?;
        tx.commit()?;
        Ok(done)
    }

    fn file(&self, id: &str) -> PathBuf {
        self.objects.join(id)
    }

    /// Removes files that no committed row names any more.
    fn discard(&self, files: impl IntoIterator<Item = String>) {
        for id in files {
            // What cannot be removed now is swept at the next start.
            if let Err(error) = fs::remove_file(self.file(&id)) {
                tracing::warn!(%id, %error, "an unused object file stays for now");
            }
        }
    }

    fn sweep(&self) -> Result<(), Error> {
        let named: HashSet<String> = {
            let index = self.index();
            let mut rows = index.prepare("SELECT file FROM objects UNION ALL SELECT file FROM parts")?;
            rows.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?
        };
        for entry in fs::read_dir(&self.objects)? {
            let entry = entry?;
            if entry.file_name().to_str().is_none_or(|name| !named.contains(name)) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Takes the next sequence number, and writes the event down if somebody listens.
    fn record(
        &self,
        tx: &Transaction<'_>,
        mut event: ObjectEvent,
    ) -> Result<Option<(i64, ObjectEvent)>, Error> {
        if self.on_event.is_none() {
            return Ok(None);
        }
        let sequence: i64 =
            tx.query_row("UPDATE counter SET value = value + 1 RETURNING value", [], |row| row.get(0))?;
        event.sequencer = format!("{sequence:016X}");
        tx.prepare_cached("INSERT INTO events VALUES (?1, ?2)")?
            .execute(params![sequence, serde_json::to_string(&event)?])?;
        Ok(Some((sequence, event)))
    }

    /// Tells a committed event, then forgets it.
    fn deliver(&self, recorded: Option<(i64, ObjectEvent)>) -> Result<(), Error> {
        if let (Some(on_event), Some((sequence, event))) = (&self.on_event, recorded) {
            on_event(event);
            self.index().prepare_cached("DELETE FROM events WHERE sequence = ?1")?.execute([sequence])?;
        }
        Ok(())
    }

    fn deliver_pending(&self) -> Result<(), Error> {
        let pending: Vec<(i64, String)> = {
            let index = self.index();
            let mut rows = index.prepare("SELECT sequence, event FROM events ORDER BY sequence")?;
            rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?
        };
        for (sequence, event) in pending {
            self.deliver(Some((sequence, serde_json::from_str(&event)?)))?;
        }
        Ok(())
    }

    /// Makes a bucket; `false` if there was one of that name.
    pub(crate) fn create_bucket(&self, name: &str) -> Result<bool, Error> {
        let made = self
            .index()
            .prepare_cached("INSERT OR IGNORE INTO buckets VALUES (?1, ?2)")?
            .execute(params![name, now()])?;
        Ok(made == 1)
    }

    /// Names and creation times in milliseconds, by name.
    pub(crate) fn buckets(&self) -> Result<Vec<(String, i64)>, Error> {
        let index = self.index();
        let mut rows = index.prepare_cached("SELECT name, created FROM buckets ORDER BY name")?;
        Ok(rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
    }

    /// Refuses with `NoSuchBucket` if there is none.
    pub(crate) fn require_bucket(&self, name: &str) -> Result<(), Error> {
        require_bucket(&self.index(), name)
    }

    /// Deletes an empty bucket; open uploads count as content.
    pub(crate) fn delete_bucket(&self, name: &str) -> Result<(), Error> {
        self.write(|tx| {
            require_bucket(tx, name)?;
            let full: bool = tx.query_row(
                "SELECT EXISTS (SELECT 1 FROM objects WHERE bucket = ?1)
                     OR EXISTS (SELECT 1 FROM uploads WHERE bucket = ?1)",
                [name],
                |row| row.get(0),
            )?;
            if full {
                return Err(s3_error!(BucketNotEmpty, "The bucket you tried to delete is not empty").into());
            }
            tx.execute("DELETE FROM buckets WHERE name = ?1", [name])?;
            Ok(())
        })
    }
}

fn require_bucket(index: &Connection, name: &str) -> Result<(), Error> {
    let found = index
        .prepare_cached("SELECT 1 FROM buckets WHERE name = ?1")?
        .query_row([name], |_| Ok(()))
        .optional()?;
    found.ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist").into())
}

/// Milliseconds since the epoch.
fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

fn event(kind: EventKind, bucket: &str, key: &str, size: u64, etag: &str) -> ObjectEvent {
    ObjectEvent {
        kind,
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        size,
        etag: etag.to_owned(),
        sequencer: String::new(),
        time: jiff::Timestamp::now(),
        version_id: None,
    }
}

/// A file of ours that is removed when dropped, unless a committed row names it.
pub(crate) struct Scratch {
    path: PathBuf,
    id: String,
    kept: bool,
}

impl Scratch {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Moves the file to its final place; it still goes if dropped.
    fn place(mut self, store: &Store) -> Result<Self, Error> {
        let path = store.file(&self.id);
        fs::rename(&self.path, &path)?;
        self.path = path;
        Ok(self)
    }

    /// A row names the file now.
    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.kept {
            // Absent if nothing was written; anything else is swept at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}
