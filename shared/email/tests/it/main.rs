//! The engine from outside.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests may fail a test")]

mod isemail;
mod properties;
mod schema;
mod syntax;
mod verdict;
mod verify;
