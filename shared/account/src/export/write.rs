//! What the account area has of a user, and which workspaces are theirs alone.

use archive::{Order, Part};
use aws::{CommitError, Cond, Key, Query, Transaction, Update, Value};
use jiff::Timestamp;
use piecework_core::{DomainEvent, UserId, WorkspaceId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;

use super::{ExportRecord, Exporter, export_key};
use crate::{
    ApiKey, Area, Error, Role,
    key::KeyRecord,
    store::{Profile, profile_key},
    workspace::{MemberRecord, MembershipRecord, WorkspaceRecord, member_key, membership_key, meta_key},
};

/// Events of one transaction.
const AT_ONCE: usize = 50;

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
                    self.exports.forget_parts(user, order.export).await?;
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
}
