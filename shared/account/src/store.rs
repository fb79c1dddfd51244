//! Accounts in DynamoDB: `USER#<user>`/`PROFILE`, `KEY#<key>`/`KEY` (listed through `gsi1`: `WSP#<workspace>#KEYS` by id), and
//! what `workspace.rs` says of workspaces and `identity.rs` of identities.

use std::collections::BTreeSet;

use aws::{Clients, CommitError, Cond, Deps, Found, Key, Query, Table, Transaction, Update};
use billing::{Billing, Book, Grant, GrantSource, SIGNUP_GRANT};
use jiff::{SignedDuration, Timestamp};
use piecework_core::{
    DomainEvent, KeyId, PageRequest, Settings, UserId, WorkspaceId, now, settings::SettingError,
};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use crate::{
    ApiKey, ApiKeyToken, CreatedKey, Error, NewKey, Role, RollKey, Scope,
    key::KeyRecord,
    workspace::{LiveKey, allows, create_in, live_key, member_key, meta_key},
};

/// How stale `last_used_at` may be before it costs a write (P5).
const LAST_USED_GRAIN: SignedDuration = SignedDuration::from_hours(1);

/// Accounts.
#[derive(Clone)]
pub struct Account {
    pub(crate) table: Table,
}

/// Who calls: the user and workspace behind the credentials, and what they may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The person.
    pub user: UserId,
    /// The tenant whose data and credits the call touches.
    pub workspace: WorkspaceId,
    /// The key used; none with a bearer token.
    pub key: Option<KeyId>,
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
}

impl Principal {
    /// Does it have this scope?
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

/// A user to be made.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The user's id: the caller's choice, so that a repeat is told.
    pub user: UserId,
    /// What people call them.
    pub name: String,
    /// Their address, if it is verified.
    pub email: Option<String>,
}

/// A user's own workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provisioned {
    /// The user.
    pub user: UserId,
    /// Their personal workspace.
    pub workspace: WorkspaceId,
    /// False if they were there already.
    pub new: bool,
}

impl Deps for Account {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        Ok(Self { table: Table::new(clients, settings.required("ACCOUNT_TABLE")?) })
    }
}

pub(crate) fn key_key(id: KeyId) -> Key {
    Key::new(format!("KEY#{id}"), "KEY")
}

pub(crate) fn profile_key(user: UserId) -> Key {
    Key::new(format!("USER#{user}"), "PROFILE")
}

/// A user as kept.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Profile {
    pub pk: String,
    pub sk: String,
    pub name: String,
    /// Verified by whoever vouches for the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    pub workspace: WorkspaceId,
    pub created_at: Timestamp,
}

impl Account {
    /// Adds a user, their personal workspace, the event of it and, given the ledger, their signup grant. The action `user` is
    /// refused if the user is there already.
    pub(crate) fn provision_in(
        &self,
        transaction: &mut Transaction,
        billing: Option<&Billing>,
        new: &NewUser,
        workspace: WorkspaceId,
    ) {
        let Key { pk, sk } = profile_key(new.user);
        let profile = Profile {
            pk: pk.clone(),
            sk,
            name: new.name.clone(),
            email: new.email.clone(),
            workspace,
            created_at: now(),
        };
        transaction.create("user", &self.table, &profile);
        create_in(transaction, &self.table, workspace, new.user, new.name.clone(), true);
        let event = DomainEvent::new(
            "account.user.created",
            workspace,
            new.user,
            serde_json::json!({ "workspace": workspace }),
        );
        transaction.create("event", &self.table, &aws::event_item(&pk, &event.by(new.user)));
        if let Some(billing) = billing {
            let grant = Grant::new(GrantSource::Signup, new.user, SIGNUP_GRANT);
            billing.grant_in(transaction, &Book::credits(workspace), &grant);
        }
    }

    /// Makes a user, their personal workspace and their signup grant in one transaction. Once per user, however often asked.
    pub async fn provision(&self, billing: &Billing, new: &NewUser) -> Result<Provisioned, Error> {
        let workspace = WorkspaceId::new();
        let mut transaction = Transaction::new();
        self.provision_in(&mut transaction, Some(billing), new, workspace);
        match transaction.commit().await {
            Ok(()) => Ok(Provisioned { user: new.user, workspace, new: true }),
            Err(error) => match error.refused::<Profile>("user") {
                Some(Some(there)) => {
                    Ok(Provisioned { user: new.user, workspace: there.workspace, new: false })
                }
                _ => Err(aws::Error::from(error).into()),
            },
        }
    }

