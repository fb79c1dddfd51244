//! Whose money or credits: a book is one owner's part of the ledger, and moves on its own.

use piecework_core::{Currency, UserId, WorkspaceId};

/// One owner's part of the ledger: a partition of the table, with a balance, lots, holds and entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Book {
    /// The partition.
    pub(crate) pk: String,
    /// Whose events tell of it.
    pub(crate) workspace: WorkspaceId,
    /// `credits` or `wallet`, as in `billing.credits.granted`.
    pub(crate) kind: &'static str,
}

impl Book {
    /// A workspace's credits.
    pub fn credits(workspace: WorkspaceId) -> Self {
        Self { pk: format!("WSP#{workspace}"), workspace, kind: "credits" }
    }

    /// A user's money in a currency. Its events are told to `workspace`, the user's own.
    pub fn wallet(user: UserId, currency: Currency, workspace: WorkspaceId) -> Self {
        Self { pk: format!("WALLET#{user}#{currency}"), workspace, kind: "wallet" }
    }
}
