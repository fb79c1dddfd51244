//! Queues in SQLite. Everything here runs on the database thread, inside its transaction; times are epoch
//! milliseconds and `now` stands still for the length of a transaction.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rusqlite::{Connection, params};
use tokio::sync::Notify;

use crate::attributes::{Attributes, Settings, check_name, effective, normalise};
use crate::error::{SqsError, invalid};

mod fifo;
mod messages;
#[cfg(test)]
mod tests;

pub(crate) use messages::Prepared;

/// `received` is 1 from the first delivery on: with `visible_at` it tells in flight from delayed.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS queues (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, attributes TEXT NOT NULL,
    tags TEXT NOT NULL, created INTEGER NOT NULL, modified INTEGER NOT NULL, purged INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, queue INTEGER NOT NULL, visible_at INTEGER NOT NULL,
    received INTEGER NOT NULL DEFAULT 0, sent_at INTEGER NOT NULL, receive_count INTEGER NOT NULL DEFAULT 0,
    received_at INTEGER, first_received_at INTEGER, message_id TEXT NOT NULL, sender TEXT NOT NULL,
    group_id TEXT, dedup_id TEXT, source_arn TEXT, trace TEXT, md5 TEXT NOT NULL, attributes TEXT,
    body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS by_visibility ON messages (queue, visible_at, received, sent_at);
CREATE INDEX IF NOT EXISTS by_order ON messages (queue, id, group_id, visible_at, sent_at)
    WHERE group_id IS NOT NULL;
