//! Identities: `IDENT#<hash of issuer and subject>`/`IDENT`, listed for a user through `gsi1`: `USER#<user>#IDENTITIES`.
//!
//! Issuer and subject are the identity, and never an address: addresses change hands, and two issuers may say the same one of two
//! people. The subject itself is not kept.

use aws::{Cond, Key, Transaction, Update};
use billing::Billing;
use jiff::Timestamp;
use piecework_core::{DomainEvent, UserId, WorkspaceId, hex, now, sha256};
use serde::{Deserialize, Serialize};

use crate::{Account, Error, NewUser, Principal, Scope, Verified, store::profile_key};

/// What somebody is called whose issuer does not say.
const NAMELESS: &str = "New user";

/// An identity as kept: all that a request with a token needs to know, in one read.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Identity {
    pk: String,
    sk: String,
    gsi1pk: String,
    gsi1sk: String,
    issuer: String,
    user: UserId,
    /// Their personal workspace.
    workspace: WorkspaceId,
    /// Tells whether the issuer vouches for another address than before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email_hash: Option<String>,
    created_at: Timestamp,
}

/// The hash under which an identity is found. No issuer's name has a zero octet in it.
fn hash(issuer: &str, subject: &str) -> String {
    hex(&sha256(&[issuer.as_bytes(), &[0], subject.as_bytes()]))
}

fn identity_key(hash: &str) -> Key {
    Key::new(format!("IDENT#{hash}"), "IDENT")
}

/// A hash of an address that another user's cannot be compared with.
fn email_hash(user: UserId, email: &str) -> String {
    hex(&sha256(&[user.to_string().as_bytes(), &[0], email.as_bytes()])[..16])
}

impl Account {
    /// The principal behind a verified token: one read. At first sight one transaction makes the user, their workspace, their
    /// signup grant and the event; of several at once, one makes them and the others find them.
    pub async fn sign_in(&self, billing: &Billing, said: &Verified) -> Result<Principal, Error> {
        let hash = hash(&said.issuer, &said.subject);
        let identity = match self.table.get::<Identity>(&identity_key(&hash)).await? {
            Some(identity) => self.refreshed(identity, said).await?,
            None => self.first_sight(billing, said, &hash).await?,
        };
        let mut scopes: std::collections::BTreeSet<Scope> = Scope::SIGNED_IN.iter().copied().collect();
        if said.admin {
            scopes.insert(Scope::Admin);
        }
        Ok(Principal { user: identity.user, workspace: identity.workspace, key: None, scopes })
    }

    async fn first_sight(&self, billing: &Billing, said: &Verified, hash: &str) -> Result<Identity, Error> {
        let new = NewUser {
            user: UserId::new(),
            name: said.name.clone().unwrap_or_else(|| NAMELESS.to_owned()),
            email: said.email.clone(),
        };
        let (transaction, identity) = self.new_identity(billing, said, hash, &new);
        match transaction.commit().await {
            Ok(()) => Ok(identity),
            Err(error) => match error.refused::<Identity>("identity") {
                Some(Some(there)) => Ok(there),
                _ => Err(aws::Error::from(error).into()),
            },
        }
    }

    /// A new user with the identity by which they sign in. The action `identity` is refused if it is known; it stands first, so
    /// that its refusal is the one that is told.
    fn new_identity(
        &self,
        billing: &Billing,
        said: &Verified,
        hash: &str,
        new: &NewUser,
    ) -> (Transaction, Identity) {
        let Key { pk, sk } = identity_key(hash);
        let identity = Identity {
            pk,
            sk,
            gsi1pk: format!("USER#{}#IDENTITIES", new.user),
            gsi1sk: hash.to_owned(),
            issuer: said.issuer.clone(),
            user: new.user,
            workspace: WorkspaceId::new(),
            email_hash: said.email.as_ref().map(|email| email_hash(new.user, email)),
            created_at: now(),
        };
        let mut transaction = Transaction::new();
        transaction.create("identity", &self.table, &identity);
        self.provision_in(&mut transaction, billing, new, identity.workspace);
        (transaction, identity)
    }

    /// Adds a user that somebody may sign in as at once: for tools that make accounts.
    pub async fn provision_identity(
        &self,
        billing: &Billing,
        new: &NewUser,
        issuer: &str,
        subject: &str,
    ) -> Result<WorkspaceId, Error> {
        let said = Verified {
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
            email: new.email.clone(),
            name: None,
            admin: false,
        };
        let (transaction, identity) = self.new_identity(billing, &said, &hash(issuer, subject), new);
        transaction.commit().await.map_err(aws::Error::from)?;
        Ok(identity.workspace)
    }

    /// Keeps the address that the issuer vouches for now, if it is another than before.
    async fn refreshed(&self, identity: Identity, said: &Verified) -> Result<Identity, Error> {
        let Some(email) = &said.email else { return Ok(identity) };
        let now_hash = email_hash(identity.user, email);
        if identity.email_hash.as_deref() == Some(now_hash.as_str()) {
            return Ok(identity);
        }
        let unchanged = match &identity.email_hash {
            Some(hash) => Cond::eq("email_hash", hash),
            None => Cond::All(vec![Cond::Present("pk"), Cond::Absent("email_hash")]),
        };
        let Key { pk, sk } = profile_key(identity.user);
        let mut transaction = Transaction::new();
        let key = Key::new(identity.pk.clone(), identity.sk.clone());
        transaction.update(
            "identity",
            &self.table,
            Update::at(key).set("email_hash", now_hash).when(unchanged),
        );
        let profile =
            Update::at(Key::new(pk.clone(), sk)).set("email", email.as_str()).when(Cond::Present("pk"));
        transaction.update("user", &self.table, profile);
        let data = serde_json::json!({ "changed": ["email"] });
        let event = DomainEvent::new("account.user.changed", identity.workspace, identity.user, data);
        transaction.create("event", &self.table, &aws::event_item(&pk, &event.by(identity.user)));
        match transaction.commit().await {
            Ok(()) => Ok(identity),
            // Another request was faster, or the user is being erased: this one goes on with what it read.
            Err(aws::CommitError::Refused { .. }) => Ok(identity),
            Err(error) => Err(aws::Error::from(error).into()),
        }
    }
}
