//! The end of a user (P19): `docs/decisions/erasure.md` says how the areas take part.
//!
//! `ERASURE#<erasure>`/`ERASURE`: a user's end, its receipt, and the workspaces that end with them. `ERASED#<workspace>`/`ERASED`: a
//! workspace's end and which area is done with it.

use std::collections::BTreeMap;

use archive::Exports;
use aws::{Clients, CommitError, Cond, Deps, Found, Key, Query, Transaction, Update};
use jiff::Timestamp;
use piecework_core::{
    CursorKey, DomainEvent, Problem, Settings, UserId, WorkspaceId, idempotency::Reply, now,
    settings::SettingError, typed_id,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Account, Area, Error, Principal, Role, invitation,
    key::KeyRecord,
    store::{key_key, profile_key},
    workspace::{
        MemberRecord, MembershipRecord, WorkspaceRecord, member_key, membership_key, meta_key, partition,
    },
};

typed_id!(ErasureId, "ers", "The erasure of a user's data. Who has the id may see the receipt.");

/// Ends users and workspaces.
#[derive(Clone)]
pub struct Erasures {
    account: Account,
    key: CursorKey,
}

impl Deps for Erasures {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        Ok(Self { account: Account::new(settings, clients)?, key: CursorKey::of(settings)? })
    }
}

impl Area {
    /// When it was done, in the record of a workspace's end.
    fn done_at(self) -> &'static str {
        match self {
            Self::Account => "account_at",
            Self::Verification => "verification_at",
            Self::Billing => "billing_at",
        }
    }
}

/// Erases users.
#[derive(Clone)]
pub struct UserEraser {
    account: Account,
    exports: Exports,
}

impl Deps for UserEraser {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        Ok(Self { account: Account::new(settings, clients)?, exports: Exports::new(settings, clients)? })
    }
}

/// How far an erasure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErasureState {
    /// Some area is not done.
    Erasing,
    /// All are.
    Completed,
}

/// What is kept, and why. The same for everybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Kept {
    /// What.
    pub what: String,
    /// Why, and how long.
    pub why: String,
}

/// A receipt. It has no personal data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Erasure {
    /// Its id.
    pub id: ErasureId,
    /// How far it is.
    pub state: ErasureState,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    pub requested_at: Timestamp,
    /// When the last area was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub completed_at: Option<Timestamp>,
    /// Workspaces that ended with the user, and for how many of them each area is done.
    pub workspaces: u64,
    /// By area.
    pub done: BTreeMap<String, u64>,
    /// What is kept.
    pub kept: Vec<Kept>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ErasureRecord {
    pk: String,
    sk: String,
    id: ErasureId,
    /// A tag of the user's id: tells after a restore who must be erased again, and to nobody else who it was.
    subject: String,
    requested_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    erased_at: Option<Timestamp>,
    /// When the wallet and its payments had another name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wallet_at: Option<Timestamp>,
    /// `ended_<workspace>`.
    #[serde(flatten)]
    rest: BTreeMap<String, serde_json::Value>,
}

/// A workspace's end.
#[derive(Debug, Default, Deserialize)]
struct ErasedRecord {
    account_at: Option<Timestamp>,
    verification_at: Option<Timestamp>,
    billing_at: Option<Timestamp>,
}

impl ErasedRecord {
    fn of(&self, area: Area) -> Option<Timestamp> {
        match area {
            Area::Account => self.account_at,
            Area::Verification => self.verification_at,
            Area::Billing => self.billing_at,
        }
    }
}

/// An event that a user or a workspace ends.
#[derive(Debug, Clone, Deserialize)]
pub struct EndMessage {
    #[serde(flatten)]
    event: DomainEvent,
}

fn erasure_key(id: ErasureId) -> Key {
    Key::new(format!("ERASURE#{id}"), "ERASURE")
}

/// The record of a workspace's end.
pub(crate) fn erased_key(workspace: WorkspaceId) -> Key {
    Key::new(format!("ERASED#{workspace}"), "ERASED")
}

