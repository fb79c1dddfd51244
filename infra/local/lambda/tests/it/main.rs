//! Real function binaries (the crate's examples), real processes, real HTTP.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod front;
mod invoke_api;
mod service;
mod support;
