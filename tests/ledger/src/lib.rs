//! A checker of the ledger that shares no code with it.
//!
//! [`generate`] makes a random history from a seed: purchases and what becomes of them, gifts, lists and checks, in an order in
//! which a provider and a customer might come by. A driver (`tests/`) plays it against a running stack and brings back
//! [`Evidence`]: answers of the API and rows of the tables. [`check`] holds that against what must be so of any history, and
//! against [`Model`], a simple ledger written from the rules and not from the code.

mod check;
mod evidence;
mod history;
mod model;
mod shrink;

pub use check::{Fault, check};
pub use evidence::{Evidence, Outcome, number, text};
pub use history::{Action, Adjustment, CENTS, History, Line, PRICES, Purchase, Said, Step, Word, generate};
pub use model::{Accounts, Lot, Model, Source};
pub use shrink::smaller;
