//! Sample data for the first run on a data folder.

use account::Scope;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::accounts::Accounts;
use crate::{Error, Stack, identity};

/// What a newcomer needs of the sample data. Kept in the data folder.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Seeded {
    /// A key for the sample account.
    pub api_key: String,
    /// A key that may do all, of an account of its own.
    pub admin_key: String,
}

/// Makes the sample data: an account for a newcomer with a verified list, and one for an operator. Runs once per data folder,
/// and again only if it did not end the first time.
///
/// # Errors
/// If a service refuses.
pub async fn seed(stack: &Stack) -> Result<Seeded, Error> {
    let accounts = Accounts::of(stack)?;
    let common = [Scope::EVERYDAY, &[Scope::Keys, Scope::Workspaces]].concat();
    let personal = [&common[..], &[Scope::Personal]].concat();
    let (who, email) = ((identity::CLERK, identity::SAMPLE), Some("sample@example.com"));
    let sample = match accounts.create_for(who, "sample", email, &personal).await {
        Ok(sample) => sample,
        // The first time did not end: there is somebody by that name.
        Err(_) => accounts.create_with("sample", email, &personal).await?,
    };
    let operator = accounts.create("operator", &[&common[..], &[Scope::Admin]].concat()).await?;
    let list = json!({
        "name": "a first list",
        "emails": ["ada@gmail.com", "bob@gmial.com", "info@acme.corp.example", "temp@mailinator.com", "nobody@nowhere.example",
            "eve@nullmx.test", "not an address", "Ada@gmail.com"]
    });
    let request = reqwest::Client::new()
        .post(format!("{}/v1/verification/tasks", stack.base_url()))
        .header("x-api-key", &sample.key.token)
        .json(&list);
    let answer = request.send().await.map_err(|e| Error::Seed(e.to_string()))?;
    if answer.status() != 202 {
        return Err(Error::Seed(format!("{}: {}", answer.status(), answer.text().await.unwrap_or_default())));
    }
    Ok(Seeded { api_key: sample.key.token, admin_key: operator.key.token })
}

/// A first request to paste.
pub fn first_request(base_url: &str, seeded: &Seeded) -> String {
    format!(
        "curl -s {base_url}/v1/verify -H 'x-api-key: {}' -H 'content-type: application/json' -d '{{\"email\":\"ada@gmial.com\"}}'",
        seeded.api_key
    )
}
