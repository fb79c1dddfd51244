//! Calls in DynamoDB: `INBOUND#<inb>` with `CALL`, `BODY` and `EVENT#<evt>`; `INBOUND#<provider>#<event id>`, the lock by which a
//! repeat is known; `REFUSED#<address>`, the count that bounds what strangers can have stored. All of it expires.

use aws::{Clients, CommitError, Cond, Deps, Found, Key, Query, Table, Transaction, Update};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use piecework_core::{
    DomainEvent, PageRequest, Settings, WorkspaceId, hex, now, settings::SettingError, sha256,
};
use serde::{Deserialize, Deserializer, Serialize};

use super::record::{Call, InboundCall, InboundDetail, InboundId, Outcome, Provider, Status};
use crate::Error;

/// Longest body that is accepted, octets: an item has 400 KB.
const MAX_BODY: usize = 300_000;
/// Octets that are kept of a body that was refused.
const MAX_REFUSED_BODY: usize = 4_096;
/// Refused calls of one address, and of all, that are stored in an hour.
const MAX_REFUSED: (u64, u64) = (20, 1_000);
/// How long calls are kept unless `INBOUND_RETENTION_DAYS` says otherwise.
const RETENTION_DAYS: i64 = 90;

/// The hub.
#[derive(Clone)]
pub struct Inbound {
    pub(crate) table: Table,
    retention: SignedDuration,
}

/// A call that an event is about: the message in a provider's queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboundMessage {
    /// Which.
    pub call: InboundId,
}

impl<'de> Deserialize<'de> for InboundMessage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let event = DomainEvent::deserialize(deserializer)?;
        Ok(Self { call: event.entity.parse().map_err(serde::de::Error::custom)? })
    }
}

/// What was done with an accepted call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is new, and on its way.
    New(InboundId),
    /// The provider sent this event before.
    Repeat(InboundId),
}

#[derive(Serialize, Deserialize)]
struct CallItem {
    pk: String,
    sk: String,
    gsi1pk: String,
    gsi1sk: String,
    gsi2pk: String,
    gsi2sk: String,
    #[serde(flatten)]
    call: InboundCall,
    expires_at: i64,
}

#[derive(Serialize, Deserialize)]
struct BodyItem {
    pk: String,
    sk: String,
    body: Bytes,
    expires_at: i64,
}

#[derive(Serialize, Deserialize)]
struct Lock {
    pk: String,
    sk: String,
    call: InboundId,
    expires_at: i64,
}

#[derive(Serialize)]
struct Expiring<T> {
    #[serde(flatten)]
    item: T,
    expires_at: i64,
}

fn partition(id: InboundId) -> String {
    format!("INBOUND#{id}")
}

fn call_key(id: InboundId) -> Key {
    Key::new(partition(id), "CALL")
}

fn of_provider(provider: Provider) -> String {
    format!("INBOUND#{}", provider.name())
}

fn of_status(provider: Provider, status: Status) -> String {
    format!("INBOUND#{}#{}", provider.name(), status.name())
}

impl Deps for Inbound {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        let days = settings.parsed("INBOUND_RETENTION_DAYS")?.unwrap_or(RETENTION_DAYS);
        Ok(Self {
            table: Table::new(clients, settings.required("BILLING_TABLE")?),
            retention: SignedDuration::from_hours(24 * days),
        })
    }
}

impl Inbound {
    /// Whether a body is too long to be accepted.
    pub fn too_large(body: &[u8]) -> bool {
        body.len() > MAX_BODY
    }

    fn expiry(&self, at: Timestamp) -> i64 {
        (at + self.retention).as_second()
    }

    fn keep_in(&self, transaction: &mut Transaction, call: &InboundCall, body: Bytes) {
        let Key { pk, sk } = call_key(call.id);
        let expires_at = self.expiry(call.received_at);
        let item = CallItem {
            gsi1pk: of_provider(call.provider),
            gsi1sk: call.id.to_string(),
            gsi2pk: of_status(call.provider, call.status),
            gsi2sk: call.id.to_string(),
            pk: pk.clone(),
            sk,
            call: call.clone(),
            expires_at,
        };
        transaction.create("call", &self.table, &item);
        transaction.create("body", &self.table, &BodyItem { pk, sk: "BODY".to_owned(), body, expires_at });
    }

    /// Keeps a call that passed the door, and sends it on its way: call, body, lock and event in one transaction. A repeat, by
    /// the provider's own id of the event, is counted and goes nowhere.
    pub async fn accept(&self, call: &Call, event_id: &str, event_type: &str) -> Result<Kept, Error> {
        let mut kept = call.kept(Status::Received, None);
        kept.event_id = Some(event_id.to_owned());
        kept.event_type = Some(event_type.to_owned());
        let mut transaction = Transaction::new();
        let pk = format!("INBOUND#{}#{event_id}", call.provider.name());
        let lock =
            Lock { pk, sk: "SEEN".to_owned(), call: kept.id, expires_at: self.expiry(kept.received_at) };
        transaction.create("seen", &self.table, &lock);
        self.keep_in(&mut transaction, &kept, call.body.clone());
        self.send_in(&mut transaction, &kept, None);
        match transaction.commit().await {
            Ok(()) => Ok(Kept::New(kept.id)),
            Err(error) => match error.refused::<Lock>("seen") {
                Some(Some(lock)) => {
                    let update = Update::at(call_key(lock.call)).add("repeats", 1).when(Cond::Present("pk"));
                    self.table.update::<serde_json::Value>(update).await?;
                    Ok(Kept::Repeat(lock.call))
                }
                _ => Err(aws::Error::from(error).into()),
            },
        }
    }

