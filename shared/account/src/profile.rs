//! `/v1/me`: what a user sees and changes of themselves (P7).

use aws::{Cond, Key, Transaction, Update};
use jiff::Timestamp;
use piecework_core::{DomainEvent, UserId, WorkspaceId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Account, Error, Principal, Scope,
    error::checked_name,
    store::{Profile, profile_key},
};

/// The caller.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Me {
    /// The user.
    pub id: UserId,
    /// What people call them.
    pub name: String,
    /// Their address, if somebody vouches for it.
    pub email: Option<String>,
    /// Their personal workspace.
    pub workspace: WorkspaceId,
    /// What these credentials may do.
    pub scopes: Vec<Scope>,
    /// Whether these credentials are an administrator's.
    pub admin: bool,
    /// When they were first seen.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// What a user may change of themselves. What is left out stays.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MeChanges {
    /// What people call them; 1 to 100 characters.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 100, example = "Ada Lovelace")]
    pub name: Option<String>,
}

impl MeChanges {
    /// The name to be kept, if there is one.
    fn name(&self) -> Result<Option<String>, Error> {
        self.name.as_deref().map(checked_name).transpose()
    }
}

fn me(caller: &Principal, profile: Profile) -> Me {
    Me {
        id: caller.user,
        name: profile.name,
        email: profile.email,
        workspace: profile.workspace,
        scopes: caller.scopes.iter().copied().collect(),
        admin: caller.may(Scope::Admin),
        created_at: profile.created_at,
    }
}

impl Account {
    /// The caller as they are kept.
    pub async fn me(&self, caller: &Principal) -> Result<Me, Error> {
        let profile = self.table.get::<Profile>(&profile_key(caller.user)).await?;
        Ok(me(caller, profile.ok_or(Error::NoSuchUser)?))
    }

    /// Changes the caller, with the event of it.
    pub async fn change_me(&self, caller: &Principal, changes: &MeChanges) -> Result<Me, Error> {
        let Some(name) = changes.name()? else { return self.me(caller).await };
        let Key { pk, sk } = profile_key(caller.user);
        let mut transaction = Transaction::new();
        let update = Update::at(Key { pk: pk.clone(), sk }).set("name", name).when(Cond::Present("pk"));
        transaction.update("user", &self.table, update);
        let data = serde_json::json!({ "changed": ["name"] });
        let event = DomainEvent::new("account.user.changed", caller.workspace, caller.user, data);
        transaction.create("event", &self.table, &aws::event_item(&pk, &event.by(caller.user)));
        match transaction.commit().await {
            Ok(()) => self.me(caller).await,
            Err(aws::CommitError::Refused { label: "user", .. }) => Err(Error::NoSuchUser),
            Err(error) => Err(aws::Error::from(error).into()),
        }
    }
}