CREATE TABLE IF NOT EXISTS dedup (
    queue INTEGER NOT NULL, scope TEXT NOT NULL, dedup_id TEXT NOT NULL, row INTEGER NOT NULL,
    message_id TEXT NOT NULL, expires INTEGER NOT NULL, PRIMARY KEY (queue, scope, dedup_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS dedup_by_expiry ON dedup (expires);
";

/// A purge is allowed this long after the one before.
const PURGE_EVERY: i64 = 60_000;

/// One queue as of its last change.
#[derive(Debug)]
pub(crate) struct Queue {
    pub id: i64,
    pub name: String,
    pub arn: String,
    pub fifo: bool,
    pub set: Attributes,
    pub settings: Settings,
    pub tags: BTreeMap<String, String>,
    pub created: i64,
    pub modified: i64,
    /// Rung when a message may have become receivable before its time was due.
    pub arrivals: Arc<Notify>,
}

/// Every queue by name, shared with readers outside the database thread.
#[derive(Debug, Default)]
pub(crate) struct Registry(RwLock<BTreeMap<String, Arc<Queue>>>);

impl Registry {
    pub(crate) fn find(&self, name: &str) -> Result<Arc<Queue>, SqsError> {
        let queues = self.0.read().unwrap_or_else(PoisonError::into_inner);
        queues.get(name).cloned().ok_or(SqsError::QueueDoesNotExist)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Queue>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn change(&self, with: impl FnOnce(&mut BTreeMap<String, Arc<Queue>>)) {
        with(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Messages of a queue by state. Exact, where AWS says "approximate".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Ready to be received.
    pub visible: u64,
    /// Received and neither deleted nor timed out.
    pub in_flight: u64,
    /// Sent with a delay that has not passed.
    pub delayed: u64,
}

#[derive(Debug)]
pub(crate) struct Store {
    db: Connection,
    pub(crate) queues: Arc<Registry>,
    arn_prefix: String,
    /// No visibility timeout or delay is longer.
    cap: i64,
    now: i64,
    /// Rung after the commit.
    woken: Vec<Arc<Notify>>,
    /// At least as many messages as are in flight, by queue; absent until counted.
    in_flight: HashMap<i64, usize>,
}

impl Store {
    pub(crate) fn open(
        path: Option<&Path>,
        arn_prefix: String,
        cap: Option<Duration>,
    ) -> Result<Self, SqsError> {
        let db = match path {
            Some(path) => Connection::open(path)?,
            None => Connection::open_in_memory()?,
        };
        // A server that is just ending gets this long to let go of the file.
        db.busy_timeout(Duration::from_secs(1))?;
        // Exclusive: a second server on the same file would not wake this one's waiting receivers. What was
        // committed to the log survives the death of the process; only a power cut could lose the newest.
        db.execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
             PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY;",
        )?;
        db.execute_batch(SCHEMA)?;
        db.set_prepared_statement_cache_capacity(64);
        let cap = cap.and_then(|cap| i64::try_from(cap.as_millis()).ok()).unwrap_or(i64::MAX);
        let store = Self {
            db,
            queues: Arc::default(),
            arn_prefix,
            cap,
            now: 0,
            woken: Vec::new(),
            in_flight: HashMap::new(),
        };
        store.load()?;
        Ok(store)
    }

    fn load(&self) -> Result<(), SqsError> {
        let mut rows = self.db.prepare("SELECT id, name, attributes, tags, created, modified FROM queues")?;
        let parse = |text: String| serde_json::from_str(&text).unwrap_or_default();
        let found = rows.query_map([], |row| {
            let set = parse(row.get(2)?);
            let (id, name) = (row.get(0)?, row.get(1)?);
            Ok(self.queue(id, name, set, parse(row.get(3)?), (row.get(4)?, row.get(5)?)))
        })?;
        let found: BTreeMap<_, _> =
            found.map(|queue| queue.map(|q| (q.name.clone(), Arc::new(q)))).collect::<Result<_, _>>()?;
        self.queues.change(|queues| *queues = found);
        Ok(())
    }

    fn queue(&self, id: i64, name: String, set: Attributes, tags: Attributes, times: (i64, i64)) -> Queue {
        Queue {
            id,
            arn: format!("{}{name}", self.arn_prefix),
            fifo: name.ends_with(".fifo"),
            settings: Settings::of(&set),
            set,
            tags,
            created: times.0,
            modified: times.1,
            arrivals: self.queues.find(&name).map_or_else(|_| Arc::default(), |old| old.arrivals.clone()),
            name,
        }
    }

    // --- transactions, for the thread that owns this ---

    pub(crate) fn begin(&mut self) -> Result<(), SqsError> {
        // A clock set back must not reorder what is already there.
        self.now = self.now.max(jiff::Timestamp::now().as_millisecond());
        self.mark("BEGIN IMMEDIATE")
    }

    pub(crate) fn mark(&self, statement: &str) -> Result<(), SqsError> {
        self.db.prepare_cached(statement)?.execute([])?;
        Ok(())
    }

    pub(crate) fn commit(&mut self) -> Result<(), SqsError> {
        self.mark("COMMIT")?;
        self.woken.drain(..).for_each(|arrivals| arrivals.notify_waiters());
        Ok(())
    }

    /// Gives up a transaction that could not be committed, and what was remembered of it.
    pub(crate) fn undo(&mut self) {
        self.woken.clear();
        self.in_flight.clear();
        if !self.db.is_autocommit()
            && let Err(cause) = self.mark("ROLLBACK")
        {
            tracing::error!(%cause, "rollback failed");
        }
        if let Err(cause) = self.load() {
            tracing::error!(%cause, "the queues could not be read again");
        }
    }

    fn wake(&mut self, queue: &Queue) {
        if !self.woken.iter().any(|known| Arc::ptr_eq(known, &queue.arrivals)) {
            self.woken.push(queue.arrivals.clone());
        }
    }

    // --- queues ---

    /// Makes a queue, or finds the one that has this name and no other value for the given attributes.
    pub(crate) fn create(&mut self, name: &str, given: Attributes, tags: Attributes) -> Result<(), SqsError> {
        let fifo = given.get("FifoQueue").is_some_and(|value| value == "true");
        check_name(name, fifo)?;
        let set = normalise(given, fifo)?;
        if let Ok(existing) = self.queues.find(name) {
            let has = effective(&existing.set, existing.fifo);
            let differs = |(name, value): &(&String, &String)| {
                has.get(*name).map_or("", String::as_str) != value.as_str()
            };
            return match set.iter().find(differs) {
                Some((attribute, _)) => Err(SqsError::QueueNameExists(attribute.clone())),
                None => Ok(()),
            };
        }
        self.check_redrive(&set, fifo)?;
        let seconds = self.now / 1_000;
        self.db
            .prepare_cached(
                "INSERT INTO queues (name, attributes, tags, created, modified) VALUES (?, ?, ?, ?, ?)",
            )?
            .execute(params![name, json(&set), json(&tags), seconds, seconds])?;
        let id = self.db.last_insert_rowid();
        let queue = self.queue(id, name.to_owned(), set, tags, (seconds, seconds));
        self.queues.change(|queues| _ = queues.insert(name.to_owned(), Arc::new(queue)));
        Ok(())
    }

    /// Sets the given attributes; the others stay.
    pub(crate) fn set_attributes(&mut self, name: &str, given: Attributes) -> Result<(), SqsError> {
        let queue = self.queues.find(name)?;
        if given.contains_key("FifoQueue") {
            return Err(SqsError::InvalidAttributeName("FifoQueue".to_owned()));
        }
        let given = normalise(given, queue.fifo)?;
        self.check_redrive(&given, queue.fifo)?;
        let mut set = queue.set.clone();
        set.extend(given);
        self.replace(&queue, set, queue.tags.clone())
    }

    /// Adds tags, then removes those named.
    pub(crate) fn set_tags(
        &mut self,
        name: &str,
        add: Attributes,
        remove: &[String],
    ) -> Result<(), SqsError> {
        let queue = self.queues.find(name)?;
        let mut tags = queue.tags.clone();
        tags.extend(add);
        tags.retain(|key, _| !remove.contains(key));
        self.replace(&queue, queue.set.clone(), tags)
    }

    fn replace(&mut self, old: &Queue, set: Attributes, tags: Attributes) -> Result<(), SqsError> {
        let seconds = self.now / 1_000;
        self.db
            .prepare_cached("UPDATE queues SET attributes = ?, tags = ?, modified = ? WHERE id = ?")?
            .execute(params![json(&set), json(&tags), seconds, old.id])?;
        let queue = self.queue(old.id, old.name.clone(), set, tags, (old.created, seconds));
        self.queues.change(|queues| _ = queues.insert(old.name.clone(), Arc::new(queue)));
        Ok(())
    }

    /// A dead-letter queue must exist and be of the same type as its source.
    fn check_redrive(&self, set: &Attributes, fifo: bool) -> Result<(), SqsError> {
        let Some(redrive) = Settings::of(set).redrive else { return Ok(()) };
        let refuse = |reason| Err(invalid("RedrivePolicy", &set["RedrivePolicy"], reason));
        match self.by_arn(&redrive.target_arn) {
            None => refuse("Dead letter target does not exist."),
            Some(target) if target.fifo != fifo => {
                refuse("Dead-letter queue must be same type of queue as the source.")
            }
            Some(_) => Ok(()),
        }
    }

    fn by_arn(&self, arn: &str) -> Option<Arc<Queue>> {
        self.queues.find(arn.strip_prefix(&self.arn_prefix)?).ok()
    }

    /// Removes a queue and its messages. Unlike AWS, the name is free again at once.
    pub(crate) fn delete(&mut self, name: &str) -> Result<(), SqsError> {
        let queue = self.queues.find(name)?;
        for table in ["messages", "dedup"] {
            self.db.execute(&format!("DELETE FROM {table} WHERE queue = ?"), [queue.id])?;
        }
        self.db.execute("DELETE FROM queues WHERE id = ?", [queue.id])?;
        self.in_flight.remove(&queue.id);
        self.queues.change(|queues| _ = queues.remove(name));
        self.wake(&queue);
        Ok(())
    }

    /// Removes every message, at most once in 60 seconds.
    pub(crate) fn purge(&mut self, name: &str) -> Result<(), SqsError> {
        let queue = self.queues.find(name)?;
        let fresh = self.now - PURGE_EVERY;
        let allowed = self.db.execute(
            "UPDATE queues SET purged = ? WHERE id = ? AND purged <= ?",
            params![self.now, queue.id, fresh],
        )?;
        if allowed == 0 {
            return Err(SqsError::PurgeQueueInProgress(name.to_owned()));
        }
        self.db.execute("DELETE FROM messages WHERE queue = ?", [queue.id])?;
        Ok(())
    }

    pub(crate) fn counts(&self, name: &str) -> Result<Counts, SqsError> {
        let queue = self.queues.find(name)?;
        let mut query = self.db.prepare_cached(
            "SELECT COUNT(*) FILTER (WHERE visible_at <= ?2),
                    COUNT(*) FILTER (WHERE visible_at > ?2 AND received = 1),
                    COUNT(*) FILTER (WHERE visible_at > ?2 AND received = 0)
             FROM messages WHERE queue = ?1 AND sent_at > ?3",
        )?;
        let oldest = self.now - queue.settings.retention;
        Ok(query.query_row(params![queue.id, self.now, oldest], |row| {
            Ok(Counts { visible: row.get(0)?, in_flight: row.get(1)?, delayed: row.get(2)? })
        })?)
    }
}

fn json(map: &Attributes) -> String {
    serde_json::to_value(map).unwrap_or_default().to_string()
}
