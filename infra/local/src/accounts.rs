//! Accounts on a stack, made through the same libraries that the functions use.

use account::{Account, CreatedKey, NewKey, NewUser, Scope};
use aws::{Clients, Deps as _, Transaction};
use billing::{Billing, Book, Grant, GrantSource};
use piecework_core::{Settings, UserId, WorkspaceId};
use std::collections::BTreeMap;

use crate::{Error, Stack, StackFile};

/// A new account: a user, their personal workspace with its signup grant, and a key.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// The user.
    pub user: UserId,
    /// Their workspace.
    pub workspace: WorkspaceId,
    /// Its key.
    pub key: CreatedKey,
}

/// The account side of a running stack.
pub struct Accounts {
    account: Account,
    billing: Billing,
}

impl Accounts {
    /// Of a stack in this process.
    ///
    /// # Errors
    /// If the templates have no account or billing table.
    pub fn of(stack: &Stack) -> Result<Self, Error> {
        let (key, secret) = stack.credentials();
        let tables = ["AccountTable", "BillingTable"]
            .into_iter()
            .map(|logical| Ok((logical.to_owned(), stack.table(logical)?.to_owned())))
            .collect::<Result<_, Error>>()?;
        Self::at(&stack.endpoints().dynamodb, key, secret, &tables)
    }

    /// Of a stack in another process.
    ///
    /// # Errors
    /// If the templates have no account or billing table.
    pub fn of_file(stack: &StackFile) -> Result<Self, Error> {
        let (key, secret) = (stack.access_key_id.clone(), stack.secret_access_key.clone());
        Self::at(&stack.endpoints.dynamodb, key, secret, &stack.tables)
    }

    fn at(
        dynamodb: &str,
        key: String,
        secret: String,
        tables: &BTreeMap<String, String>,
    ) -> Result<Self, Error> {
        let table = |logical: &str| tables.get(logical).cloned().unwrap_or_default();
        let values = [
            ("ENVIRONMENT", "dev".to_owned()),
            ("ACCOUNT_TABLE", table("AccountTable")),
            ("BILLING_TABLE", table("BillingTable")),
            ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb.to_owned()),
            ("AWS_REGION", crate::REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", key),
            ("AWS_SECRET_ACCESS_KEY", secret),
        ]
        .map(|(name, value)| (name.to_owned(), value));
        let clients = Clients::with_values(values.clone());
        let wrong = |e: piecework_core::settings::SettingError| Error::Seed(e.to_string());
        let settings = Settings::from_values(values).map_err(wrong)?;
        Ok(Self {
            account: Account::new(&settings, &clients).map_err(wrong)?,
            billing: Billing::new(&settings, &clients).map_err(wrong)?,
        })
    }

    /// Makes an account with a key of these scopes.
    ///
    /// # Errors
    /// If the store refuses.
    pub async fn create(&self, name: &str, scopes: &[Scope]) -> Result<NewAccount, Error> {
        self.create_with(name, None, scopes).await
    }

    /// Makes an account whose user has a verified address.
    ///
    /// # Errors
    /// If the store refuses.
    pub async fn create_with(
        &self,
        name: &str,
        email: Option<&str>,
        scopes: &[Scope],
    ) -> Result<NewAccount, Error> {
        let made = self.account.provision(&self.billing, &user(name, email)).await.map_err(failed)?;
        self.with_key(made.user, made.workspace, name, scopes).await
    }

    /// Makes an account whose user can also sign in: as this subject of this issuer.
    ///
    /// # Errors
    /// If the store refuses, or the subject has an account.
    pub async fn create_for(
        &self,
        (issuer, subject): (&str, &str),
        name: &str,
        email: Option<&str>,
        scopes: &[Scope],
    ) -> Result<NewAccount, Error> {
        let new = user(name, email);
        let workspace = self.account.provision_identity(&self.billing, &new, issuer, subject).await;
        self.with_key(new.user, workspace.map_err(failed)?, name, scopes).await
    }

    async fn with_key(
        &self,
        user: UserId,
        workspace: WorkspaceId,
        name: &str,
        scopes: &[Scope],
    ) -> Result<NewAccount, Error> {
        let key = NewKey { name: name.to_owned(), scopes: scopes.to_vec(), expires_at: None };
        let key = self.account.create_key(user, workspace, key).await.map_err(failed)?;
        Ok(NewAccount { user, workspace, key })
    }

    /// Gives credits by hand; `false` if this source id has had its grant.
    ///
    /// # Errors
    /// If the store refuses.
    pub async fn give(&self, workspace: WorkspaceId, source_id: &str, credits: u64) -> Result<bool, Error> {
        let grant = Grant::new(GrantSource::Manual, source_id, credits);
        let given = self.billing.grant(&Book::credits(workspace), &grant).await;
        given.map_err(failed)
    }

    /// Charges credits until so many are left; nothing if there are fewer.
    ///
    /// # Errors
    /// If the store refuses.
    pub async fn leave(&self, workspace: WorkspaceId, credits: u64) -> Result<(), Error> {
        let book = Book::credits(workspace);
        let available = self.billing.standing(&book).await.map_err(failed)?.balance.available;
        let over = u64::try_from(available).unwrap_or(0).saturating_sub(credits);
        let plan = self.billing.plan(&book, over).await.map_err(failed)?;
        let mut transaction = Transaction::new();
        self.billing.charge_in(&mut transaction, &plan, "correction");
        transaction.commit().await.map_err(failed)
    }

    /// The users' and keys' side.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The credits' side.
    pub fn billing(&self) -> &Billing {
        &self.billing
    }
}

/// Somebody new.
fn user(name: &str, email: Option<&str>) -> NewUser {
    NewUser { user: UserId::new(), name: name.to_owned(), email: email.map(str::to_owned) }
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Seed(error.to_string())
}
