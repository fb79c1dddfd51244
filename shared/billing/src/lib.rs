//! The ledger: credits and wallet money as append-only double entries, and the payments that they come from.
//!
//! A [`Book`] is one owner's part of it. An entry moves an amount between two of a book's accounts: `granted`, `available`,
//! `held`, `spent`, `clawed` and `expired`. The balance item is a cache of the entries' sums, and `available` what remains of the
//! lots; both move in the same transaction as the entries do, under the condition that a debit is covered. Every operation here
//! *adds to* a transaction that its caller commits together with the change that is paid for, so that neither can happen without
//! the other. See `docs/decisions/ledger.md`.

mod book;
mod claims;
mod debit;
mod erase;
mod error;
mod export;
pub mod inbound;
mod ledger;
pub mod paddle;
pub mod payfast;
mod rules;
mod store;
mod wallet;

pub use archive::Order;
pub use book::Book;
pub use debit::Plan;
pub use error::Error;
pub use export::LedgerExport;
pub use ledger::{
    Balance, Claim, Credits, Entry, EntryId, EntryKind, Grant, GrantSource, Hold, Lot, LotId, Standing, Trail,
};
pub use rules::{Allocation, Clawback, allocate, give_back};
pub use store::{Billing, CREDITS_LABEL, SIGNUP_GRANT};
pub use wallet::Wallet;
