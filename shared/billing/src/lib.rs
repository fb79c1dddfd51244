//! Credits: grants, holds, settlements and refunds as a ledger of append-only double entries.
//!
//! An entry moves credits between two of a workspace's accounts: `available`, `held`, `spent`, and the source of a grant. The
//! balance item is a cache of the entries' sums; it moves in the same transaction as they do, under the condition that
//! `available` stays at or above zero. Every operation here *adds to* a transaction that its caller commits together with the
//! change that is paid for, so that neither can happen without the other.

mod error;
mod ledger;
pub mod payfast;
mod rules;
mod store;

pub use error::Error;
pub use ledger::{Balance, Credits, Entry, EntryKind, Grant, GrantSource, Hold, Lot, LotId};
pub use rules::{Allocation, allocate, give_back};
pub use store::{Billing, CREDITS_LABEL, Plan, SIGNUP_GRANT};
