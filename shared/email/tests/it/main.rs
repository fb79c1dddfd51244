//! The engine from outside.

mod isemail;
mod properties;
mod syntax;
mod verdict;
mod verify;
