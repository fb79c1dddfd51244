//! Workspaces and who belongs to them (P8).
//!
//! `WSP#<workspace>`: `META`, `MEMBER#<user>`, `KEY#<key>` (keys that work), `INVITE#<invitation>`, `INVITED#<hashed address>`,
//! `EVENT#<event>`; and `USER#<user>`/`WSP#<workspace>`, by which a user finds their workspaces.
//!
//! Each change is one transaction with its event. What it stands on (the actor's role, the target's, the number of owners, the keys
//! there are) is read first and is a condition of the transaction; who comes too late reads again.

use aws::{Cond, Found, Key, Query, Transaction, Update, idempotency};
use jiff::Timestamp;
use piecework_core::{
    DomainEvent, KeyId, PageRequest, Problem, UserId, WorkspaceId,
    idempotency::{Reply, Request},
    now,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::ToSchema;

use crate::{
    Account, CanDeleteWorkspace, CanRenameWorkspace, CanSeeWorkspaces, Error, Permission, Role, Scope,
    erasure::erased_key, error::checked_name,
};

/// A workspace to be made.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWorkspace {
    /// What people call it; 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100, example = "Marketing")]
    pub name: String,
}

/// A workspace, as one of its members sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// What people call it.
    pub name: String,
    /// Whether it is its user's own, and nobody else's.
    pub personal: bool,
    /// The caller's role in it.
    pub role: Role,
    /// How many belong to it.
    pub members: u64,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// What a user is in a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership {
    /// Their role.
    pub role: Role,
}

/// A workspace as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct WorkspaceRecord {
    pub pk: String,
    pub sk: String,
    pub name: String,
    pub personal: bool,
    pub created_at: Timestamp,
    pub members: u64,
    pub owners: u64,
    /// Keys ever made for it: by its condition nobody leaves while a key of theirs is being made.
    #[serde(default)]
    pub keys: u64,
    /// Its end: nobody finds it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
}

/// A member as kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MemberRecord {
    pub pk: String,
    pub sk: String,
    pub user: UserId,
    pub role: Role,
    pub joined_at: Timestamp,
}

/// What leads from a user to a workspace.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MembershipRecord {
    pub pk: String,
    pub sk: String,
    pub workspace: WorkspaceId,
}

/// What leads from a workspace to a key that works.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LiveKey {
    pub pk: String,
    pub sk: String,
    pub key: KeyId,
    pub user: UserId,
    pub scopes: Vec<Scope>,
}

pub(crate) fn partition(workspace: WorkspaceId) -> String {
    format!("WSP#{workspace}")
}

pub(crate) fn meta_key(workspace: WorkspaceId) -> Key {
    Key::new(partition(workspace), "META")
}

pub(crate) fn member_key(workspace: WorkspaceId, user: UserId) -> Key {
    Key::new(partition(workspace), format!("MEMBER#{user}"))
}

pub(crate) fn membership_key(workspace: WorkspaceId, user: UserId) -> Key {
    Key::new(format!("USER#{user}"), partition(workspace))
}

pub(crate) fn live_key(workspace: WorkspaceId, key: KeyId) -> Key {
    Key::new(partition(workspace), format!("KEY#{key}"))
}

/// Of several items read at once, the ones that were there.
pub(crate) struct Seen(Vec<serde_json::Value>);

impl Seen {
    pub(crate) fn get<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, aws::Error> {
        let at = |item: &&serde_json::Value| item["pk"] == key.pk.as_str() && item["sk"] == key.sk.as_str();
        let found = self.0.iter().find(at).cloned();
        found.map(serde_json::from_value).transpose().map_err(|e| aws::Error::Shape(e.to_string()))
    }
}

/// A workspace's event, kept in its partition.
pub(crate) fn event_in(
    transaction: &mut Transaction,
    table: &aws::Table,
    what: &str,
    workspace: WorkspaceId,
    by: UserId,
    data: serde_json::Value,
) {
    let event = DomainEvent::new(&format!("account.{what}"), workspace, workspace, data).by(by);
    transaction.create("event", table, &aws::event_item(&partition(workspace), &event));
}

/// Adds a workspace with its first member, who owns it.
pub(crate) fn create_in(
    transaction: &mut Transaction,
    table: &aws::Table,
    workspace: WorkspaceId,
    owner: UserId,
    name: String,
    personal: bool,
) {
    let at = now();
    let Key { pk, sk } = meta_key(workspace);
    let meta = WorkspaceRecord {
        pk,
        sk,
        name,
        personal,
        created_at: at,
        members: 1,
        owners: 1,
        keys: 0,
        deleted_at: None,
    };
    transaction.create("workspace", table, &meta);
    member_in(transaction, table, workspace, owner, Role::Owner, at);
}

