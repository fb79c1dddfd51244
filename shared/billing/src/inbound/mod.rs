//! The inbound hub: every call of a payment provider is kept before it is acted on, and can be acted on again.
//!
//! At the door a call is judged by nothing but itself: who signed it, how old it is, how long it is. What passes is stored in one
//! transaction with the event that brings it to its provider's queue, and answered at once. What does not pass is stored too, but
//! shortened and only so many an hour, so that strangers cannot fill the table.

mod record;
mod store;

pub use record::{Call, InboundCall, InboundDetail, InboundId, Outcome, Provider, Status};
pub use store::{Inbound, InboundMessage, Kept};
