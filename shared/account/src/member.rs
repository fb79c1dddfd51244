//! Who belongs to a workspace, and what they lose when they go (P8).

use aws::{Cond, Found, Key, Query, Transaction, Update};
use jiff::Timestamp;
use piecework_core::{PageRequest, UserId, WorkspaceId, now};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Account, CanManageMembers, CanSeeWorkspaces, Error, Permission, Role,
    store::{key_key, profile_key},
    workspace::{
        LiveKey, MemberRecord, WorkspaceRecord, admit, allows, event_in, has, member_key, membership_key,
        meta_key, partition,
    },
};

/// Keys that one transaction revokes: two actions each, and others need room in it.
const KEYS_AT_ONCE: usize = 40;

/// Somebody who belongs to a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Member {
    /// The person.
    pub user: UserId,
    /// What people call them.
    pub name: String,
    /// Their role.
    pub role: Role,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub joined_at: Timestamp,
}

/// A role to be given.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRole {
    /// The role.
    pub role: Role,
}

/// Whom the ownership goes to.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    /// A member of the workspace.
    pub to: UserId,
}

/// What a change of members stands on.
struct Table {
    meta: WorkspaceRecord,
    actor: MemberRecord,
    target: Option<MemberRecord>,
}

impl Account {
    /// The members, in the order of their ids.
    pub async fn members(
        &self,
        by: UserId,
        id: WorkspaceId,
        page: &PageRequest,
    ) -> Result<Found<Member>, Error> {
        #[derive(Deserialize)]
        struct Name {
            name: String,
        }
        self.standing::<CanSeeWorkspaces>(by, id).await?;
        let query = Query::partition(partition(id)).prefix("MEMBER#");
        let found: Found<MemberRecord> =
            self.table.query(query.limit(page.limit).start(page.start.clone())).await?;
        let keys: Vec<Key> = found.items.iter().map(|m| profile_key(m.user)).collect();
        let seen = self.see(&keys).await?;
        let items = found.items.into_iter().map(|m| {
            let name = seen.get::<Name>(&profile_key(m.user))?.map(|n| n.name).unwrap_or_default();
            Ok(Member { user: m.user, name, role: m.role, joined_at: m.joined_at })
        });
        Ok(Found { items: items.collect::<Result<_, aws::Error>>()?, next: found.next })
    }

    /// Gives a member a role. Giving them the one they have changes nothing.
    pub async fn change_role(
        &self,
        by: UserId,
        id: WorkspaceId,
        user: UserId,
        role: Role,
    ) -> Result<(), Error> {
        for _ in 0..aws::RACES {
            let Table { meta, actor, target } = self.table_of::<CanManageMembers>(by, id, user).await?;
            let target = target.ok_or(Error::NoSuchMember)?;
            if target.role == role {
                return Ok(());
            }
            let mut transaction = Transaction::new();
            if actor.user != user {
                transaction.check(
                    "actor",
                    &self.table,
                    &Key::new(&actor.pk, &actor.sk),
                    has::<CanManageMembers>(),
                );
            }
            let mut update = undisturbed(id, &meta);
            if role == Role::Owner {
                update = update.add("owners", 1);
            } else {
                update = fewer_owners(&meta, update)?;
                self.revoke_in(&mut transaction, id, user, |key| !allows(role, &key.scopes)).await?;
            }
            transaction.update("workspace", &self.table, update);
            self.move_in(&mut transaction, &target, role);
            let data = serde_json::json!({ "user": user, "role": role });
            event_in(&mut transaction, &self.table, "member.role-changed", id, by, data);
            if done(transaction.commit().await)? {
                return Ok(());
            }
        }
        Err(Error::Races)
    }

    /// Hands the ownership over: the caller, an owner, becomes a member, and the other an owner.
    pub async fn transfer_ownership(&self, by: UserId, id: WorkspaceId, to: UserId) -> Result<(), Error> {
        for _ in 0..aws::RACES {
            let Table { meta, actor, target } = self.table_of::<CanManageMembers>(by, id, to).await?;
            if to == by {
                return Err(Error::Unusable { pointer: "/to", detail: "must be another member" });
            }
            let target = target.ok_or(Error::NoSuchMember)?;
            let mut transaction = Transaction::new();
            self.move_in(&mut transaction, &actor, Role::Member);
            if target.role == Role::Owner {
                let update = fewer_owners(&meta, undisturbed(id, &meta))?;
                transaction.update("workspace", &self.table, update);
                transaction.check(
                    "member",
                    &self.table,
                    &Key::new(&target.pk, &target.sk),
                    has::<CanManageMembers>(),
                );
            } else {
                transaction.check("workspace", &self.table, &meta_key(id), still(&meta));
                self.move_in(&mut transaction, &target, Role::Owner);
            }
            self.revoke_in(&mut transaction, id, by, |key| !allows(Role::Member, &key.scopes)).await?;
            let data = serde_json::json!({ "from": by, "to": to });
            event_in(&mut transaction, &self.table, "ownership.transferred", id, by, data);
            if done(transaction.commit().await)? {
                return Ok(());
            }
        }
        Err(Error::Races)
    }