impl Erasures {
    /// Begins the end of the caller: none of their keys, tokens and sessions works any more when this is answered. Begun again, it is the same.
    pub async fn begin(&self, by: &Principal) -> Result<Reply, Problem> {
        let id = self.begin_once(by).await?;
        let receipt = self.receipt(id).await?;
        let body = serde_json::to_string(&receipt).map_err(Problem::internal)?;
        Ok(Reply { status: 202, location: Some(format!("/v1/erasures/{id}")), body })
    }

    async fn begin_once(&self, by: &Principal) -> Result<ErasureId, Error> {
        #[derive(Deserialize)]
        struct Erasing {
            erasure: Option<ErasureId>,
        }
        let (table, user) = (&self.account.table, by.user);
        let workspaces = self.account.workspaces_of(user).await?;
        let keys: Vec<Key> = workspaces.iter().flat_map(|&w| [meta_key(w), member_key(w, user)]).collect();
        let seen = self.account.see(&keys).await?;
        for &workspace in &workspaces {
            let meta: Option<WorkspaceRecord> = seen.get(&meta_key(workspace))?;
            let member: Option<MemberRecord> = seen.get(&member_key(workspace, user))?;
            let alone = member.is_some_and(|member| member.role == Role::Owner)
                && meta.is_some_and(|m| m.deleted_at.is_none() && m.owners <= 1 && m.members > 1);
            if alone {
                return Err(Error::OthersRemain);
            }
        }
        let id = ErasureId::new();
        let Key { pk, sk } = erasure_key(id);
        let record = ErasureRecord {
            pk,
            sk,
            id,
            subject: self.key.tag("erased user", &user.to_string()),
            requested_at: now(),
            erased_at: None,
            wallet_at: None,
            rest: BTreeMap::new(),
        };
        let mut transaction = Transaction::new();
        let profile = profile_key(user);
        let update = Update::at(profile.clone()).set("erasure", id.to_string()).when(Cond::Present("pk"));
        transaction.update("user", table, update.when(Cond::Absent("erasure")));
        transaction.create("erasure", table, &record);
        let data = serde_json::json!({ "erasure": id });
        let event = DomainEvent::new("account.user.erasing", by.workspace, user, data);
        transaction.create("event", table, &aws::event_item(&profile.pk, &event));
        let id = match transaction.commit().await {
            Ok(()) => id,
            Err(error) => match error.refused::<Erasing>("user").flatten().and_then(|there| there.erasure) {
                Some(begun) => begun,
                None => return Err(error.into()),
            },
        };
        self.account.end_sign_ins(user).await?;
        for workspace in workspaces {
            let mut keys = self.account.live_keys(workspace).await?;
            keys.retain(|key| key.user == user);
            self.account.revoke(&keys).await?;
        }
        Ok(id)
    }

    /// How far an erasure is.
    pub async fn receipt(&self, id: ErasureId) -> Result<Erasure, Error> {
        let record: ErasureRecord =
            self.account.table.get(&erasure_key(id)).await?.ok_or(Error::NoSuchErasure)?;
        let ended = record.rest.keys().filter_map(|name| name.strip_prefix("ended_"));
        let ended: Vec<WorkspaceId> = ended.filter_map(|id| id.parse().ok()).collect();
        let keys: Vec<Key> = ended.iter().map(|&workspace| erased_key(workspace)).collect();
        let seen = self.account.see(&keys).await?;
        let mut done: BTreeMap<String, u64> = Area::ALL.iter().map(|a| (a.name().to_owned(), 0)).collect();
        let mut last = record.erased_at.zip(record.wallet_at).map(|(a, b)| a.max(b));
        for key in &keys {
            let workspace: ErasedRecord = seen.get(key)?.unwrap_or_default();
            for area in Area::ALL {
                let at = workspace.of(area);
                last = last.zip(at).map(|(a, b)| a.max(b));
                if at.is_some() {
                    *done.entry(area.name().to_owned()).or_default() += 1;
                }
            }
        }
        let kept = [
            (
                "The ledgers of credits and of the wallet, purchases and payments, under a random id that leads to nobody.",
                "Accounts must be kept.",
            ),
            (
                "What payment providers told, as it came.",
                "It proves what was paid, and goes by itself: after 90 days, if the operator says nothing else.",
            ),
            (
                "A hash of each identity by which the user signed in.",
                "A year: the signup grant is given once.",
            ),
            ("Answers kept for repeated requests.", "They go by themselves within 24 hours."),
            ("A keyed hash of the user's id.", "To erase again what a restored backup brings back."),
        ];
        Ok(Erasure {
            id,
            state: if last.is_some() { ErasureState::Completed } else { ErasureState::Erasing },
            requested_at: record.requested_at,
            completed_at: last,
            workspaces: keys.len() as u64,
            done,
            kept: kept.map(|(what, why)| Kept { what: what.to_owned(), why: why.to_owned() }).into(),
        })
    }

