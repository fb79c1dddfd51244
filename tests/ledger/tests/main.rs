//! Random histories against a running stack, judged by a checker that knows none of its code.
//!
//! `HISTORIES=100000` plays more of them, `SEED=7` plays one again, `AT_ONCE=20` says how many at a
//! time, `SANDBOXES=5` how many of each function, `HAVOC=2` plans a fault for every second of them,
//! `LOG=file` keeps what functions say, and `SHRINK=0` does not look for a smaller history that fails.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking, in its helpers too")]

mod driver;
mod letters;
mod paddle;
mod permutations;
mod random;
mod sayings;
mod tables;
