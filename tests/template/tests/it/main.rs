//! Templates, crates, roles, events and API description say the same.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod environment;
mod events;
mod roles;
mod stacks;