    /// The principal behind a presented key: one read, and at most once an hour one write.
    pub async fn authenticate(&self, presented: &str) -> Result<Principal, Error> {
        let token = ApiKeyToken::parse(presented).ok_or(Error::BadKey)?;
        let record: KeyRecord = self.table.get(&key_key(token.id)).await?.ok_or(Error::BadKey)?;
        let at = now();
        let live = record.key.revoked_at.is_none() && record.key.expires_at.is_none_or(|end| end > at);
        if !(token.matches(&record.hash) && live) {
            return Err(Error::BadKey);
        }
        if record.key.last_used_at.is_none_or(|last| last + LAST_USED_GRAIN < at) {
            // Of several calls at once, one writes.
            let stale = match record.key.last_used_at {
                Some(last) => Cond::eq("last_used_at", last),
                None => Cond::Absent("last_used_at"),
            };
            let update = Update::at(key_key(token.id)).set("last_used_at", at).when(stale);
            self.table.update::<serde_json::Value>(update).await?;
        }
        Ok(Principal {
            user: record.user,
            workspace: record.workspace,
            key: Some(token.id),
            scopes: record.key.scopes.into_iter().collect(),
        })
    }

    /// Adds a key for a user's workspace. The token in what comes back is the only copy.
    fn key_in(
        &self,
        transaction: &mut Transaction,
        user: UserId,
        workspace: WorkspaceId,
        new: NewKey,
        of: Option<KeyId>,
    ) -> CreatedKey {
        let (token, text) = ApiKeyToken::generate();
        let mut scopes = new.scopes;
        scopes.sort_unstable();
        scopes.dedup();
        let Key { pk, sk } = key_key(token.id);
        let record = KeyRecord {
            pk: pk.clone(),
            sk,
            gsi1pk: format!("WSP#{workspace}#KEYS"),
            gsi1sk: token.id.to_string(),
            workspace,
            user,
            hash: token.hash(),
            key: ApiKey {
                id: token.id,
                name: new.name,
                scopes,
                created_at: now(),
                expires_at: new.expires_at,
                last_used_at: None,
                revoked_at: None,
                rolled_to: None,
            },
        };
        let event = DomainEvent::new(
            "account.key.created",
            workspace,
            token.id,
            serde_json::json!({ "scopes": record.key.scopes, "rolled_from": of }),
        );
        let role = match allows(Role::Member, &record.key.scopes) {
            true => Cond::Present("pk"),
            false => Cond::eq("role", Role::Owner.name()),
        };
        transaction.check("member", &self.table, &member_key(workspace, user), role);
        // Whoever takes keys away in the meantime sees by the count that there is one more.
        let update = Update::at(meta_key(workspace)).add("keys", 1).when(Cond::Present("pk"));
        transaction.update("workspace", &self.table, update.when(Cond::Absent("deleted_at")));
        transaction.create("key", &self.table, &record);
        let Key { pk: live_pk, sk } = live_key(workspace, token.id);
        let live = LiveKey { pk: live_pk, sk, key: token.id, user, scopes: record.key.scopes.clone() };
        transaction.create("live key", &self.table, &live);
        transaction.create("event", &self.table, &aws::event_item(&pk, &event.by(user)));
        CreatedKey { key: record.key, token: text.expose_secret().to_owned() }
    }

    /// Makes a key for a user's workspace. The token in the answer is the only copy.
    pub async fn create_key(
        &self,
        user: UserId,
        workspace: WorkspaceId,
        new: NewKey,
    ) -> Result<CreatedKey, Error> {
        let mut transaction = Transaction::new();
        let created = self.key_in(&mut transaction, user, workspace, new, None);
        transaction.commit().await.map_err(no_key)?;
        Ok(created)
    }

