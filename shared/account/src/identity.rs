//! Identities: `IDENT#<hash of issuer and subject>`/`IDENT`, listed for a user through `gsi1`: `USER#<user>#IDENTITIES`.
//!
//! Addresses by which single sign-on links identities: `EMAIL#<hash>`/`EMAIL`, in the same index.
//!
//! Issuer and subject are the identity, and never an address: addresses change hands, and two issuers may say the same one of two
//! people. The subject itself is not kept.
//!
//! `IDENT#<hash>`/`ERASED` stays for a year when an identity's user has been erased: tokens from before sign nobody in, and who comes
//! back begins anew, without another signup grant.

use aws::{Cond, Key, Query, Transaction, Update};
use billing::Billing;
use jiff::Timestamp;
use piecework_core::{DomainEvent, UserId, WorkspaceId, hex, now, sha256};
use serde::{Deserialize, Serialize};

use crate::{Account, Error, NewUser, Principal, Role, Verified, sso::session::scopes, store::profile_key};

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
    /// The partition of the address that a provider which links vouched for last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    link: Option<String>,
    created_at: Timestamp,
}

/// A verified address by which identities are linked, as kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Address {
    pk: String,
    sk: String,
    gsi1pk: String,
    gsi1sk: String,
    user: UserId,
    workspace: WorkspaceId,
    /// The partition of the identity whose provider vouched for it first. If that one vouches for another, it is over.
    #[serde(default)]
    identity: String,
}

/// What stays of an identity whose user was erased.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Erased {
    pk: String,
    sk: String,
    erased_at: Timestamp,
    expires_at: i64,
}

/// How long that is, seconds.
const REMEMBERED: i64 = 365 * 86_400;

fn erased_key(pk: &str) -> Key {
    Key::new(pk, "ERASED")
}

impl Address {
    fn new(key: Key, identity: &Identity) -> Self {
        Self {
            gsi1pk: identity.gsi1pk.clone(),
            gsi1sk: key.pk.clone(),
            pk: key.pk,
            sk: key.sk,
            user: identity.user,
            workspace: identity.workspace,
            identity: identity.pk.clone(),
        }
    }
}

impl Identity {
    fn new(said: &Verified, hash: &str, user: UserId, workspace: WorkspaceId) -> Self {
        let Key { pk, sk } = identity_key(hash);
        Self {
            pk,
            sk,
            gsi1pk: format!("USER#{user}#IDENTITIES"),
            gsi1sk: hash.to_owned(),
            issuer: said.issuer.clone(),
            user,
            workspace,
            email_hash: said.email.as_ref().map(|email| email_hash(user, email)),
            link: None,
            created_at: now(),
        }
    }

    fn principal(&self, said: &Verified) -> Principal {
        Principal {
            user: self.user,
            workspace: self.workspace,
            key: None,
            scopes: scopes(Role::Owner, said.admin),
        }
    }
}

/// Somebody whom nobody has seen before.
fn newcomer(said: &Verified) -> NewUser {
    NewUser {
        user: UserId::new(),
        name: said.name.clone().unwrap_or_else(|| NAMELESS.to_owned()),
        email: said.email.clone(),
    }
}

/// The sort key of an address that links.
const ADDRESS: &str = "EMAIL";

