//! `piecework create-key`: an API key on a running stack.

use crate::{Error, StackFile};

/// Makes a key with these scopes and gives its secret text.
///
/// # Errors
/// If the stack refuses.
pub async fn create(_stack: &StackFile, _name: &str, _scopes: &[String]) -> Result<String, Error> {
    Err(Error::Seed("API keys are not wired to the stack yet".to_owned()))
}
