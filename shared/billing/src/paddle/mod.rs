//! Paddle Billing: credits bought by card. See `docs/decisions/paddle.md`.
//!
//! What Paddle says of a transaction comes in any order and number. One item per transaction keeps the join of all of it
//! ([`deal`]); what is granted and taken back is a function of that join, and only the difference to what the lot has already is
//! entered. So no order and no repeat can make another balance.

mod apply;
mod checkout;
mod deal;
mod event;
mod prices;
mod signature;
#[cfg(test)]
mod tests;
mod webhook;

pub use apply::Paddle;
pub(crate) use apply::deal_key;
pub use checkout::{Checkout, CheckoutMade, NewCheckout, Purchase};
pub use prices::{Price, Prices};
pub use signature::{Refusal, sign, verify};
pub use webhook::PaddleDoor;
