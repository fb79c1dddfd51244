//! The one-command stack: everything that `template.yaml` and its nested stacks declare, on one machine.
//!
//! The templates are the only list of routes, queues, tables and functions. The functions are the same binaries
//! that deploy, the services are embedded servers that speak AWS's wire protocols (or another emulator's: [`Cloud`]), and the data stays in a
//! folder.
//!
//! ```text
//! HTTP ──▶ front ──▶ sandboxes (function binaries) ──▶ DynamoDB  S3  SQS  KMS/Secrets/SSM
//!                        ▲                                │       │    │
//!                        └──────── pollers, clocks ◀──────┴───────┴────┘   streams, notifications, queues
//! ```

pub mod accounts;
pub mod cli;
pub mod cloud;
mod data;
pub mod demo;
pub mod elsewhere;
mod error;
mod files;
pub mod functions;
pub mod identity;
pub mod keys;
pub mod log;
pub mod openapi;
pub mod options;
pub mod purchase;
pub mod rehearsal;
pub mod seed;
pub mod services;
pub mod sources;
pub mod stack;
pub mod stack_file;
pub mod template;
mod till;
pub mod top_up;
pub mod traces;

pub use cloud::Cloud;
pub use error::Error;
pub use functions::{Profile, build_functions};
pub use options::{DataDir, Resolver, StackOptions};
pub use stack::{Endpoints, Stack};
pub use stack_file::StackFile;

/// `AWS::Region` here.
pub const REGION: &str = "us-east-1";
/// `AWS::AccountId` here.
pub const ACCOUNT_ID: &str = "000000000000";

/// An ARN of the stack's account and region.
pub(crate) fn arn(service: &str, resource: &str) -> String {
    format!("arn:aws:{service}:{REGION}:{ACCOUNT_ID}:{resource}")
}

/// The part of a table's stream ARN after the account. A table has one stream, and AWS names it by the time when it was enabled.
pub(crate) fn stream_of(table: &str) -> String {
    format!("table/{table}/stream/local")
}
