//! Exports of a user's data (P19): `docs/decisions/export.md` says how the areas take part.
//!
//! `USER#<user>`/`EXPORT#<export>`: an export, and which area has written its parts. `USER#<user>`/`EXPORTING`: the one under way.

mod about;
mod write;

use std::{collections::BTreeMap, time::Duration};

use about::about;
use archive::{ExportId, Exports, Order};
use aws::{Clients, CommitError, Cond, Deps, Key, Transaction, Update};
use jiff::{SignedDuration, Timestamp};
use piecework_core::{
    DomainEvent, Problem, Settings, UserId, WorkspaceId, idempotency::Reply, now, settings::SettingError,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Account, Area, Error, Principal, store::profile_key};

/// How long one that is not ready counts as under way; after that it has failed, and another may begin.
const PATIENCE: SignedDuration = SignedDuration::from_hours(24);
/// How long a zip is kept, and what the bucket's lifecycle says of it.
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How long its record is: past the zip, since time to live deletes no sooner.
const RECORD_KEPT: SignedDuration = SignedDuration::from_hours(9 * 24);
/// How long a link lasts unless `EXPORT_LINK_SECONDS` says otherwise.
const LINK_SECONDS: u64 = 900;
/// How long a claim holds unless `LEASE_SECONDS` says otherwise: longer than the function's timeout.
const LEASE_SECONDS: i64 = 930;
/// Writes exports, and shows them.
#[derive(Clone)]
pub struct Exporter {
    account: Account,
    exports: Exports,
    lease: SignedDuration,
    link: Duration,
}

impl Deps for Exporter {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        Ok(Self {
            account: Account::new(settings, clients)?,
            exports: Exports::new(settings, clients)?,
            lease: SignedDuration::from_secs(settings.parsed("LEASE_SECONDS")?.unwrap_or(LEASE_SECONDS)),
            link: Duration::from_secs(settings.parsed("EXPORT_LINK_SECONDS")?.unwrap_or(LINK_SECONDS)),
        })
    }
}

/// Where an export stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExportState {
    /// Areas write their parts.
    Collecting,
    /// The zip is there.
    Ready,
    /// It was not ready within a day. Ask for another.
    Failed,
}

/// An export of a user's data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Export {
    /// Its id.
    pub id: ExportId,
    /// Where it stands.
    pub state: ExportState,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    pub requested_at: Timestamp,
    /// When the zip was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ready_at: Option<Timestamp>,
    /// Files in the zip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
    /// Its size in octets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Where the zip is, for whoever has the link, until `url_expires_at`. Every answer has a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// When the link ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub url_expires_at: Option<Timestamp>,
    /// When the zip goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub kept_until: Option<Timestamp>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ExportRecord {
    pk: String,
    sk: String,
    /// Epoch seconds.
    expires_at: i64,
    id: ExportId,
    user: UserId,
    /// That of the credentials it was asked for with, for events.
    workspace: WorkspaceId,
    requested_at: Timestamp,
    /// Those of which everything is exported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    workspaces: Option<Vec<WorkspaceId>>,
    /// Until when somebody is making the zip, epoch milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lease_until: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ready_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    files: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// How many parts an area wrote: `parts_account`, `parts_<area>_<workspace>`.
    #[serde(flatten)]
    rest: BTreeMap<String, serde_json::Value>,
}

/// Keeps a user from having two at a time.
#[derive(Debug, Serialize, Deserialize)]
struct Exporting {
    pk: String,
    sk: String,
    /// Epoch seconds.
    expires_at: i64,
    export: ExportId,
}

/// What came of an area's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportProgress {
    /// Others are not done yet; or the export is ready, or no more.
    Noted,
    /// Somebody else makes the zip, for so many seconds more.
    Claimed(u64),
    /// It is no such word.
    Unknown,
}

fn export_key(user: UserId, id: ExportId) -> Key {
    Key::new(format!("USER#{user}"), format!("EXPORT#{id}"))
}

/// The attribute that says how many parts an area wrote.
fn parts_of(area: Area, workspace: WorkspaceId) -> String {
    match area {
        Area::Account => "parts_account".to_owned(),
        area => format!("parts_{}_{workspace}", area.name()),
    }
}

impl ExportRecord {
    /// How many parts there are in all, once every area has written its own.
    fn parts(&self) -> Option<u64> {
        let workspaces = self.workspaces.as_ref()?;
        let by_workspace = workspaces.iter().flat_map(|&workspace| {
            let areas = Area::ALL.into_iter().filter(|area| *area != Area::Account);
            areas.map(move |area| parts_of(area, workspace))
        });
        let mut names = by_workspace.chain([parts_of(Area::Account, self.workspace)]);
        names.try_fold(0, |sum, name| Some(sum + self.rest.get(&name)?.as_u64()?))
    }

