//! The server as `aws-sdk-sqs` sees it over HTTP.

mod batches;
mod durability;
mod fifo;
mod load;
mod messages;
mod queues;
mod support;
mod wire;