/// Adds a member, and what leads from the user to the workspace. Refused as `member` if they are one.
pub(crate) fn member_in(
    transaction: &mut Transaction,
    table: &aws::Table,
    workspace: WorkspaceId,
    user: UserId,
    role: Role,
    at: Timestamp,
) {
    let Key { pk, sk } = member_key(workspace, user);
    transaction.create("member", table, &MemberRecord { pk, sk, user, role, joined_at: at });
    let Key { pk, sk } = membership_key(workspace, user);
    transaction.create("membership", table, &MembershipRecord { pk, sk, workspace });
}

/// The permission's roles, as a condition on a member.
pub(crate) fn has<P: Permission>() -> Cond {
    Cond::one_of("role", P::ROLES.iter().map(|role| role.name()))
}

fn view(id: WorkspaceId, meta: WorkspaceRecord, role: Role) -> Workspace {
    let WorkspaceRecord { name, personal, members, created_at, .. } = meta;
    Workspace { id, name, personal, role, members, created_at }
}

impl Account {
    pub(crate) async fn see(&self, keys: &[Key]) -> Result<Seen, aws::Error> {
        Ok(Seen(self.table.get_many(keys).await?))
    }

    /// What a user is in a workspace, if it is there and they belong to it: two reads at once.
    pub async fn membership(
        &self,
        user: UserId,
        workspace: WorkspaceId,
    ) -> Result<Option<Membership>, Error> {
        let (meta, member) = (meta_key(workspace), member_key(workspace, user));
        let meta = self.table.get::<WorkspaceRecord>(&meta);
        let (meta, member) = tokio::try_join!(meta, self.table.get::<MemberRecord>(&member))?;
        let there = meta.is_some_and(|meta| meta.deleted_at.is_none());
        Ok(member.filter(|_| there).map(|record| Membership { role: record.role }))
    }

    /// The workspace and the caller's role in it, which must have the permission.
    pub(crate) async fn standing<P: Permission>(
        &self,
        by: UserId,
        id: WorkspaceId,
    ) -> Result<(WorkspaceRecord, Role), Error> {
        let (meta, actor) = (meta_key(id), member_key(id, by));
        let seen = self.see(&[meta.clone(), actor.clone()]).await?;
        admit::<P>(seen.get(&meta)?, seen.get(&actor)?).map(|(meta, actor)| (meta, actor.role))
    }

    /// Makes a workspace, owned by the caller.
    pub async fn create_workspace(
        &self,
        by: UserId,
        new: NewWorkspace,
        request: Option<&Request>,
    ) -> Result<Reply, Problem> {
        idempotency::once(&self.table, request, self.create_workspace_once(by, new, request)).await
    }

    async fn create_workspace_once(
        &self,
        by: UserId,
        new: NewWorkspace,
        request: Option<&Request>,
    ) -> Result<Reply, Error> {
        let (id, name) = (WorkspaceId::new(), checked_name(&new.name)?);
        let made = Workspace { id, name, personal: false, role: Role::Owner, members: 1, created_at: now() };
        let mut transaction = Transaction::new();
        create_in(&mut transaction, &self.table, id, by, made.name.clone(), false);
        event_in(&mut transaction, &self.table, "workspace.created", id, by, serde_json::json!({}));
        let reply = Reply {
            status: 201,
            location: Some(format!("/v1/workspaces/{id}")),
            body: serde_json::to_string(&made).map_err(|e| aws::Error::Shape(e.to_string()))?,
        };
        if let Some(request) = request {
            idempotency::complete_in(&mut transaction, &self.table, request, &reply);
        }
        transaction.commit().await?;
        Ok(reply)
    }

    /// The user's workspaces, oldest first.
    pub async fn workspaces(&self, user: UserId, page: &PageRequest) -> Result<Found<Workspace>, Error> {
        let query = Query::partition(format!("USER#{user}")).prefix("WSP#");
        let found: Found<MembershipRecord> =
            self.table.query(query.limit(page.limit).start(page.start.clone())).await?;
        let keys: Vec<Key> =
            found.items.iter().flat_map(|m| [meta_key(m.workspace), member_key(m.workspace, user)]).collect();
        let seen = self.see(&keys).await?;
        let mut items = Vec::with_capacity(found.items.len());
        for MembershipRecord { workspace, .. } in found.items {
            let meta = seen.get::<WorkspaceRecord>(&meta_key(workspace))?;
            let member = seen.get::<MemberRecord>(&member_key(workspace, user))?;
            if let (Some(meta), Some(member)) = (meta.filter(|m| m.deleted_at.is_none()), member) {
                items.push(view(workspace, meta, member.role));
            }
        }
        Ok(Found { items, next: found.next })
    }

