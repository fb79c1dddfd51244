//! Templates, crates, roles, events, API description and delivery say the same.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod delivery;
mod environment;
mod events;
mod roles;
mod stacks;
mod watch;