    /// Removes a member, with all their keys for the workspace; a member's removing themselves is leaving, which needs no owner.
    pub async fn remove_member(&self, by: UserId, id: WorkspaceId, user: UserId) -> Result<(), Error> {
        for _ in 0..aws::RACES {
            let Table { meta, actor, target } = match by == user {
                true => self.table_of::<CanSeeWorkspaces>(by, id, user).await?,
                false => self.table_of::<CanManageMembers>(by, id, user).await?,
            };
            let target = target.ok_or(Error::NoSuchMember)?;
            if meta.personal {
                return Err(Error::Personal);
            }
            let mut transaction = Transaction::new();
            if actor.user != user {
                transaction.check(
                    "actor",
                    &self.table,
                    &Key::new(&actor.pk, &actor.sk),
                    has::<CanManageMembers>(),
                );
            }
            let mut update = undisturbed(id, &meta).add("members", -1);
            if target.role == Role::Owner {
                update = fewer_owners(&meta, update)?;
            }
            self.revoke_in(&mut transaction, id, user, |_| true).await?;
            transaction.update("workspace", &self.table, update);
            let still = Cond::eq("role", target.role.name());
            transaction.delete_if("member", &self.table, &Key::new(&target.pk, &target.sk), still);
            transaction.delete("membership", &self.table, &membership_key(id, user));
            let what = if by == user { "member.left" } else { "member.removed" };
            let data = serde_json::json!({ "user": user });
            event_in(&mut transaction, &self.table, what, id, by, data);
            if done(transaction.commit().await)? {
                return Ok(());
            }
        }
        Err(Error::Races)
    }

    async fn table_of<P: Permission>(
        &self,
        by: UserId,
        id: WorkspaceId,
        user: UserId,
    ) -> Result<Table, Error> {
        let (meta, actor, target) = (meta_key(id), member_key(id, by), member_key(id, user));
        let mut keys = vec![meta.clone(), actor.clone()];
        keys.extend((actor != target).then(|| target.clone()));
        let seen = self.see(&keys).await?;
        let (meta, actor) = admit::<P>(seen.get(&meta)?, seen.get(&actor)?)?;
        Ok(Table { meta, actor, target: seen.get(&target)? })
    }

    /// Gives a member another role, if they still have the one that was seen.
    fn move_in(&self, transaction: &mut Transaction, member: &MemberRecord, role: Role) {
        let update = Update::at(Key::new(&member.pk, &member.sk)).set("role", role.name());
        transaction.update("member", &self.table, update.when(Cond::eq("role", member.role.name())));
    }

    /// Adds the end of those of a user's keys that `which` names. Of very many, most end in transactions of their own before.
    async fn revoke_in(
        &self,
        transaction: &mut Transaction,
        id: WorkspaceId,
        user: UserId,
        which: impl Fn(&LiveKey) -> bool,
    ) -> Result<(), Error> {
        let mut keys = self.live_keys(id).await?;
        keys.retain(|key| key.user == user && which(key));
        let last = keys.len().saturating_sub(1) / KEYS_AT_ONCE * KEYS_AT_ONCE;
        let rest = keys.split_off(last);
        self.revoke(&keys).await?;
        for key in &rest {
            self.end_key_in(transaction, key);
        }
        Ok(())
    }

    /// Ends every key of a workspace.
    pub(crate) async fn revoke_all(&self, id: WorkspaceId) -> Result<(), Error> {
        self.revoke(&self.live_keys(id).await?).await
    }

    pub(crate) async fn revoke(&self, keys: &[LiveKey]) -> Result<(), Error> {
        for some in keys.chunks(KEYS_AT_ONCE) {
            let mut transaction = Transaction::new();
            for key in some {
                self.end_key_in(&mut transaction, key);
            }
            transaction.commit().await?;
        }
        Ok(())
    }

    pub(crate) async fn live_keys(&self, id: WorkspaceId) -> Result<Vec<LiveKey>, Error> {
        Ok(self.table.query(Query::partition(partition(id)).prefix("KEY#")).await?.items)
    }

    fn end_key_in(&self, transaction: &mut Transaction, key: &LiveKey) {
        let update = Update::at(key_key(key.key)).set("revoked_at", now()).when(Cond::Present("pk"));
        transaction.update("key", &self.table, update);
        transaction.delete("live key", &self.table, &Key::new(&key.pk, &key.sk));
    }
}

/// That the workspace is there and that no key was made for it since it was seen.
fn still(meta: &WorkspaceRecord) -> Cond {
    Cond::All(vec![Cond::eq("keys", meta.keys), Cond::Absent("deleted_at")])
}

/// A change of the workspace under that condition.
fn undisturbed(id: WorkspaceId, meta: &WorkspaceRecord) -> Update {
    Update::at(meta_key(id)).when(still(meta))
}

/// One owner fewer, of whom one is left.
fn fewer_owners(meta: &WorkspaceRecord, update: Update) -> Result<Update, Error> {
    if meta.owners <= 1 {
        return Err(Error::LastOwner);
    }
    Ok(update.add("owners", -1).when(Cond::is("owners", ">", 1)))
}

/// Whether a change happened; `false` if what it stood on has moved, and is to be read again.
fn done(outcome: Result<(), aws::CommitError>) -> Result<bool, Error> {
    match outcome {
        Ok(()) => Ok(true),
        Err(aws::CommitError::Refused { label: "actor" | "workspace" | "member" | "key", .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
