//! Checking: a chunk is claimed by lease, verified, written to S3, and counted once.

use std::{
    collections::{BTreeSet, HashMap},
    marker::PhantomData,
};

use aws::{Bucket, Clients, CommitError, Cond, Deps, Key, Transaction, Update, Value};
use email::{Inspection, Status, Verification, inspect, route::MailRoute, route::SmtpOutcome};
use futures::StreamExt as _;
use jiff::SignedDuration;
use piecework_core::{EventId, Settings, WorkspaceId, hex, now, settings::SettingError, trace};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Error, Job, JobState, Network, TaskId, TaskState, Tasks,
    list::{ListRow, parse_rows, same},
    results,
    store::{ChunkRecord, ChunkState, Objects, TaskRecord, chunk_key, parts, task_key},
};

/// How long a claim holds unless `LEASE_SECONDS` says otherwise: longer than the function's timeout, so that a claim that has
/// run out is one whose sandbox is gone.
const LEASE_SECONDS: i64 = 330;
/// Domains asked about at once; the resolver has a bound of its own below this.
const DOMAINS_AT_ONCE: usize = 200;
/// Mailboxes asked about at once.
const MAILBOXES_AT_ONCE: usize = 16;

/// Checks chunks.
#[derive(Clone)]
pub struct Checker {
    tasks: Tasks,
    bucket: Bucket,
    network: Network,
    lease: SignedDuration,
}

impl Deps for Checker {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        Ok(Self {
            tasks: Tasks::new(settings, clients)?,
            bucket: Bucket::new(clients, settings.required("VERIFY_BUCKET")?),
            network: Network::new(settings, clients)?,
            lease: SignedDuration::from_secs(settings.parsed("LEASE_SECONDS")?.unwrap_or(LEASE_SECONDS)),
        })
    }
}

/// A chunk to be checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkMessage {
    /// Whose.
    pub workspace: WorkspaceId,
    /// Of which task.
    pub task: TaskId,
    /// Its first row.
    pub first: u64,
    /// The correlation id of the work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// The span that sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

impl ChunkMessage {
    pub(crate) fn of(task: &TaskRecord, first: u64) -> Self {
        Self {
            workspace: task.workspace,
            task: task.id,
            first,
            correlation_id: task.correlation_id.clone(),
            traceparent: trace::traceparent(),
        }
    }
}

/// What came of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkOutcome {
    /// The chunk is counted, by this message or an earlier one; or its task is closed.
    Settled,
    /// Somebody else holds the claim for so many seconds more.
    Claimed(u64),
}

/// What a chunk adds to its task's counters.
#[derive(Default)]
struct Counts {
    by_status: [i64; 4],
    bad: i64,
    cancelled: i64,
    charged: i64,
}

impl Counts {
    fn of(jobs: &[Job]) -> Self {
        let mut counts = Self::default();
        for job in jobs {
            match (job.state, job.status) {
                (JobState::Completed, Some(status)) => {
                    counts.by_status[status as usize] += 1;
                    if status != Status::Unknown && job.duplicate_of.is_none() {
                        counts.charged += 1;
                    }
                }
                (JobState::Cancelled, _) => counts.cancelled += 1,
                _ => counts.bad += 1,
            }
        }
        counts
    }
}

impl Checker {
    /// Checks one chunk. Safe under repeats: the claim, the count and the close are conditional writes.
    pub async fn run(&self, message: &ChunkMessage) -> Result<ChunkOutcome, Error> {
        let (workspace, id) = (message.workspace, message.task);
        let Some(task) = self.tasks.record(workspace, id).await? else { return Ok(ChunkOutcome::Settled) };
        if !matches!(task.state, TaskState::Running | TaskState::Cancelling) {
            return Ok(ChunkOutcome::Settled);
        }
        let key = chunk_key(workspace, id, message.first);
        let lease = EventId::new().to_string();
        let at = now();
        let claim = Update::at(key.clone())
            .set("lease", &lease)
            .set("lease_until", (at + self.lease).as_millisecond())
            .when(Cond::eq("state", "pending"))
            .when(Cond::Any(vec![
                Cond::Absent("lease_until"),
                Cond::is("lease_until", "<", at.as_millisecond()),
            ]));
        let Some(chunk) = self.tasks.table.update::<ChunkRecord>(claim).await? else {
            let Some(chunk) = self.tasks.table.get::<ChunkRecord>(&key).await? else {
                return Ok(ChunkOutcome::Settled);
            };
            if chunk.state == ChunkState::Pending {
                let left = chunk.lease_until.unwrap_or(0).saturating_sub(at.as_millisecond()).max(0);
                return Ok(ChunkOutcome::Claimed(u64::try_from(left / 1000 + 1).unwrap_or(1)));
            }
            self.close_if_drained(workspace, id).await?;
            return Ok(ChunkOutcome::Settled);
        };
        self.check(&task, &chunk, &lease).await?;
        self.close_if_drained(workspace, id).await?;
        Ok(ChunkOutcome::Settled)
    }

