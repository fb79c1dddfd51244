//! The server as `aws-sdk-sqs` sees it over HTTP.
#![expect(clippy::unwrap_used, reason = "clippy exempts test functions, not the helpers they share")]

mod batches;
mod durability;
mod fifo;
mod load;
mod messages;
mod queues;
mod support;
mod wire;