    fn state(&self, at: Timestamp) -> ExportState {
        match self.ready_at {
            Some(_) => ExportState::Ready,
            None if self.requested_at + PATIENCE < at => ExportState::Failed,
            None => ExportState::Collecting,
        }
    }

    fn view(&self, at: Timestamp) -> Export {
        Export {
            id: self.id,
            state: self.state(at),
            requested_at: self.requested_at,
            ready_at: self.ready_at,
            files: self.files,
            bytes: self.bytes,
            url: None,
            url_expires_at: None,
            kept_until: self.ready_at.map(|ready| ready + KEPT),
        }
    }

    fn order(&self) -> Order {
        Order { workspace: self.workspace, user: self.user, export: self.id }
    }
}

impl Account {
    /// Begins an export of the caller's data; where one is under way, it is that one.
    pub async fn begin_export(&self, by: &Principal) -> Result<Reply, Problem> {
        let export = self.begin_export_once(by).await?;
        let location = Some(format!("/v1/me/exports/{}", export.id));
        let body = serde_json::to_string(&export).map_err(Problem::internal)?;
        Ok(Reply { status: 202, location, body })
    }

    async fn begin_export_once(&self, by: &Principal) -> Result<Export, Error> {
        let (user, at) = (by.user, now());
        let mut free = Cond::absent_or_expired();
        for _ in 0..2 {
            let id = ExportId::new();
            let Key { pk, sk } = export_key(user, id);
            let record = ExportRecord {
                pk: pk.clone(),
                sk,
                expires_at: (at + RECORD_KEPT).as_second(),
                id,
                user,
                workspace: by.workspace,
                requested_at: at,
                workspaces: None,
                lease_until: None,
                ready_at: None,
                files: None,
                bytes: None,
                rest: BTreeMap::new(),
            };
            let expires_at = (at + PATIENCE).as_second();
            let exporting = Exporting { pk: pk.clone(), sk: "EXPORTING".to_owned(), expires_at, export: id };
            let mut transaction = Transaction::new();
            let there = Cond::All(vec![Cond::Present("pk"), Cond::Absent("erasure")]);
            transaction.check("user", &self.table, &profile_key(user), there);
            transaction.put("exporting", &self.table, &exporting, Some(free));
            transaction.create("export", &self.table, &record);
            let event = record.order().event("account.export.requested").by(user);
            transaction.create("event", &self.table, &aws::event_item(&pk, &event));
            let error = match transaction.commit().await {
                Ok(()) => return Ok(record.view(at)),
                Err(error) => error,
            };
            if matches!(error, CommitError::Refused { label: "user", .. }) {
                return Err(Error::Erased);
            }
            let Some(Some(before)) = error.refused::<Exporting>("exporting") else {
                return Err(error.into());
            };
            let under_way: Option<ExportRecord> = self.table.get(&export_key(user, before.export)).await?;
            match under_way.filter(|record| record.state(at) == ExportState::Collecting) {
                Some(record) => return Ok(record.view(at)),
                // It is done with: the next one takes its place.
                None => free = Cond::eq("export", before.export.to_string()),
            }
        }
        Err(Error::Races)
    }
}

impl Exporter {
    async fn record(&self, user: UserId, id: ExportId) -> Result<Option<ExportRecord>, Error> {
        Ok(self.account.table.get(&export_key(user, id)).await?)
    }

    /// How far an export of the caller's is, with a link when it is ready.
    pub async fn export(&self, by: UserId, id: ExportId) -> Result<Export, Error> {
        let at = now();
        let record = self.record(by, id).await?.ok_or(Error::NoSuchExport)?;
        let mut export = record.view(at);
        let Some(kept_until) = export.kept_until else { return Ok(export) };
        if kept_until < at {
            return Err(Error::ExportGone);
        }
        let file_name = format!("piecework-{}.zip", record.requested_at.strftime("%Y-%m-%d"));
        export.url = Some(self.exports.link(by, id, &file_name, self.link).await?);
        // The moment of signing is a whole second, so the link ends no later than that.
        let signed = Timestamp::from_second(at.as_second()).unwrap_or(at);
        export.url_expires_at = SignedDuration::try_from(self.link).ok().map(|life| signed + life);
        Ok(export)
    }