    async fn check(&self, task: &TaskRecord, chunk: &ChunkRecord, lease: &str) -> Result<(), Error> {
        let objects = Objects::of(task.workspace, task.id);
        let missing = || aws::Error::Shape(format!("chunk {} of {} has no rows", chunk.first, task.id));
        let rows = parse_rows(&self.bucket.get(&objects.chunk(chunk.first)).await?.ok_or_else(missing)?)?;
        let layout = task.layout.as_ref().ok_or_else(missing)?;
        let cancelled = task.state == TaskState::Cancelling;
        let jobs = if cancelled {
            rows.iter()
                .zip(chunk.first..)
                .map(|(row, n)| row.open_job(n, JobState::Cancelled, layout))
                .collect()
        } else {
            self.verify(task, chunk, &rows, layout).await?
        };
        let written = results::write(layout, &rows, &jobs)?;
        self.bucket.put(&objects.jobs(chunk.first, lease), "application/x-ndjson", written.jobs).await?;
        self.bucket.put(&objects.segment(chunk.first, lease), "text/csv", written.csv).await?;
        self.count(task, chunk, lease, &Counts::of(&jobs), cancelled, &written.offsets).await
    }

    /// Marks the chunk and adds to the task's counters, together and once.
    async fn count(
        &self,
        task: &TaskRecord,
        chunk: &ChunkRecord,
        lease: &str,
        counts: &Counts,
        cancelled: bool,
        offsets: &[u64],
    ) -> Result<(), Error> {
        let state = if cancelled { "cancelled" } else { "done" };
        let mut transaction = Transaction::new();
        let update = Update::at(Key::new(&chunk.pk, &chunk.sk))
            .set("state", state)
            .set("counted", lease)
            .set("offsets", Value::of(&offsets)?)
            .remove("lease")
            .remove("lease_until")
            .when(Cond::eq("state", "pending"))
            .when(Cond::eq("lease", lease));
        transaction.update("chunk", &self.tasks.table, update);
        let update = Update::at(task.key())
            .add("n_chunks", 1)
            .add("n_valid", counts.by_status[Status::Valid as usize])
            .add("n_risky", counts.by_status[Status::Risky as usize])
            .add("n_invalid", counts.by_status[Status::Invalid as usize])
            .add("n_unknown", counts.by_status[Status::Unknown as usize])
            .add("n_bad", counts.bad)
            .add("n_cancelled", counts.cancelled)
            .add("n_charged", counts.charged)
            .when(Cond::one_of("state", ["running", "cancelling"]))
            .when(Cond::IsAttr("n_chunks", "<", "chunks"));
        transaction.update("task", &self.tasks.table, update);
        match transaction.commit().await {
            // The claim ran out and another worker did the same work: its count stands.
            Ok(()) | Err(CommitError::Refused { label: "chunk", .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// After the last chunk: says so, once, by the event that starts the finish.
    async fn close_if_drained(&self, workspace: WorkspaceId, id: TaskId) -> Result<(), Error> {
        let Some(task) = self.tasks.record(workspace, id).await? else { return Ok(()) };
        self.tasks.announce_drained(&task).await
    }

    async fn verify(
        &self,
        task: &TaskRecord,
        chunk: &ChunkRecord,
        rows: &[ListRow],
        layout: &tabular::Layout,
    ) -> Result<Vec<Job>, Error> {
        let found: Vec<Option<Inspection>> =
            rows.iter().map(|row| row.bad.is_none().then(|| inspect(row.address(layout)))).collect();
        let domains: BTreeSet<&str> = found.iter().flatten().filter_map(Inspection::domain).collect();
        let routes = self.routes(task, &domains).await?;
        let outcomes = self.outcomes(task, &found, &routes).await?;
        let at = now();
        let jobs = found.into_iter().zip(rows).zip(outcomes).zip(chunk.first..);
        Ok(jobs
            .map(|(((found, row), smtp), n)| match found {
                None => row.open_job(n, JobState::Cancelled, layout),
                Some(found) => {
                    let route = found.domain().and_then(|d| routes.get(d)).cloned();
                    let mut job = Job::done(n, row.line, Verification::new(found, route.as_ref(), smtp), at);
                    job.duplicate_of = row.duplicate_of;
                    job
                }
            })
            .collect())
    }

    /// The route of each domain, the same through the whole task: the first answer is kept beside the task, and every chunk
    /// and every repeat takes it from there.
    async fn routes(
        &self,
        task: &TaskRecord,
        domains: &BTreeSet<&str>,
    ) -> Result<HashMap<String, MailRoute>, Error> {
        let answers = Answers::<MailRoute>::beside(&self.tasks, task, "DOMAIN");
        let mut routes = answers.known(domains.iter().copied()).await?;
        let unknown: Vec<&str> = domains.iter().copied().filter(|d| !routes.contains_key(*d)).collect();
        let mut asked = futures::stream::iter(unknown)
            .map(|domain| async {
                let route = self.network.route(domain).await;
                Ok::<_, aws::Error>((domain.to_owned(), answers.keep(domain, route).await?))
            })
            .buffer_unordered(DOMAINS_AT_ONCE);
        while let Some(answer) = asked.next().await {
            let (domain, route) = answer?;
            routes.insert(domain, route);
        }
        Ok(routes)
    }

    /// What mail servers say, if they are asked: kept by address like the routes, so that a repeated address is asked once.
    async fn outcomes(
        &self,
        task: &TaskRecord,
        found: &[Option<Inspection>],
        routes: &HashMap<String, MailRoute>,
    ) -> Result<Vec<Option<SmtpOutcome>>, Error> {
        if !self.network.probes() {
            return Ok(vec![None; found.len()]);
        }
        let answers = Answers::<Option<SmtpOutcome>>::beside(&self.tasks, task, "MAILBOX");
        let addresses: Vec<Option<(String, &str)>> = found
            .iter()
            .map(|f| f.as_ref()?.address.as_ref().ok())
            .map(|a| a.map(|a| (hex(&same(a.normalized())), a.normalized())))
            .collect();
        let mut known = answers.known(addresses.iter().flatten().map(|(key, _)| key.as_str())).await?;
        let unknown: HashMap<&str, &str> = addresses
            .iter()
            .flatten()
            .filter(|(key, _)| !known.contains_key(key))
            .map(|(key, address)| (key.as_str(), *address))
            .collect();
        let mut asked = futures::stream::iter(unknown)
            .map(|(key, address)| async {
                let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
                let outcome = match routes.get(domain) {
                    Some(route) => self.network.mailbox(address, domain, route).await,
                    None => None,
                };
                Ok::<_, aws::Error>((key.to_owned(), answers.keep(key, outcome).await?))
            })
            .buffer_unordered(MAILBOXES_AT_ONCE);
        while let Some(answer) = asked.next().await {
            let (key, outcome) = answer?;
            known.insert(key, outcome);
        }
        drop(asked);
        Ok(addresses
            .iter()
            .map(|a| a.as_ref().and_then(|(key, _)| known.get(key).copied().flatten()))
            .collect())
    }
}

/// Answers kept beside a task, `<prefix>#<key>`: whoever writes first is right for all.
struct Answers<'a, T> {
    tasks: &'a Tasks,
    task: &'a TaskRecord,
    prefix: &'static str,
    answer: PhantomData<T>,
}

#[derive(Serialize, Deserialize)]
struct Answer<T> {
    pk: String,
    sk: String,
    answer: T,
    expires_at: i64,
}

impl<'a, T: Serialize + DeserializeOwned> Answers<'a, T> {
    fn beside(tasks: &'a Tasks, task: &'a TaskRecord, prefix: &'static str) -> Self {
        Self { tasks, task, prefix, answer: PhantomData }
    }

    fn key(&self, name: &str) -> Key {
        Key::new(parts(self.task.workspace, self.task.id), format!("{}#{name}", self.prefix))
    }

    async fn known<'k>(
        &self,
        names: impl Iterator<Item = &'k str>,
    ) -> Result<HashMap<String, T>, aws::Error> {
        let keys: BTreeSet<String> = names.map(|n| self.key(n).sk).collect();
        let keys: Vec<Key> =
            keys.into_iter().map(|sk| Key::new(parts(self.task.workspace, self.task.id), sk)).collect();
        let found = self.tasks.table.get_many::<Answer<T>>(&keys).await?;
        let name = |sk: &str| sk.split_once('#').map_or("", |(_, name)| name).to_owned();
        Ok(found.into_iter().map(|a| (name(&a.sk), a.answer)).collect())
    }

    async fn keep(&self, name: &str, answer: T) -> Result<T, aws::Error> {
        let Key { pk, sk } = self.key(name);
        let expires_at = (now() + SignedDuration::from_hours(7 * 24)).as_second();
        let mine = Answer { pk: pk.clone(), sk: sk.clone(), answer, expires_at };
        if self.tasks.table.put(&mine, Some(Cond::Absent("pk"))).await? {
            return Ok(mine.answer);
        }
        let theirs = self.tasks.table.get::<Answer<T>>(&Key::new(pk, sk)).await?;
        Ok(theirs.map_or(mine.answer, |a| a.answer))
    }
}

impl Tasks {
    /// Writes the event that every chunk is counted, if that is so and nobody has written it.
    pub(crate) async fn announce_drained(&self, task: &TaskRecord) -> Result<(), Error> {
        if !task.is_drained() || task.drained_at.is_some() {
            return Ok(());
        }
        let mut transaction = Transaction::new();
        let update = Update::at(task_key(task.workspace, task.id))
            .set("drained_at", now())
            .when(Cond::one_of("state", ["running", "cancelling"]))
            .when(Cond::Absent("drained_at"));
        transaction.update("task", &self.table, update);
        let event = task.event("drained", serde_json::json!({ "chunks": task.chunks }));
        transaction.create("event", &self.table, &aws::event_item(&parts(task.workspace, task.id), &event));
        match transaction.commit().await {
            Ok(()) | Err(CommitError::Refused { label: "task", .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
