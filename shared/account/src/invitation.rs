//! Invitations into a workspace, by address (P8).
//!
//! The token names workspace and invitation and has a tag that only this deployment's key makes, so nothing secret is kept. It is of
//! use to one person: whoever accepts must have the invited address, verified by their identity provider. It ends with its maker's
//! right to invite: who was shown the door leaves none open. Addresses are compared as text, the domain by its A-labels and ASCII
//! letters without their case: another script's look-alike is another address.

use aws::{Clients, Cond, Deps, Found, Key, Query, Transaction, Update, idempotency};
use email::EmailAddress;
use jiff::{SignedDuration, Timestamp};
use piecework_core::{
    CursorKey, PageRequest, Problem, Settings, UserId, WorkspaceId, hex,
    idempotency::{Reply, Request},
    now,
    settings::SettingError,
    sha256, typed_id,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Account, CanInvite, Error, Role, Workspace,
    store::{Profile, profile_key},
    workspace::{
        MemberRecord, WorkspaceRecord, event_in, has, late, member_in, member_key, meta_key, partition,
    },
};

typed_id!(InvitationId, "inv", "An invitation into a workspace.");

const PREFIX: &str = "pwi_";
/// What tags of this kind are for.
const PURPOSE: &str = "invitation";
/// How long an invitation is good.
const GOOD: SignedDuration = SignedDuration::from_hours(24 * 7);
/// How long it is shown after that.
const KEPT: SignedDuration = SignedDuration::from_hours(24 * 30);

/// Invitations, and the key that their tokens are made with.
#[derive(Clone)]
pub struct Invitations {
    account: Account,
    key: CursorKey,
}

impl Deps for Invitations {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        Ok(Self { account: Account::new(settings, clients)?, key: CursorKey::of(settings)? })
    }
}

/// An invitation to be made.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewInvitation {
    /// Whom: the address that they sign in with.
    #[schema(max_length = 254, example = "bob@example.com")]
    pub email: String,
    /// What they will be.
    pub role: Role,
}

/// A token to be redeemed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Acceptance {
    /// The invitation's token.
    #[schema(max_length = 200, example = "pwi_…")]
    pub token: String,
}

/// Where an invitation stands. One that is open ends by itself at `valid_until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InvitationState {
    /// It waits.
    Open,
    /// Somebody came by it.
    Accepted,
    /// It was taken back.
    Revoked,
}

impl InvitationState {
    fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Accepted => "accepted",
            Self::Revoked => "revoked",
        }
    }
}

/// An invitation, without its token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// Whom it is for.
    #[schema(value_type = String, example = "bob@example.com")]
    pub email: EmailAddress,
    /// What they will be.
    pub role: Role,
    /// Where it stands.
    pub state: InvitationState,
    /// Who made it.
    pub invited_by: UserId,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Until when it can be accepted.
    #[schema(value_type = String, format = DateTime)]
    pub valid_until: Timestamp,
}

/// A new invitation, with its token.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreatedInvitation {
    /// The invitation.
    #[serde(flatten)]
    pub invitation: Invitation,
    /// What the invited person accepts it with; of use to nobody else.
    pub token: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct InvitationRecord {
    pk: String,
    sk: String,
    expires_at: i64,
    /// When its mail left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mailed_at: Option<Timestamp>,
    /// Who came by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    accepted_by: Option<UserId>,
    #[serde(flatten)]
    pub invitation: Invitation,
}

/// Keeps an address from being invited twice at a time.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct InvitedRecord {
    pk: String,
    sk: String,
    expires_at: i64,
}

pub(crate) fn invitation_key(workspace: WorkspaceId, id: InvitationId) -> Key {
    Key::new(partition(workspace), format!("INVITE#{id}"))
}

/// Addresses are compared by this, and by nothing looser: only ASCII's letters are taken without their case.
fn comparable(address: &EmailAddress) -> String {
    format!("{}@{}", address.local().to_ascii_lowercase(), address.domain())
}

/// The same of an address that somebody vouches for. Parsing composes characters (NFC), which makes the Kelvin sign a `K`: a local
/// part that is written otherwise than it parses is taken for nobody's.
fn vouched(text: &str) -> Option<String> {
    let address = EmailAddress::parse(text).ok()?;
    let written = text.trim().rsplit_once('@')?.0;
    (written == address.local()).then(|| comparable(&address))
}