    /// Replaces a key of this workspace by a new one with the same name and scopes. The old one works on for the grace period, so
    /// that whoever uses it has time to change, and then no more.
    ///
    /// A key is rolled once. Who rolls it learns the new secret, so they must have every scope that the key has.
    pub async fn roll_key(&self, caller: &Principal, id: KeyId, roll: &RollKey) -> Result<CreatedKey, Error> {
        let at = now();
        roll.check(at)?;
        let old: KeyRecord = self.table.get(&key_key(id)).await?.ok_or(Error::NoSuchKey)?;
        // Another workspace's key is no key at all, to this caller.
        if old.workspace != caller.workspace {
            return Err(Error::NoSuchKey);
        }
        if !old.key.scopes.iter().all(|&scope| caller.may(scope)) {
            return Err(Error::ScopeNotHeld);
        }
        let live = old.key.revoked_at.is_none() && old.key.expires_at.is_none_or(|end| end > at);
        if !live || old.key.rolled_to.is_some() {
            return Err(Error::KeyIsOver);
        }
        let graceful = at + SignedDuration::from_secs(roll.grace_seconds.into());
        let end = old.key.expires_at.map_or(graceful, |end| end.min(graceful));
        let new = NewKey { name: old.key.name, scopes: old.key.scopes, expires_at: roll.expires_at };
        let mut transaction = Transaction::new();
        let created = self.key_in(&mut transaction, caller.user, caller.workspace, new, Some(id));
        let update = Update::at(key_key(id))
            .set("expires_at", end)
            .set("rolled_to", created.key.id.to_string())
            .when(Cond::Absent("revoked_at"))
            .when(Cond::Absent("rolled_to"));
        transaction.update("old", &self.table, update);
        let event = DomainEvent::new(
            "account.key.rolled",
            caller.workspace,
            id,
            serde_json::json!({ "rolled_to": created.key.id, "until": end }),
        );
        transaction.create("event", &self.table, &aws::event_item(&old.pk, &event.by(caller.user)));
        match transaction.commit().await {
            Ok(()) => Ok(created),
            Err(CommitError::Refused { label: "old", .. }) => Err(Error::KeyIsOver),
            Err(error) => Err(no_key(error)),
        }
    }

    /// Makes a key on behalf of a caller, who cannot give more than they have.
    pub async fn create_key_for(&self, caller: &Principal, new: NewKey) -> Result<CreatedKey, Error> {
        new.check(now())?;
        if !new.scopes.iter().all(|&scope| caller.may(scope)) {
            return Err(Error::ScopeNotHeld);
        }
        self.create_key(caller.user, caller.workspace, new).await
    }

    /// The workspace's keys, oldest first, revoked ones too.
    pub async fn keys(&self, workspace: WorkspaceId, page: &PageRequest) -> Result<Found<ApiKey>, Error> {
        let query =
            Query::index("gsi1", format!("WSP#{workspace}#KEYS")).limit(page.limit).start(page.start.clone());
        Ok(self.table.query(query).await?)
    }

    /// Revokes a key of this workspace, at once and for good. Revoking it again changes nothing.
    pub async fn revoke_key(&self, caller: &Principal, id: KeyId) -> Result<(), Error> {
        let Key { pk, sk } = key_key(id);
        let update = Update::at(Key { pk: pk.clone(), sk })
            .set("revoked_at", now())
            .when(Cond::eq("workspace", caller.workspace.to_string()))
            .when(Cond::Absent("revoked_at"));
        let event = DomainEvent::new("account.key.revoked", caller.workspace, id, serde_json::json!({}));
        let mut transaction = Transaction::new();
        transaction.update("key", &self.table, update);
        transaction.delete("live key", &self.table, &live_key(caller.workspace, id));
        transaction.create("event", &self.table, &aws::event_item(&pk, &event.by(caller.user)));
        match transaction.commit().await {
            Ok(()) => Ok(()),
            Err(CommitError::Refused { label: "key", existing }) => {
                let theirs =
                    existing.and_then(|item| item.get("workspace").and_then(|w| w.as_s().ok().cloned()));
                // Another workspace's key is no key at all, to this caller.
                if theirs == Some(caller.workspace.to_string()) { Ok(()) } else { Err(Error::NoSuchKey) }
            }
            Err(error) => Err(aws::Error::from(error).into()),
        }
    }
}

/// Why a key was not made: its user is no member, or not one with such a role, or the workspace has gone.
fn no_key(error: CommitError) -> Error {
    match error {
        CommitError::Refused { label: "member", .. } => Error::ScopeNotHeld,
        CommitError::Refused { label: "workspace", .. } => Error::NoSuchWorkspace,
        error => error.into(),
    }
}
