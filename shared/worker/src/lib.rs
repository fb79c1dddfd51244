//! The queue, stream and schedule side of a function: a processor is `async fn(Deps, Message) -> Result<(), Failure>`.
//!
//! A message is handled at least once and in no order; what a processor does must be safe under repeats. [`Failure::Retry`]
//! leaves the message in its queue for a while, until the queue's own bound moves it to the dead-letter queue;
//! [`Failure::Reject`] moves it there at once, with the reason (P10).

mod failure;
mod queue;
mod schedule;
mod start;
mod stream;

pub use failure::Failure;
pub use queue::run_queue;
pub use schedule::run_schedule;
pub use stream::{StreamRecord, run_stream};
