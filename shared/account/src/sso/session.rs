//! Sessions of ours: a short access token that is good while its session lasts, and a refresh token that is good once.
//!
//! Both are sealed with a key derived from `CURSOR_KEY`, and name their session, which says who it is. An access token has its end; a
//! refresh token has its number in the session, which knows the number that is next. One that comes again was copied: the session ends.

use aws::{Cond, Key, Update};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use piecework_core::{DomainEvent, Settings, UserId, WorkspaceId, now, settings::SettingError};
use ring::hmac;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Account, Error, Principal, Role, Scope, TokenError};

piecework_core::typed_id!(SessionId, "ses", "A session: one sign-in and what is refreshed from it.");

/// What an access token begins with.
pub(crate) const ACCESS: &str = "pws_";
const REFRESH: &str = "pwr_";
/// How long an access token is good, seconds.
pub(crate) const ACCESS_LIFE: i64 = 600;
/// How long a session lasts, seconds: thirty days from the sign-in, however often it is refreshed.
pub const SESSION_LIFE: i64 = 30 * 86_400;
/// Within so many seconds a refresh token that comes again is taken for a race of two tabs, and not for a copy.
const RACE: i64 = 10;

/// Seals tokens of sessions.
#[derive(Clone)]
pub struct SessionKey(hmac::Key);

/// A session as kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Session {
    pk: String,
    sk: String,
    gsi1pk: String,
    gsi1sk: String,
    id: SessionId,
    user: UserId,
    workspace: WorkspaceId,
    admin: bool,
    /// The number of the refresh token that is good.
    generation: u32,
    /// When the one before was used, epoch seconds.
    rotated_at: i64,
    expires_at: i64,
}

/// What a sign-in or a refresh gives.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SignedIn {
    /// For `Authorization: Bearer`.
    pub access_token: String,
    /// `Bearer`.
    pub token_type: &'static str,
    /// How many seconds the access token is good.
    pub expires_in: i64,
    /// For `POST /v1/auth/refresh`, once.
    pub refresh_token: String,
}

/// A refresh token, where it is not in the cookie.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// The token.
    #[serde(default)]
    pub refresh_token: Option<String>,
}

impl SessionKey {
    /// Derived, so that no token of one purpose is one of another.
    pub(crate) fn of(settings: &Settings) -> Result<Self, SettingError> {
        let secret = settings.secret("CURSOR_KEY", "cursor-key-for-development-only")?;
        let master = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
        let derived = hmac::sign(&master, b"session-key.v1");
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref())))
    }

    fn seal(&self, prefix: &str, payload: &str) -> String {
        let tag = hmac::sign(&self.0, format!("{prefix}{payload}").as_bytes());
        format!("{prefix}{payload}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
    }

    /// The payload, if the seal is ours.
    fn open<'a>(&self, prefix: &str, token: &'a str) -> Option<&'a str> {
        let (payload, tag) = token.strip_prefix(prefix)?.rsplit_once('.')?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        hmac::verify(&self.0, format!("{prefix}{payload}").as_bytes(), &tag).ok()?;
        Some(payload)
    }

    /// The session that an access token names, if the token has not ended.
    pub(crate) fn session(&self, token: &str, at: Timestamp) -> Result<SessionId, TokenError> {
        let payload = self.open(ACCESS, token).ok_or(TokenError::Signature)?;
        let (id, expires) = payload.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let expires: i64 = expires.parse().map_err(|_| TokenError::Malformed)?;
        if at.as_second() >= expires {
            return Err(TokenError::Expired);
        }
        id.parse().map_err(|_| TokenError::Malformed)
    }

    fn signed_in(&self, session: &Session) -> SignedIn {
        let expires = now().as_second() + ACCESS_LIFE;
        SignedIn {
            access_token: self.seal(ACCESS, &format!("{}.{expires}", session.id)),
            token_type: "Bearer",
            expires_in: ACCESS_LIFE,
            refresh_token: self.seal(REFRESH, &format!("{}.{}", session.id, session.generation)),
        }
    }
}

impl Session {
    /// Who signed in, in their own workspace.
    pub(crate) fn principal(&self) -> Principal {
        let scopes = scopes(Role::Owner, self.admin);
        Principal { user: self.user, workspace: self.workspace, key: None, scopes }
    }
}

