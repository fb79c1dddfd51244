//! Who calls, by whatever credentials: what every function with callers has.

use aws::{Clients, Deps};
use billing::Billing;
use piecework_core::{Settings, WorkspaceId, now, settings::SettingError};

use crate::{
    Account, Error, Principal, Scope, Tokens,
    key::PREFIX,
    sso::session::{ACCESS, SessionKey, scopes},
};

/// Tells who calls by an API key or a bearer token. Somebody who was never seen before becomes a user by their first token.
#[derive(Clone)]
pub struct Authenticator {
    account: Account,
    billing: Billing,
    tokens: Tokens,
    sessions: SessionKey,
}

impl Deps for Authenticator {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        Ok(Self {
            account: Account::new(settings, clients)?,
            billing: Billing::new(settings, clients)?,
            tokens: Tokens::new(settings)?,
            sessions: SessionKey::of(settings)?,
        })
    }
}

impl Authenticator {
    /// The principal behind an API key.
    pub async fn key(&self, presented: &str) -> Result<Principal, Error> {
        self.account.authenticate(presented).await
    }

    /// The principal behind what stands in `Authorization: Bearer`: a token of an issuer or of a session, or an
    /// API key.
    pub async fn bearer(&self, presented: &str) -> Result<Principal, Error> {
        if presented.starts_with(PREFIX) {
            return self.key(presented).await;
        }
        if presented.starts_with(ACCESS) {
            let session = self.sessions.session(presented, now())?;
            return Ok(self.account.live_session(session).await?.principal());
        }
        let said = self.tokens.verify(presented, now()).await.inspect_err(|error| {
            // Which of the reasons, and nothing of the token.
            tracing::info!(reason = %error, "token refused");
        })?;
        self.account.sign_in(&self.billing, &said).await
    }

    /// The principal in a workspace of their choice, with what their role there may do. A key is one workspace's, and a workspace
    /// that they do not belong to is none to them.
    pub async fn within(&self, who: Principal, workspace: WorkspaceId) -> Result<Principal, Error> {
        if workspace == who.workspace {
            return Ok(who);
        }
        let member = match who.key {
            None => self.account.membership(who.user, workspace).await?,
            Some(_) => None,
        };
        let role = member.ok_or(Error::NoSuchWorkspace)?.role;
        Ok(Principal { workspace, scopes: scopes(role, who.may(Scope::Admin)), ..who })
    }
}
