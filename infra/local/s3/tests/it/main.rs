//! The server through the real SDK and through plain HTTP.
#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod browser;
mod durability;
mod events;
mod listing;
mod multipart;
mod objects;
mod presigned;
mod support;
mod writes;
