//! `piecework create-key`: an account with an API key on a running stack.

use account::Scope;

use crate::accounts::Accounts;
use crate::{Error, StackFile};

/// Makes a new account with a key of these scopes (those for everyday use unless given) and gives the key.
///
/// # Errors
/// If a scope is unknown or the store refuses.
pub async fn create(stack: &StackFile, name: &str, scopes: &[String]) -> Result<String, Error> {
    let mut wanted =
        scopes.iter().map(|s| s.parse().map_err(Error::Seed)).collect::<Result<Vec<Scope>, _>>()?;
    if wanted.is_empty() {
        wanted = Scope::EVERYDAY.to_vec();
    }
    Ok(Accounts::of_file(stack)?.create(name, &wanted).await?.key.token)
}
