//! Exports of a user's data (P19): `docs/decisions/export.md` says how the areas take part.
//!
//! `USER#<user>`/`EXPORT#<export>`: an export, and which area has written its parts. `USER#<user>`/`EXPORTING`: the one under way.

use std::{collections::BTreeMap, time::Duration};

use archive::{Entry, ExportId, Exports, Order, Part};
use aws::{Clients, CommitError, Cond, Deps, Key, Query, Transaction, Update, Value};
use jiff::{SignedDuration, Timestamp};
use piecework_core::{
    DomainEvent, Problem, Settings, UserId, WorkspaceId, idempotency::Reply, now, settings::SettingError,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;
use utoipa::ToSchema;

use crate::{
    Account, ApiKey, Area, Error, Principal, Role,
    key::KeyRecord,
    store::{Profile, profile_key},
    workspace::{MemberRecord, MembershipRecord, WorkspaceRecord, member_key, membership_key, meta_key},
};

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
/// Events of one transaction.
const AT_ONCE: usize = 50;

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

/// An item with what may be shown of it.
async fn rows<T: DeserializeOwned + Serialize>(
    part: &mut Part,
    table: &aws::Table,
    name: &str,
    query: Query,
    shown: impl Fn(&T) -> bool,
) -> Result<(), Error> {
    part.begin_rows(name).await?;
    let mut start = None;
    loop {
        let page = table.query::<T>(query.clone().limit(100).start(start)).await?;
        for row in page.items.iter().filter(|row| shown(row)) {
            part.row(row).await?;
        }
        start = page.next;
        if start.is_none() {
            break;
        }
    }
    Ok(part.end_rows().await?)
}

/// What is shown of an identity: not the hash by which it is found.
#[derive(Serialize, Deserialize)]
struct IdentityRow {
    #[serde(default)]
    issuer: Option<String>,
    #[serde(default)]
    created_at: Option<Timestamp>,
}

/// What is shown of a session.
#[derive(Serialize, Deserialize)]
struct SessionRow {
    id: String,
    /// Epoch seconds.
    #[serde(default)]
    rotated_at: Option<i64>,
    #[serde(default)]
    expires_at: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct EventRow {
    event: DomainEvent,
}

#[derive(Serialize)]
struct KeyRow<'a> {
    workspace: WorkspaceId,
    #[serde(flatten)]
    key: &'a ApiKey,
}

/// A workspace that the user belongs to.
#[derive(Serialize)]
struct WorkspaceRow {
    id: WorkspaceId,
    name: String,
    personal: bool,
    role: Role,
    joined_at: Timestamp,
    /// Whether all that is in it is the user's, and in this export.
    exported: bool,
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

    /// Writes what this area has of a user, and asks the other areas for what they have of the workspaces that are the user's alone.
    /// A repeat goes on where the last one stopped.
    pub async fn write_user(&self, order: &Order) -> Result<(), Error> {
        let (table, user) = (&self.account.table, order.user);
        // The user was erased since.
        let Some(record) = self.record(user, order.export).await? else { return Ok(()) };
        let memberships = self.memberships(user).await?;
        let own = match record.workspaces {
            Some(own) => own,
            None => {
                // Those that would end with the user: what is in the others is not theirs alone.
                let own: Vec<_> =
                    memberships.iter().filter(|(_, meta, _)| meta.members <= 1).map(|(id, ..)| *id).collect();
                let update = Update::at(export_key(user, order.export)).set("workspaces", Value::of(&own)?);
                let update = update.when(Cond::Present("pk")).when(Cond::Absent("workspaces"));
                match table.update::<ExportRecord>(update).await? {
                    Some(record) => record.workspaces.unwrap_or_default(),
                    // A repeat was faster, or the user was erased.
                    None => match self.record(user, order.export).await? {
                        Some(record) => record.workspaces.unwrap_or_default(),
                        None => return Ok(()),
                    },
                }
            }
        };
        if let Some(part) = self.exports.part(order, Area::Account.name()).await? {
            self.write_account(part, user, &memberships, &own).await?;
        }
        let mut events: Vec<DomainEvent> = own
            .iter()
            .map(|&workspace| Order { workspace, ..*order }.event("account.workspace.exporting"))
            .collect();
        let mut done = order.event("account.user.exported");
        done.data["parts"] = 1.into();
        events.push(done);
        for some in events.chunks(AT_ONCE) {
            let mut transaction = Transaction::new();
            let key = export_key(user, order.export);
            transaction.check("export", table, &key, Cond::Present("pk"));
            for event in some {
                transaction.create("event", table, &aws::event_item(&key.pk, event));
            }
            match transaction.commit().await {
                Err(CommitError::Refused { label: "export", .. }) => {
                    self.exports.forget(user, order.export).await?;
                    return Ok(());
                }
                outcome => outcome?,
            }
        }
        Ok(())
    }

    /// The workspaces that a user belongs to.
    async fn memberships(
        &self,
        user: UserId,
    ) -> Result<Vec<(WorkspaceId, WorkspaceRecord, MemberRecord)>, Error> {
        let query = Query::partition(membership_key(WorkspaceId::new(), user).pk).prefix("WSP#");
        let found = self.account.table.query::<MembershipRecord>(query).await?.items;
        let keys: Vec<Key> =
            found.iter().flat_map(|m| [meta_key(m.workspace), member_key(m.workspace, user)]).collect();
        let seen = self.account.see(&keys).await?;
        let mut memberships = Vec::with_capacity(found.len());
        for MembershipRecord { workspace, .. } in found {
            let meta = seen.get::<WorkspaceRecord>(&meta_key(workspace))?;
            let member = seen.get::<MemberRecord>(&member_key(workspace, user))?;
            if let (Some(meta), Some(member)) = (meta.filter(|m| m.deleted_at.is_none()), member) {
                memberships.push((workspace, meta, member));
            }
        }
        Ok(memberships)
    }

    async fn write_account(
        &self,
        mut part: Part,
        user: UserId,
        memberships: &[(WorkspaceId, WorkspaceRecord, MemberRecord)],
        own: &[WorkspaceId],
    ) -> Result<(), Error> {
        let table = &self.account.table;
        let profile: Profile = table.get(&profile_key(user)).await?.ok_or(Error::NoSuchExport)?;
        let profile = json!({
            "id": user, "name": profile.name, "email": profile.email, "workspace": profile.workspace,
            "created_at": profile.created_at,
        });
        part.json("account/profile.json", &profile).await?;
        let index = |what: &str| Query::index("gsi1", format!("USER#{user}#{what}"));
        // Beside the identities lie the hashes of addresses that lead to them.
        let known = |row: &IdentityRow| row.issuer.is_some();
        rows(&mut part, table, "account/identities.json", index("IDENTITIES"), known).await?;
        let all = |_: &SessionRow| true;
        rows(&mut part, table, "account/sessions.json", index("SESSIONS"), all).await?;
        part.begin_rows("account/keys.json").await?;
        for (workspace, ..) in memberships {
            let mut start = None;
            loop {
                let query = Query::index("gsi1", format!("WSP#{workspace}#KEYS")).limit(100).start(start);
                let page = table.query::<KeyRecord>(query).await?;
                for record in page.items.iter().filter(|record| record.user == user) {
                    part.row(&KeyRow { workspace: *workspace, key: &record.key }).await?;
                }
                start = page.next;
                if start.is_none() {
                    break;
                }
            }
        }
        part.end_rows().await?;
        part.begin_rows("account/workspaces.json").await?;
        for (id, meta, member) in memberships {
            let row = WorkspaceRow {
                id: *id,
                name: meta.name.clone(),
                personal: meta.personal,
                role: member.role,
                joined_at: member.joined_at,
                exported: own.contains(id),
            };
            part.row(&row).await?;
        }
        part.end_rows().await?;
        let events = Query::partition(profile_key(user).pk).prefix("EVENT#");
        rows(&mut part, table, "account/events.json", events, |_: &EventRow| true).await?;
        Ok(part.finish().await?)
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

/// The files that say what is in the zip: what there is of each area, and every file.
fn about(record: &ExportRecord, entries: &[Entry]) -> Result<Vec<(&'static str, Vec<u8>)>, aws::Error> {
    #[derive(Default, Serialize)]
    struct Sum {
        files: u64,
        octets: u64,
        records: u64,
    }
    let mut areas: BTreeMap<&str, Sum> =
        Area::ALL.into_iter().map(|area| (area.name(), Sum::default())).collect();
    let mut files = Vec::with_capacity(entries.len());
    for entry in entries {
        let sum = areas.entry(entry.name.split('/').next().unwrap_or_default()).or_default();
        sum.files += 1;
        sum.octets += entry.unpacked;
        sum.records += entry.records.unwrap_or(0);
        let mut file =
            json!({ "name": entry.name, "octets": entry.unpacked, "crc32": format!("{:08x}", entry.crc) });
        if let Some(records) = entry.records {
            file["records"] = records.into();
        }
        files.push(file);
    }
    let manifest = json!({
        "export": record.id, "user": record.user, "requested_at": record.requested_at,
        "workspaces": record.workspaces, "areas": areas, "files": files,
    });
    let manifest = serde_json::to_vec_pretty(&manifest).map_err(|e| aws::Error::Shape(e.to_string()))?;
    let mut readme = String::from(
        "Your data at Piecework.\n\nmanifest.json lists every file, with its size, its CRC-32 and, of lists, how many records it has.\n\
         Of workspaces that others belong to, only your membership is here: what is in them is not yours alone.\n",
    );
    for area in Area::ALL {
        let data = area.personal_data();
        readme.push_str(&format!(
            "\n{}/\n  What: {}\n  Here: {}\n  If you are erased: {}\n  Kept: {}\n",
            area.name(),
            data.what,
            data.exported,
            data.erased,
            data.kept
        ));
    }
    Ok(vec![("manifest.json", manifest), ("README.txt", readme.into_bytes())])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(workspaces: Option<Vec<WorkspaceId>>) -> ExportRecord {
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

    #[test]
    fn the_manifest_sums_up_by_area() {
        let (mut zip, mut out) = (archive::Zip::new(now()), Vec::new());
        for (name, records) in [("account/keys.json", Some(2)), ("verification/w/t/results.csv", None)] {
            zip.begin(name, &mut out).unwrap();
            zip.write(b"1234", &mut out).unwrap();
            records.into_iter().for_each(|records| zip.records(records));
        }
        zip.begin("end", &mut out).unwrap();
        let files = about(&record(None), zip.entries()).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&files[0].1).unwrap();
        assert_eq!(manifest["areas"]["account"], json!({ "files": 1, "octets": 4, "records": 2 }));
        assert_eq!(manifest["areas"]["billing"], json!({ "files": 0, "octets": 0, "records": 0 }));
        assert_eq!(manifest["files"][1]["name"], "verification/w/t/results.csv");
        assert!(String::from_utf8(files[1].1.clone()).unwrap().contains("verification/\n  What: Lists"));
    }
}
