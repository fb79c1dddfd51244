//! Templates, crates, roles, events and API description say the same.

mod environment;
mod events;
mod roles;
mod stacks;
