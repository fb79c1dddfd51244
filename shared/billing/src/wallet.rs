//! A wallet as its owner sees it (S6).

use piecework_core::{Currency, Page, PageRequest, UserId, WorkspaceId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Balance, Billing, Book, Entry, Error};

/// A user's money in one currency, in cents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Wallet {
    /// Which currency.
    pub currency: Currency,
    /// By account; `available` is what can be spent.
    pub balance: Balance,
    /// What moved it, newest first.
    pub transactions: Page<Entry>,
}

impl Billing {
    /// A user's wallet in rand: the balance, and a page of its entries. Two queries. Somebody who never paid has an empty one.
    pub async fn wallet(
        &self,
        user: UserId,
        workspace: WorkspaceId,
        page: &PageRequest,
    ) -> Result<(Balance, aws::Found<Entry>), Error> {
        let book = Book::wallet(user, Currency::ZAR, workspace);
        let standing = self.standing(&book).await?;
        Ok((standing.balance, self.history(&book, page).await?))
    }
}