    /// Keeps what is worth keeping of a call that did not pass, unless there were many of late; says whether it was kept.
    pub async fn refuse(&self, call: &Call, status: Status, reason: &str) -> Result<bool, Error> {
        let kept = call.kept(status, Some(reason.to_owned()));
        let mut transaction = Transaction::new();
        let hour = kept.received_at.as_second() / 3600;
        let address = call.source.map_or_else(|| "UNKNOWN".to_owned(), |address| address.to_string());
        let (of_one, of_all) = MAX_REFUSED;
        for (whose, most) in [(address.as_str(), of_one), ("ALL", of_all)] {
            let key = Key::new(format!("REFUSED#{whose}"), hour.to_string());
            let few = Cond::Any(vec![Cond::Absent("n"), Cond::is("n", "<", most)]);
            let update = Update::at(key).add("n", 1).set("expires_at", (hour + 2) * 3600).when(few);
            transaction.update("few", &self.table, update);
        }
        let part = call.body.slice(..call.body.len().min(MAX_REFUSED_BODY));
        self.keep_in(&mut transaction, &kept, part);
        match transaction.commit().await {
            Ok(()) => Ok(true),
            Err(CommitError::Refused { label: "few", .. }) => Ok(false),
            Err(error) => Err(aws::Error::from(error).into()),
        }
    }

    /// Adds the event that brings a call to its provider's queue.
    fn send_in(&self, transaction: &mut Transaction, call: &InboundCall, actor: Option<String>) {
        let kind = format!("billing.inbound.{}", call.provider.name());
        let data = serde_json::json!({ "event_type": call.event_type });
        let mut event = DomainEvent::new(&kind, WorkspaceId::PLATFORM, call.id, data);
        event.actor = actor;
        let item = aws::event_item(&partition(call.id), &event);
        let expires_at = self.expiry(call.received_at);
        transaction.create("event", &self.table, &Expiring { item, expires_at });
    }

    /// A call and its body.
    pub async fn get(&self, id: InboundId) -> Result<Option<(InboundCall, Bytes)>, Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Row {
            Call(Box<InboundCall>),
            Body { body: Bytes },
            Event {},
        }
        // `BODY` and `CALL`, and none of the events behind them.
        let query = Query::partition(partition(id)).between("BODY", "CALL");
        let (mut call, mut whole) = (None, Bytes::new());
        for row in self.table.query::<Row>(query).await?.items {
            match row {
                Row::Call(found) => call = Some(*found),
                Row::Body { body } => whole = body,
                Row::Event {} => {}
            }
        }
        Ok(call.map(|call| (call, whole)))
    }

    /// A call as an administrator sees it.
    pub async fn detail(&self, id: InboundId) -> Result<InboundDetail, Error> {
        let (call, body) = self.get(id).await?.ok_or(Error::NoSuchCall)?;
        let kept = body.len() as u64;
        Ok(InboundDetail { call, body: String::from_utf8_lossy(&body).into_owned(), kept })
    }

    /// Calls of a provider, of one status if asked, newest first.
    pub async fn list(
        &self,
        provider: Provider,
        status: Option<Status>,
        page: &PageRequest,
    ) -> Result<Found<InboundCall>, Error> {
        let query = match status {
            None => Query::index("gsi1", of_provider(provider)),
            Some(status) => Query::index("gsi2", of_status(provider, status)),
        };
        Ok(self.table.query(query.newest_first().limit(page.limit).start(page.start.clone())).await?)
    }

    /// Sends an accepted call through its processor again.
    pub async fn replay(&self, id: InboundId, actor: impl ToString) -> Result<InboundCall, Error> {
        let call: InboundCall = self.table.get(&call_key(id)).await?.ok_or(Error::NoSuchCall)?;
        if !call.status.accepted() {
            return Err(Error::NotAccepted);
        }
        let mut transaction = Transaction::new();
        self.send_in(&mut transaction, &call, Some(actor.to_string()));
        transaction.commit().await.map_err(aws::Error::from)?;
        Ok(call)
    }

    /// Adds what became of a call, unless that is known.
    pub fn settle_in(&self, transaction: &mut Transaction, call: &InboundCall, outcome: &Outcome) {
        if let Some(update) = settled(call, outcome) {
            transaction.update("inbound", &self.table, update);
        }
    }

    /// Writes what became of a call, unless that is known.
    pub async fn settle(&self, call: &InboundCall, outcome: &Outcome) -> Result<(), Error> {
        if let Some(update) = settled(call, outcome) {
            self.table.update::<serde_json::Value>(update).await?;
        }
        Ok(())
    }
}

fn settled(call: &InboundCall, outcome: &Outcome) -> Option<Update> {
    if call.status == outcome.status && call.reason == outcome.reason {
        return None;
    }
    let update = Update::at(call_key(call.id))
        .set("status", outcome.status.name())
        .set("processed_at", now())
        .set("gsi2pk", of_status(call.provider, outcome.status))
        .when(Cond::Present("pk"));
    Some(match &outcome.reason {
        Some(reason) => update.set("reason", reason),
        None => update.remove("reason"),
    })
}

impl Call {
    fn kept(&self, status: Status, reason: Option<String>) -> InboundCall {
        InboundCall {
            id: InboundId::new(),
            provider: self.provider,
            status,
            reason,
            event_id: None,
            event_type: None,
            source: self.source.map(|address| address.to_string()),
            headers: self.headers.clone(),
            size: self.body.len() as u64,
            sha256: hex(&sha256(&[&self.body])),
            repeats: 0,
            received_at: now(),
            processed_at: None,
        }
    }
}