    /// Erases what this area has of a workspace that has ended. `false` if the message is not of such an end.
    pub async fn end_workspace(&self, message: &EndMessage) -> Result<bool, Error> {
        let Ok(workspace) = message.event.entity.parse::<WorkspaceId>() else { return Ok(false) };
        let table = &self.account.table;
        self.account.forget_keys(workspace, None).await?;
        let members = Query::partition(partition(workspace)).prefix("MEMBER#");
        let members = table.query::<MemberRecord>(members).await?.items;
        let memberships: Vec<Key> = members.iter().map(|m| membership_key(workspace, m.user)).collect();
        table.delete_many(&memberships).await?;
        table.delete_found(Query::partition(partition(workspace))).await?;
        let event = DomainEvent::new("account.workspace.erased", workspace, workspace, serde_json::json!({}));
        let mut transaction = Transaction::new();
        transaction.create("event", table, &aws::event_item(&erased_key(workspace).pk, &event));
        transaction.commit().await?;
        Ok(true)
    }

    /// Notes that an area is done, told by its event. `false` if the event says no such thing.
    pub async fn note(&self, event: &DomainEvent) -> Result<bool, Error> {
        if event.kind == "billing.user.erased" {
            let Ok(id) = event.entity.parse::<ErasureId>() else { return Ok(false) };
            let noted = Update::at(erasure_key(id)).set("wallet_at", now()).when(Cond::Present("pk"));
            self.account.table.update::<serde_json::Value>(noted).await?;
            return Ok(true);
        }
        let Some(area) = Area::erased(&event.kind) else { return Ok(false) };
        self.record(event.workspace, area).await?;
        Ok(true)
    }