fn invited_key(workspace: WorkspaceId, address: &EmailAddress) -> Key {
    let hash = sha256(&[partition(workspace).as_bytes(), b"\0", comparable(address).as_bytes()]);
    Key::new(partition(workspace), format!("INVITED#{}", hex(&hash[..16])))
}

/// Deletes the invitations that somebody came by: the address in them is theirs, whichever it was then, and they are no more.
pub(crate) async fn forget(
    table: &aws::Table,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<(), aws::Error> {
    let query = Query::partition(partition(workspace)).prefix("INVITE#");
    let records = table.query::<InvitationRecord>(query).await?.items.into_iter();
    let theirs = records.filter(|record| record.accepted_by == Some(user));
    let keys: Vec<Key> = theirs.map(|record| Key::new(record.pk, record.sk)).collect();
    table.delete_many(&keys).await
}

/// What a token's tag is made of: both ids, without their prefixes.
fn named(workspace: WorkspaceId, id: InvitationId) -> String {
    let (workspace, id) = (workspace.to_string(), id.to_string());
    format!("{}{}", workspace.trim_start_matches("wsp_"), id.trim_start_matches("inv_"))
}

fn token(key: &CursorKey, workspace: WorkspaceId, id: InvitationId) -> String {
    let named = named(workspace, id);
    format!("{PREFIX}{named}{}", key.tag(PURPOSE, &named))
}

fn read_token(key: &CursorKey, text: &str) -> Option<(WorkspaceId, InvitationId)> {
    let rest = text.strip_prefix(PREFIX).filter(|rest| rest.is_ascii() && rest.len() == 26 + 26 + 32)?;
    let (named, tag) = rest.split_at(52);
    let (workspace, id) = named.split_at(26);
    let ids = (format!("wsp_{workspace}").parse().ok()?, format!("inv_{id}").parse().ok()?);
    key.is_tag(PURPOSE, named, tag).then_some(ids)
}

impl Invitations {
    /// The token of an invitation, the same whenever it is asked for.
    pub(crate) fn token(&self, workspace: WorkspaceId, id: InvitationId) -> String {
        token(&self.key, workspace, id)
    }

    /// Invites an address. The token in the answer is for the inviter to pass on.
    pub async fn create(
        &self,
        by: UserId,
        workspace: WorkspaceId,
        new: NewInvitation,
        request: Option<&Request>,
    ) -> Result<Reply, Problem> {
        let effect = self.create_once(by, workspace, new, request);
        let kept = idempotency::once(&self.account.table, request, effect).await?;
        // The answer is kept without its token, which is made again for every repeat.
        let invitation: Invitation = serde_json::from_str(&kept.body).map_err(Problem::internal)?;
        let token = token(&self.key, workspace, invitation.id);
        let body = serde_json::to_string(&CreatedInvitation { invitation, token });
        Ok(Reply { body: body.map_err(Problem::internal)?, ..kept })
    }

    async fn create_once(
        &self,
        by: UserId,
        workspace: WorkspaceId,
        new: NewInvitation,
        request: Option<&Request>,
    ) -> Result<Reply, Error> {
        let email = EmailAddress::parse(&new.email)
            .map_err(|_| Error::Unusable { pointer: "/email", detail: "must be an e-mail address" })?;
        let table = &self.account.table;
        let (meta, _) = self.account.standing::<CanInvite>(by, workspace).await?;
        if meta.personal {
            return Err(Error::Personal);
        }
        let at = now();
        let invitation = Invitation {
            id: InvitationId::new(),
            email,
            role: new.role,
            state: InvitationState::Open,
            invited_by: by,
            created_at: at,
            valid_until: at + GOOD,
        };
        let mut transaction = Transaction::new();
        transaction.check("actor", table, &member_key(workspace, by), has::<CanInvite>());
        transaction.check("workspace", table, &meta_key(workspace), Cond::Absent("deleted_at"));
        let Key { pk, sk } = invited_key(workspace, &invitation.email);
        let invited = InvitedRecord { pk, sk, expires_at: invitation.valid_until.as_second() };
        transaction.put("invited", table, &invited, Some(Cond::absent_or_expired()));
        let Key { pk, sk } = invitation_key(workspace, invitation.id);
        let expires_at = (invitation.valid_until + KEPT).as_second();
        let record = InvitationRecord {
            pk,
            sk,
            expires_at,
            mailed_at: None,
            accepted_by: None,
            invitation: invitation.clone(),
        };
        transaction.create("invitation", table, &record);
        let data = serde_json::json!({ "invitation": invitation.id, "role": invitation.role });
        event_in(&mut transaction, table, "invitation.created", workspace, by, data);
        let reply = Reply {
            status: 201,
            location: Some(format!("/v1/workspaces/{workspace}/invitations")),
            body: serde_json::to_string(&invitation).map_err(|e| aws::Error::Shape(e.to_string()))?,
        };
        if let Some(request) = request {
            idempotency::complete_in(&mut transaction, table, request, &reply);
        }
        match transaction.commit().await {
            Err(aws::CommitError::Refused { label: "invited", .. }) => Err(Error::AlreadyInvited),
            outcome => outcome.map(|()| reply).map_err(late),
        }
    }

    /// Redeems a token for the caller: they become a member.
    pub async fn accept(&self, by: UserId, token: &str) -> Result<Workspace, Error> {
        let (workspace, id) = read_token(&self.key, token).ok_or(Error::NoSuchInvitation)?;
        let table = &self.account.table;
        let (meta, invitation) = (meta_key(workspace), invitation_key(workspace, id));
        let (member, profile) = (member_key(workspace, by), profile_key(by));
        let keys = [meta.clone(), invitation.clone(), member.clone(), profile.clone()];
        let seen = self.account.see(&keys).await?;
        let there = seen.get::<WorkspaceRecord>(&meta)?.filter(|meta| meta.deleted_at.is_none());
        let (Some(meta), Some(record)) = (there, seen.get::<InvitationRecord>(&invitation)?) else {
            return Err(Error::NoSuchInvitation);
        };
        let invited = record.invitation;
        let email = seen.get::<Profile>(&profile)?.and_then(|profile| profile.email);
        if email.and_then(|email| vouched(&email)) != Some(comparable(&invited.email)) {
            return Err(Error::NotInvited);
        }
        let at = now();
        match invited.state {
            InvitationState::Accepted => return Err(Error::InvitationUsed),
            InvitationState::Revoked => return Err(Error::InvitationOver),
            InvitationState::Open if invited.valid_until <= at => return Err(Error::InvitationOver),
            InvitationState::Open => {}
        }
        if seen.get::<MemberRecord>(&member)?.is_some() {
            return Err(Error::AlreadyMember);
        }
        // It ends with the right of whoever made it: or somebody who is shown the door would have left it open for themselves.
        let inviter = member_key(workspace, invited.invited_by);
        let mut transaction = Transaction::new();
        transaction.check("inviter", table, &inviter, has::<CanInvite>());
        let update = Update::at(invitation)
            .set("state", InvitationState::Accepted.name())
            .set("accepted_by", by.to_string())
            .when(Cond::eq("state", InvitationState::Open.name()))
            .when(Cond::eq("valid_until", invited.valid_until));
        transaction.update("invitation", table, update);
        transaction.delete("invited", table, &invited_key(workspace, &invited.email));
        let update = Update::at(meta_key(workspace)).add("members", 1);
        let update = if invited.role == Role::Owner { update.add("owners", 1) } else { update };
        let there = update.when(Cond::Present("pk")).when(Cond::Absent("deleted_at"));
        transaction.update("workspace", table, there);
        member_in(&mut transaction, table, workspace, by, invited.role, at);
        let data = serde_json::json!({ "invitation": id, "user": by, "role": invited.role });
        event_in(&mut transaction, table, "member.joined", workspace, by, data);
        match transaction.commit().await {
            Ok(()) => {}
            Err(aws::CommitError::Refused { label: "invitation", .. }) => return Err(Error::InvitationUsed),
            Err(aws::CommitError::Refused { label: "member", .. }) => return Err(Error::AlreadyMember),
            Err(aws::CommitError::Refused { label: "inviter", .. }) => return Err(Error::InvitationOver),
            Err(error) => return Err(late(error)),
        }
        Ok(Workspace {
            id: workspace,
            name: meta.name,
            personal: false,
            role: invited.role,
            members: meta.members + 1,
            created_at: meta.created_at,
        })
    }

    /// Takes an invitation back. Taking it back again changes nothing.
    pub async fn revoke(&self, by: UserId, workspace: WorkspaceId, id: InvitationId) -> Result<(), Error> {
        let table = &self.account.table;
        self.account.standing::<CanInvite>(by, workspace).await?;
        let key = invitation_key(workspace, id);
        let record: InvitationRecord = table.get(&key).await?.ok_or(Error::NoSuchInvitation)?;
        let mut transaction = Transaction::new();
        transaction.check("actor", table, &member_key(workspace, by), has::<CanInvite>());
        let update = Update::at(key)
            .set("state", InvitationState::Revoked.name())
            .when(Cond::eq("state", InvitationState::Open.name()));
        transaction.update("invitation", table, update);
        if record.invitation.valid_until > now() {
            transaction.delete("invited", table, &invited_key(workspace, &record.invitation.email));
        }
        let data = serde_json::json!({ "invitation": id });
        event_in(&mut transaction, table, "invitation.revoked", workspace, by, data);
        let outcome = transaction.commit().await;
        if let Err(error) = &outcome
            && let Some(existing) = error.refused::<InvitationRecord>("invitation")
        {
            return match existing.map(|record| record.invitation.state) {
                Some(InvitationState::Accepted) => Err(Error::InvitationUsed),
                _ => Ok(()),
            };
        }
        outcome.map_err(late)
    }

    /// The workspace's invitations, newest first: open ones, and for 30 days those that are over.
    pub async fn list(
        &self,
        by: UserId,
        workspace: WorkspaceId,
        page: &PageRequest,
    ) -> Result<Found<Invitation>, Error> {
        self.account.standing::<CanInvite>(by, workspace).await?;
        let query = Query::partition(partition(workspace)).prefix("INVITE#").newest_first();
        let query = query.limit(page.limit).start(page.start.clone());
        let found: Found<InvitationRecord> = self.account.table.query(query).await?;
        Ok(Found { items: found.items.into_iter().map(|r| r.invitation).collect(), next: found.next })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> CursorKey {
        CursorKey::new("cursor-test-key-0123456789abcdef".to_owned().into())
    }

    #[test]
    fn a_token_names_its_invitation_and_no_changed_one_names_any() {
        let (workspace, id) = (WorkspaceId::new(), InvitationId::new());
        let text = token(&key(), workspace, id);
        assert_eq!(read_token(&key(), &text), Some((workspace, id)));
        for at in 0..text.len() {
            let mut wrong = text.clone();
            let c = if &text[at..=at] == "a" { "b" } else { "a" };
            wrong.replace_range(at..=at, c);
            assert_eq!(read_token(&key(), &wrong), None, "{wrong}");
        }
        assert_eq!(read_token(&key(), &text[..text.len() - 1]), None);
        assert_eq!(read_token(&key(), ""), None);
        assert_eq!(read_token(&key(), &format!("pwi_{}", "é".repeat(42))), None);
        assert_eq!(read_token(&CursorKey::new("another-key-another-key".to_owned().into()), &text), None);
    }

    #[test]
    fn addresses_that_only_look_alike_are_others() {
        let same = |invited: &str, own: &str| {
            Some(comparable(&EmailAddress::parse(invited).unwrap())) == vouched(own)
        };
        assert!(same("Ada@Example.com", "ada@EXAMPLE.com"), "ASCII letters, whatever their case");
        assert!(same("ada@exämple.com", "ada@xn--exmple-cua.com"), "one domain, two spellings");
        assert!(!same("ada@example.com", "\u{430}da@example.com"), "Cyrillic а");
        assert!(!same("ada@example.com", "ada@ex\u{430}mple.com"), "in the domain");
        assert!(!same("kate@example.com", "\u{212a}ate@example.com"), "the Kelvin sign is no k");
        assert!(!same("i@example.com", "\u{131}@example.com"), "nor the dotless i an i");
        assert!(!same("ada@example.com", "\u{ff41}da@example.com"), "nor a full-width a an a");
        assert!(!same("ada@example.com", "a.da@example.com"), "dots are somebody else's rule");
    }
}
