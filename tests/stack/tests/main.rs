//! Whole-stack tests: the real function binaries behind the one-command stack, called as a customer would call them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking, in its helpers too")]

mod support;

mod bodies;
mod cancel;
mod chaos;
mod check;
mod credits;
mod cursors;
mod erasure;
mod export;
mod features;
mod files;
mod headers;
mod health;
mod idempotency;
mod isolation;
mod keys;
mod limits;
mod load;
mod logs;
mod mail;
mod metrics;
mod paddle;
mod payfast;
mod probe;
mod proving;
mod queries;
mod readme;
mod reports;
mod restart;
mod results;
mod sso;
mod sweep;
mod tasks;
mod tokens;
mod traces;
mod uploads;
mod upstream;
mod usage;
mod workspaces;