    async fn record(&self, workspace: WorkspaceId, area: Area) -> Result<(), Error> {
        let (table, key) = (&self.account.table, erased_key(workspace));
        let update = Update::at(key.clone()).set(area.done_at(), now()).when(Cond::Present("pk"));
        let Some(record) = table.update::<ErasedRecord>(update).await? else { return Ok(()) };
        let emptied = record.account_at.is_some() && record.verification_at.is_some();
        if !emptied || record.billing_at.is_some() {
            return Ok(());
        }
        // Nobody settles with the ledger any more.
        let mut transaction = Transaction::new();
        let once = Update::at(key.clone()).set("emptied_at", now()).when(Cond::Absent("emptied_at"));
        transaction.update("emptied", table, once);
        let event =
            DomainEvent::new("account.workspace.emptied", workspace, workspace, serde_json::json!({}));
        transaction.create("event", table, &aws::event_item(&key.pk, &event));
        match transaction.commit().await {
            Ok(()) | Err(CommitError::Refused { label: "emptied", .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Account {
    /// Deletes what is kept of a workspace's keys: of all, or of one user's.
    async fn forget_keys(&self, workspace: WorkspaceId, whose: Option<UserId>) -> Result<(), Error> {
        let theirs = |user: UserId| whose.is_none_or(|whose| whose == user);
        for key in self.live_keys(workspace).await?.into_iter().filter(|key| theirs(key.user)) {
            self.table.delete_found(Query::partition(key_key(key.key).pk)).await?;
            self.table.delete_many(&[Key::new(key.pk, key.sk)]).await?;
        }
        let mut start = None;
        loop {
            let query = Query::index("gsi1", format!("WSP#{workspace}#KEYS")).limit(100).start(start);
            let found = self.table.query::<KeyRecord>(query).await?;
            for record in found.items.into_iter().filter(|record| theirs(record.user)) {
                self.table.delete_found(Query::partition(record.pk)).await?;
            }
            start = found.next;
            if start.is_none() {
                return Ok(());
            }
        }
    }

    async fn workspaces_of(&self, user: UserId) -> Result<Vec<WorkspaceId>, Error> {
        let query = Query::partition(format!("USER#{user}")).prefix("WSP#");
        let found: Found<MembershipRecord> = self.table.query(query).await?;
        Ok(found.items.into_iter().map(|m| m.workspace).collect())
    }
}

impl UserEraser {
    /// Ends a user: they leave every workspace, those that are theirs alone end, and all that is kept of them goes. `false` if the
    /// message is not of such an end. A repeat goes on where the last one stopped.
    pub async fn run(&self, message: &EndMessage) -> Result<bool, Error> {
        let event = &message.event;
        let erasure = event.data.get("erasure").and_then(|id| id.as_str()).and_then(|id| id.parse().ok());
        let (Ok(user), Some(erasure)) = (event.entity.parse::<UserId>(), erasure) else { return Ok(false) };
        let table = &self.account.table;
        for workspace in self.account.workspaces_of(user).await? {
            invitation::forget(table, workspace, user).await?;
            self.let_go(user, erasure, workspace).await?;
        }
        // Again: the index may not have had what was written just before the user asked.
        self.account.end_sign_ins(user).await?;
        table.delete_found(Query::partition(format!("USER#{user}"))).await?;
        // What is being exported notices that its record has gone.
        self.exports.forget_all(user).await?;
        let done = Update::at(erasure_key(erasure)).set("erased_at", now());
        let done = done.when(Cond::Present("pk")).when(Cond::Absent("erased_at"));
        table.update::<serde_json::Value>(done).await?;
        Ok(true)
    }

    /// A user leaves a workspace; one that nobody else is in ends.
    async fn let_go(&self, user: UserId, erasure: ErasureId, workspace: WorkspaceId) -> Result<(), Error> {
        let (account, table) = (&self.account, &self.account.table);
        for _ in 0..aws::RACES {
            let Some(meta) = table.get::<WorkspaceRecord>(&meta_key(workspace)).await? else { return Ok(()) };
            if meta.deleted_at.is_some() {
                return Ok(());
            }
            if meta.members <= 1 {
                let mut transaction = Transaction::new();
                let alone = Cond::eq("members", meta.members);
                account.end_in(&mut transaction, workspace, user, Some(alone));
                let ended = Update::at(erasure_key(erasure)).add(format!("ended_{workspace}"), 1);
                transaction.update("erasure", table, ended);
                match transaction.commit().await {
                    Err(CommitError::Refused { label: "workspace", .. }) => continue,
                    outcome => outcome?,
                }
                return account.revoke_all(workspace).await;
            }
            // Their name for it is theirs, and so is when it was last used: no key of theirs stays there, ended or not.
            account.forget_keys(workspace, Some(user)).await?;
            match account.remove_member(user, workspace, user).await {
                Err(Error::LastOwner) => {
                    // The other owners went since the erasure began. Somebody must be one.
                    let members = Query::partition(partition(workspace)).prefix("MEMBER#").limit(2);
                    let members = table.query::<MemberRecord>(members).await?.items;
                    if let Some(heir) = members.into_iter().find(|member| member.user != user) {
                        account.change_role(user, workspace, heir.user, Role::Owner).await?;
                    }
                }
                Ok(()) | Err(Error::NoSuchWorkspace | Error::NoSuchMember) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Err(Error::Races)
    }
}