    /// A workspace that the caller belongs to.
    pub async fn workspace(&self, by: UserId, id: WorkspaceId) -> Result<Workspace, Error> {
        let (meta, role) = self.standing::<CanSeeWorkspaces>(by, id).await?;
        Ok(view(id, meta, role))
    }

    /// Renames a workspace.
    pub async fn rename_workspace(
        &self,
        by: UserId,
        id: WorkspaceId,
        new: NewWorkspace,
    ) -> Result<Workspace, Error> {
        let name = checked_name(&new.name)?;
        let (meta, role) = self.standing::<CanRenameWorkspace>(by, id).await?;
        let mut transaction = Transaction::new();
        transaction.check("actor", &self.table, &member_key(id, by), has::<CanRenameWorkspace>());
        let update = Update::at(meta_key(id)).set("name", &name).when(Cond::Present("pk"));
        transaction.update("workspace", &self.table, update.when(Cond::Absent("deleted_at")));
        event_in(&mut transaction, &self.table, "workspace.renamed", id, by, serde_json::json!({}));
        transaction.commit().await.map_err(late)?;
        Ok(view(id, WorkspaceRecord { name, ..meta }, role))
    }

    /// Deletes a workspace: at once nobody finds it and none of its keys works; what is in it is erased by the areas that have it,
    /// which hear of it by the event.
    pub async fn delete_workspace(&self, by: UserId, id: WorkspaceId) -> Result<(), Error> {
        let (meta, _) = self.standing::<CanDeleteWorkspace>(by, id).await?;
        if meta.personal {
            return Err(Error::Personal);
        }
        let mut transaction = Transaction::new();
        transaction.check("actor", &self.table, &member_key(id, by), has::<CanDeleteWorkspace>());
        self.end_in(&mut transaction, id, by, None);
        transaction.commit().await.map_err(late)?;
        self.revoke_all(id).await
    }

    /// Adds the end of a workspace. Refused as `workspace` if it has ended, or if the further condition does not hold.
    pub(crate) fn end_in(
        &self,
        transaction: &mut Transaction,
        id: WorkspaceId,
        by: UserId,
        further: Option<Cond>,
    ) {
        let update = Update::at(meta_key(id)).set("deleted_at", now()).when(Cond::Present("pk"));
        let update = update.when(Cond::Absent("deleted_at"));
        let update = match further {
            Some(further) => update.when(further),
            None => update,
        };
        transaction.update("workspace", &self.table, update);
        transaction.update("end", &self.table, Update::at(erased_key(id)).set("ended_at", now()));
        event_in(transaction, &self.table, "workspace.deleted", id, by, serde_json::json!({}));
    }

    /// What happened to a workspace, oldest first.
    pub async fn workspace_events(
        &self,
        by: UserId,
        id: WorkspaceId,
        page: &PageRequest,
    ) -> Result<Found<DomainEvent>, Error> {
        #[derive(Deserialize)]
        struct Row {
            event: DomainEvent,
        }
        self.standing::<CanSeeWorkspaces>(by, id).await?;
        let query = Query::partition(partition(id)).prefix("EVENT#");
        let found = self.table.query::<Row>(query.limit(page.limit).start(page.start.clone())).await?;
        Ok(Found { items: found.items.into_iter().map(|row| row.event).collect(), next: found.next })
    }
}

/// The workspace and the actor, if both are there and the role has the permission.
pub(crate) fn admit<P: Permission>(
    meta: Option<WorkspaceRecord>,
    actor: Option<MemberRecord>,
) -> Result<(WorkspaceRecord, MemberRecord), Error> {
    let (Some(meta), Some(actor)) = (meta.filter(|m| m.deleted_at.is_none()), actor) else {
        return Err(Error::NoSuchWorkspace);
    };
    if P::ROLES.contains(&actor.role) { Ok((meta, actor)) } else { Err(Error::NotAnOwner) }
}

/// Whether a role has all these scopes. Support is given beside roles.
pub(crate) fn allows(role: Role, scopes: &[Scope]) -> bool {
    let has = role.scopes();
    scopes.iter().all(|scope| *scope == Scope::Admin || has.contains(scope))
}

/// What a refusal says to whom an earlier look had admitted: they are no owner any more, or no member, or the workspace has gone.
pub(crate) fn late(error: aws::CommitError) -> Error {
    match error {
        aws::CommitError::Refused { label: "actor", existing: Some(_) } => Error::NotAnOwner,
        aws::CommitError::Refused { label: "actor" | "workspace", .. } => Error::NoSuchWorkspace,
        error => error.into(),
    }
}