    /// Notes an area's word that its parts are written. Whoever notes the last one makes the zip.
    pub async fn note(&self, event: &DomainEvent) -> Result<ExportProgress, Error> {
        #[derive(Deserialize)]
        struct Word {
            export: ExportId,
            user: UserId,
            parts: u64,
        }
        let word = serde_json::from_value::<Word>(event.data.clone());
        let (Some(area), Ok(Word { export, user, parts })) = (Area::exported(&event.kind), word) else {
            return Ok(ExportProgress::Unknown);
        };
        let table = &self.account.table;
        let update = Update::at(export_key(user, export)).set(parts_of(area, event.workspace), parts);
        let noted = table.update::<ExportRecord>(update.when(Cond::Present("pk"))).await?;
        let Some(record) = noted else {
            // The user was erased since, and this came after.
            self.exports.forget(user, export).await?;
            return Ok(ExportProgress::Noted);
        };
        let Some(parts) = record.parts() else { return Ok(ExportProgress::Noted) };
        if record.ready_at.is_none() {
            let at = now();
            let until = (at + self.lease).as_millisecond();
            let free = Cond::Any(vec![
                Cond::Absent("lease_until"),
                Cond::is("lease_until", "<", at.as_millisecond()),
            ]);
            let claim = Update::at(export_key(user, export)).set("lease_until", until).when(free);
            let claim = claim.when(Cond::Present("pk")).when(Cond::Absent("ready_at"));
            if table.update::<ExportRecord>(claim).await?.is_none() {
                let left = record.lease_until.map_or(0, |until| (until - at.as_millisecond()) / 1000);
                return Ok(ExportProgress::Claimed(u64::try_from(left).unwrap_or(0) + 1));
            }
            self.build(&record, parts).await?;
        }
        self.exports.forget_parts(user, export).await?;
        Ok(ExportProgress::Noted)
    }

    /// Makes the zip.
    async fn build(&self, record: &ExportRecord, parts: u64) -> Result<(), Error> {
        let (table, user, export) = (&self.account.table, record.user, record.id);
        let joined = self.exports.join(user, export, parts, |entries| about(record, entries)).await?;
        let Some(joined) = joined else {
            let cause = format!("{export} has not the {parts} parts that it should have");
            return Err(aws::Error::Unavailable { service: "account", cause }.into());
        };
        let key = export_key(user, export);
        let ready = Update::at(key.clone()).set("ready_at", now()).set("files", joined.files);
        let ready = ready.set("bytes", joined.bytes).when(Cond::Present("pk")).when(Cond::Absent("ready_at"));
        let mut transaction = Transaction::new();
        transaction.update("export", table, ready);
        let event = record.order().event("account.export.ready");
        transaction.create("event", table, &aws::event_item(&key.pk, &event));
        match transaction.commit().await {
            Ok(()) => {
                let (files, bytes) = (joined.files, joined.bytes);
                tracing::info!(%export, files, bytes, "exported");
                Ok(())
            }
            Err(CommitError::Refused { label: "export", existing: Some(_) }) => Ok(()),
            // The user was erased while it was made.
            Err(CommitError::Refused { label: "export", existing: None }) => {
                Ok(self.exports.forget(user, export).await?)
            }
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn record(workspaces: Option<Vec<WorkspaceId>>) -> ExportRecord {
        let (user, id, at) = (UserId::new(), ExportId::new(), now());
        let Key { pk, sk } = export_key(user, id);
        ExportRecord {
            pk,
            sk,
            expires_at: 0,
            id,
            user,
            workspace: WorkspaceId::new(),
            requested_at: at,
            workspaces,
            lease_until: None,
            ready_at: None,
            files: None,
            bytes: None,
            rest: BTreeMap::new(),
        }
    }

    #[test]
    fn parts_are_counted_when_every_area_has_said_its_own() {
        let workspace = WorkspaceId::new();
        let mut record = record(Some(vec![workspace]));
        for (area, parts) in [(Area::Billing, 1), (Area::Account, 1), (Area::Verification, 5)] {
            assert_eq!(record.parts(), None, "without {area:?}");
            record.rest.insert(parts_of(area, workspace), parts.into());
        }
        assert_eq!(record.parts(), Some(7));
        record.workspaces = None;
        assert_eq!(record.parts(), None, "nobody has said which workspaces there are");
    }

    #[test]
    fn one_that_is_not_ready_within_a_day_has_failed() {
        let mut record = record(None);
        let begun = record.requested_at;
        let hours = SignedDuration::from_hours;
        assert_eq!(record.state(begun + hours(23)), ExportState::Collecting);
        assert_eq!(record.state(begun + hours(25)), ExportState::Failed);
        record.ready_at = Some(begun);
        assert_eq!(record.view(begun + hours(25)).kept_until, Some(begun + hours(7 * 24)));
    }
}
