//! Real function binaries (the crate's examples), real processes, real HTTP.

mod front;
mod invoke_api;
mod service;
mod support;
