//! `stack.json`: how scripts and other commands find a running stack.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::seed::Seeded;
use crate::stack::{Endpoints, Stack};
use crate::template::model::ResourceId;
use crate::{Error, data, files, identity};

const NAME: &str = "stack.json";
/// The same for a shell: `. .piecework/env.sh`.
const SHELL: &str = "env.sh";

/// The file's content. There while the stack is ready, and only then.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StackFile {
    /// The HTTP API.
    pub base_url: String,
    /// A key for the sample account.
    pub api_key: String,
    /// A key that may do all.
    pub admin_key: String,
    /// A bearer token for the sample account, good for a week.
    #[serde(default)]
    pub token: String,
    /// `dynamodb`, `s3`, `sqs`, `kms`, `ses`, `lambda`, `dns`, `smtp`, `issuer`, `paddle`, `payfast`.
    #[serde(flatten)]
    pub endpoints: Endpoints,
    /// `AWS_ACCESS_KEY_ID` for the services.
    pub access_key_id: String,
    /// `AWS_SECRET_ACCESS_KEY` for the services.
    pub secret_access_key: String,
    /// Table names by logical id, or `Nested/LogicalId` where two stacks use the same.
    pub tables: BTreeMap<String, String>,
    /// Queue URLs by logical id.
    pub queues: BTreeMap<String, String>,
    /// Bucket names by logical id.
    pub buckets: BTreeMap<String, String>,
    /// The data folder.
    pub data: PathBuf,
}

/// Logical ids, with the nested stack's before them where they are not unique.
fn labelled<'a>(items: impl Iterator<Item = (&'a ResourceId, String)> + Clone) -> BTreeMap<String, String> {
    let label = |id: &ResourceId| {
        let twins = items.clone().filter(|(other, _)| other.logical == id.logical).count();
        match id.stack.rsplit('-').next() {
            Some(nested) if twins > 1 => format!("{nested}/{}", id.logical),
            _ => id.logical.clone(),
        }
    };
    items.clone().map(|(id, value)| (label(id), value)).collect()
}

impl StackFile {
    /// Describes a stack.
    pub fn of(stack: &Stack, seeded: &Seeded) -> Self {
        let model = stack.model();
        let (access_key_id, secret_access_key) = stack.credentials();
        let queue_url = |name: &str| format!("{}/{}/{name}", stack.endpoints().sqs, crate::ACCOUNT_ID);
        Self {
            base_url: stack.base_url().to_owned(),
            api_key: seeded.api_key.clone(),
            admin_key: seeded.admin_key.clone(),
            token: identity::sample_token(stack.issuer()),
            endpoints: stack.endpoints().clone(),
            access_key_id,
            secret_access_key,
            tables: labelled(model.tables.iter().map(|t| (&t.id, t.name.clone()))),
            queues: labelled(model.queues.iter().map(|q| (&q.id, queue_url(&q.name)))),
            buckets: labelled(model.buckets.iter().map(|b| (&b.id, b.name.clone()))),
            data: stack.data().to_owned(),
        }
    }

    /// Writes it into the data folder.
    ///
    /// # Errors
    /// As the file system.
    pub fn write(&self) -> Result<(), Error> {
        let shell = format!(
            "export BASE_URL='{}'\nexport API_KEY='{}'\nexport ADMIN_KEY='{}'\nexport TOKEN='{}'\nexport ISSUER='{}'\nexport PAYFAST='{}'\n",
            self.base_url,
            self.api_key,
            self.admin_key,
            self.token,
            self.endpoints.issuer,
            self.endpoints.payfast
        );
        files::replace(&self.data.join(SHELL), shell.as_bytes())?;
        Ok(files::replace(&self.data.join(NAME), &serde_json::to_vec_pretty(self)?)?)
    }

    /// Removes it: the stack is not ready, or no more.
    pub fn remove(folder: &Path) {
        // Absent is as good as removed.
        let _ = std::fs::remove_file(folder.join(NAME));
        let _ = std::fs::remove_file(folder.join(SHELL));
    }

    /// Reads that of a running stack.
    ///
    /// # Errors
    /// If no stack runs on the folder, or it is not ready yet.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let not_running = || Error::NotRunning(folder.to_owned());
        let bytes = std::fs::read(folder.join(NAME)).map_err(|_| not_running())?;
        if !data::in_use(folder) {
            return Err(not_running());
        }
        Ok(serde_json::from_slice(&bytes)?)
    }
}