fn address_key(address: &str) -> Key {
    Key::new(format!("EMAIL#{}", hex(&sha256(&[address.as_bytes()]))), ADDRESS)
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
        Ok(identity.principal(said))
    }

    /// The same for somebody who signed in by a provider. Where `link` says so, somebody new with an address that the provider
    /// vouches for is the user whom such a provider vouches for under that address, if there is one.
    pub(crate) async fn sign_in_by(
        &self,
        billing: &Billing,
        said: &Verified,
        link: bool,
    ) -> Result<Principal, Error> {
        // Addresses of other than ASCII letters link nothing: two that look alike may be two.
        let address = said.email.as_deref().filter(|email| link && email.is_ascii());
        let address = address.map(|address| address_key(&address.to_ascii_lowercase()));
        let hash = hash(&said.issuer, &said.subject);
        for _ in 0..aws::RACES {
            if let Some(identity) = self.table.get::<Identity>(&identity_key(&hash)).await? {
                if link {
                    self.relink(&identity, address.as_ref()).await?;
                }
                return Ok(self.refreshed(identity, said).await?.principal(said));
            }
            let Some(key) = &address else {
                return Ok(self.first_sight(billing, said, &hash).await?.principal(said));
            };
            let transaction = match self.table.get::<Address>(key).await? {
                Some(known) => self.linked(said, &hash, &known),
                None => {
                    let (new, back) = (newcomer(said), self.comes_back(said, &hash).await?);
                    let link = Some(key.pk.clone());
                    let (mut transaction, identity) =
                        self.new_identity(billing, said, &hash, &new, back, link);
                    transaction.create("address", &self.table, &Address::new(key.clone(), &identity));
                    transaction
                }
            };
            match transaction.commit().await {
                // Found by the next round, as is what somebody else was faster to make.
                Ok(()) | Err(aws::CommitError::Refused { label: "identity" | "address", .. }) => {}
                Err(error) => return Err(aws::Error::from(error).into()),
            }
        }
        Err(Error::Races)
    }

    /// Lets the address that links follow its user: where the provider that vouched for it vouches for another one now, or for none,
    /// it may be somebody else's by now, and leads to this user no more. A race is left to the next sign-in.
    async fn relink(&self, identity: &Identity, address: Option<&Key>) -> Result<(), Error> {
        let there = match address {
            Some(key) => self.table.get::<Address>(key).await?,
            None => None,
        };
        let pk = address.map(|key| key.pk.as_str());
        let moved = identity.link.as_deref() != pk;
        let mut transaction = Transaction::new();
        if moved {
            let seen = match &identity.link {
                Some(link) => Cond::eq("link", link),
                None => Cond::All(vec![Cond::Present("pk"), Cond::Absent("link")]),
            };
            let update = Update::at(Key::new(&identity.pk, &identity.sk)).when(seen);
            let update = match pk {
                Some(pk) => update.set("link", pk),
                None => update.remove("link"),
            };
            transaction.update("identity", &self.table, update);
            if let Some(before) = &identity.link {
                let before = Key::new(before, ADDRESS);
                let theirs = self.table.get::<Address>(&before).await?;
                if theirs.is_some_and(|address| address.identity == identity.pk) {
                    let still = Cond::eq("identity", &identity.pk);
                    transaction.delete_if("address before", &self.table, &before, still);
                }
            }
        }
        match (address, there) {
            (Some(key), None) => {
                transaction.create("address", &self.table, &Address::new(key.clone(), identity));
            }
            _ if !moved => return Ok(()),
            _ => {}
        }
        match transaction.commit().await {
            Ok(()) | Err(aws::CommitError::Refused { .. }) => Ok(()),
            Err(error) => Err(aws::Error::from(error).into()),
        }
    }

    /// One more identity of a user.
    fn linked(&self, said: &Verified, hash: &str, known: &Address) -> Transaction {
        let mut identity = Identity::new(said, hash, known.user, known.workspace);
        identity.link = Some(known.pk.clone());
        let mut transaction = Transaction::new();
        transaction.create("identity", &self.table, &identity);
        let still = Cond::eq("user", known.user.to_string());
        let address = Key::new(known.pk.clone(), known.sk.clone());
        transaction.update("address", &self.table, Update::at(address).set("linked_at", now()).when(still));
        let Key { pk, .. } = profile_key(known.user);
        let data = serde_json::json!({ "issuer": said.issuer });
        let event = DomainEvent::new("account.identity.linked", known.workspace, known.user, data);
        transaction.create("event", &self.table, &aws::event_item(&pk, &event.by(known.user)));
        transaction
    }

    async fn first_sight(&self, billing: &Billing, said: &Verified, hash: &str) -> Result<Identity, Error> {
        let (new, back) = (newcomer(said), self.comes_back(said, hash).await?);
        let (transaction, identity) = self.new_identity(billing, said, hash, &new, back, None);
        match transaction.commit().await {
            Ok(()) => Ok(identity),
            Err(error) => match error.refused::<Identity>("identity") {
                Some(Some(there)) => Ok(there),
                _ => Err(aws::Error::from(error).into()),
            },
        }
    }

    /// Whether this was a user's who has been erased. A token from before that signs nobody in.
    async fn comes_back(&self, said: &Verified, hash: &str) -> Result<bool, Error> {
        let key = erased_key(&identity_key(hash).pk);
        let Some(erased) = self.table.get::<Erased>(&key).await? else { return Ok(false) };
        match said.issued_at.is_some_and(|at| at > erased.erased_at.as_second()) {
            true => Ok(true),
            false => Err(Error::UserErased),
        }
    }

    /// Ends all by which a user signs in: identities, addresses that link, sessions. A repeat ends what the last one left.
    pub(crate) async fn end_sign_ins(&self, user: UserId) -> Result<(), Error> {
        #[derive(Deserialize)]
        struct Place {
            pk: String,
            sk: String,
        }
        let at = now();
        for what in ["IDENTITIES", "SESSIONS"] {
            let listed = Query::index("gsi1", format!("USER#{user}#{what}"));
            let found = self.table.query::<Place>(listed).await?.items;
            for identity in found.iter().filter(|place| place.sk == "IDENT") {
                let Key { pk, sk } = erased_key(&identity.pk);
                let erased = Erased { pk, sk, erased_at: at, expires_at: at.as_second() + REMEMBERED };
                self.table.put(&erased, None).await?;
            }
            for session in found.iter().filter(|place| place.sk == "SESSION") {
                self.table.delete_found(Query::partition(session.pk.clone()).prefix("EVENT#")).await?;
            }
            let keys: Vec<Key> = found.into_iter().map(|place| Key::new(place.pk, place.sk)).collect();
            self.table.delete_many(&keys).await?;
        }
        Ok(())
    }

    /// A new user with the identity by which they sign in. The action `identity` is refused if it is known; it stands first, so
    /// that its refusal is the one that is told.
    fn new_identity(
        &self,
        billing: &Billing,
        said: &Verified,
        hash: &str,
        new: &NewUser,
        back: bool,
        link: Option<String>,
    ) -> (Transaction, Identity) {
        let mut identity = Identity::new(said, hash, new.user, WorkspaceId::new());
        identity.link = link;
        let mut transaction = Transaction::new();
        transaction.create("identity", &self.table, &identity);
        self.provision_in(&mut transaction, (!back).then_some(billing), new, identity.workspace);
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
            issued_at: None,
        };
        let (transaction, identity) =
            self.new_identity(billing, &said, &hash(issuer, subject), new, false, None);
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
