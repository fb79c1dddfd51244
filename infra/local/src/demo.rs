//! `piecework demo`: the main jobs on real sample files.

use crate::{Error, StackFile};

/// Walks the main jobs on a running stack and writes what happened.
///
/// # Errors
/// If a job fails.
pub async fn run(_stack: &StackFile) -> Result<(), Error> {
    Err(Error::Seed("the demonstration is not written yet".to_owned()))
}
