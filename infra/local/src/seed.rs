//! Sample data for the first run on a data folder.

use serde::{Deserialize, Serialize};

use crate::{Error, Stack};

/// What a newcomer needs of the sample data. Kept in the data folder.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Seeded {
    /// A key for the sample account.
    pub api_key: String,
    /// A key that may do all.
    pub admin_key: String,
}

/// Makes the sample data. Runs once per data folder, and again only if it did not end the first time.
///
/// # Errors
/// If a service refuses.
pub async fn seed(_stack: &Stack) -> Result<Seeded, Error> {
    Ok(Seeded::default())
}

/// A first request to paste.
pub fn first_request(base_url: &str, seeded: &Seeded) -> String {
    format!("curl -s {base_url}/v1/health -H 'authorization: Bearer {}'", seeded.api_key)
}