/// What somebody who signed in may do in a workspace where they have this role.
pub(crate) fn scopes(role: Role, admin: bool) -> std::collections::BTreeSet<Scope> {
    role.scopes().into_iter().chain(admin.then_some(Scope::Admin)).collect()
}

fn session_key(id: SessionId) -> Key {
    Key::new(format!("SESSION#{id}"), "SESSION")
}

impl Account {
    /// Begins a session, with its event.
    pub(crate) async fn begin_session(&self, key: &SessionKey, who: &Principal) -> Result<SignedIn, Error> {
        let id = SessionId::new();
        let Key { pk, sk } = session_key(id);
        let at = now().as_second();
        let session = Session {
            pk: pk.clone(),
            sk,
            gsi1pk: format!("USER#{}#SESSIONS", who.user),
            gsi1sk: id.to_string(),
            id,
            user: who.user,
            workspace: who.workspace,
            admin: who.may(Scope::Admin),
            generation: 1,
            rotated_at: at,
            expires_at: at + SESSION_LIFE,
        };
        let mut transaction = aws::Transaction::new();
        transaction.create("session", &self.table, &session);
        let event = DomainEvent::new("account.session.begun", who.workspace, id, serde_json::json!({}));
        // The session's own record tells of it as long as it is kept; the event names the user, and must not outlive that.
        transaction.create("event", &self.table, &aws::passing_event_item(&pk, &event.by(who.user)));
        transaction.commit().await.map_err(aws::Error::from)?;
        Ok(key.signed_in(&session))
    }

    /// The session of a refresh token of ours, and the token's number in it.
    async fn session(&self, key: &SessionKey, presented: &str) -> Result<(Session, u32), Error> {
        let payload = key.open(REFRESH, presented).ok_or(Error::BadSession)?;
        let (id, generation) = payload.rsplit_once('.').ok_or(Error::BadSession)?;
        let id: SessionId = id.parse().map_err(|_| Error::BadSession)?;
        let generation = generation.parse().map_err(|_| Error::BadSession)?;
        Ok((self.live_session(id).await?, generation))
    }

    /// The session, if it has not ended: one read.
    pub(crate) async fn live_session(&self, id: SessionId) -> Result<Session, Error> {
        let session = self.table.get::<Session>(&session_key(id)).await?;
        // Time to live deletes late.
        session.filter(|session| session.expires_at > now().as_second()).ok_or(Error::BadSession)
    }

    /// A new pair of tokens for a refresh token, which is no good after that. One that comes again ends its session.
    pub(crate) async fn refresh_session(&self, key: &SessionKey, presented: &str) -> Result<SignedIn, Error> {
        let (mut session, generation) = self.session(key, presented).await?;
        let at = now().as_second();
        if generation != session.generation {
            if generation + 1 == session.generation && at - session.rotated_at <= RACE {
                return Err(Error::SessionRaced);
            }
            tracing::warn!(session = %session.id, "a refresh token came again: the session ends");
            self.end(&session).await?;
            return Err(Error::BadSession);
        }
        let update = Update::at(session_key(session.id))
            .set("generation", generation + 1)
            .set("rotated_at", at)
            .when(Cond::eq("generation", generation))
            .when(Cond::is("expires_at", ">", at));
        if self.table.update::<Session>(update).await?.is_none() {
            return Err(Error::SessionRaced);
        }
        session.generation = generation + 1;
        Ok(key.signed_in(&session))
    }

    /// Ends the session of a refresh token, whichever of its tokens it is. One that is no more changes nothing.
    pub(crate) async fn end_session(&self, key: &SessionKey, presented: &str) -> Result<(), Error> {
        match self.session(key, presented).await {
            Ok((session, _)) => self.end(&session).await,
            Err(Error::BadSession) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn end(&self, session: &Session) -> Result<(), Error> {
        // Now, and not 0: DynamoDB deletes nothing by a time that lies more than five years back.
        let end = Update::at(session_key(session.id)).set("expires_at", now().as_second());
        let update = end.when(Cond::Present("pk"));
        self.table.update::<serde_json::Value>(update).await?;
        Ok(())
    }
}
