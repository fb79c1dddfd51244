//! KMS, Secrets Manager and SSM: awsim's on one port, kept in snapshot files, or another cloud's.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use awsim_core::{AppState, RequestContext, ServiceHandler};
use awsim_kms::KmsService;
use awsim_secretsmanager::SecretsManagerService;
use awsim_ssm::SsmService;
use rand::RngExt as _;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::wire::{Api, Wire};
use crate::template::model::{Model, Plain, ResourceId};
use crate::{ACCOUNT_ID, Error, REGION};

/// How often changes go to disk.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(1);

type Handlers = Vec<Arc<dyn ServiceHandler>>;

/// The services.
pub struct Keys(Side);

enum Side {
    Embedded(Awsim),
    Elsewhere(Wire),
}

/// awsim, in this process.
struct Awsim {
    handlers: Handlers,
    folder: PathBuf,
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl Keys {
    /// Those of another cloud, which keeps them itself.
    pub(crate) fn elsewhere(wire: Wire) -> Self {
        Self(Side::Elsewhere(wire))
    }

    /// Restores the snapshots in `folder` and serves.
    ///
    /// # Errors
    /// If a snapshot cannot be read.
    pub async fn start(listener: TcpListener, folder: PathBuf) -> Result<Self, Error> {
        std::fs::create_dir_all(&folder)?;
        let handlers: Handlers = vec![
            Arc::new(KmsService::new()),
            Arc::new(SecretsManagerService::new()),
            Arc::new(SsmService::new()),
        ];
        let mut state = AppState::new(REGION.to_owned(), ACCOUNT_ID.to_owned());
        for handler in &handlers {
            match std::fs::read(folder.join(handler.service_name())) {
                Ok(bytes) => handler.restore(&bytes).map_err(Error::Snapshot)?,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(e.into()),
            }
            state.register(handler.clone(), Vec::new());
        }
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        let router = axum::Router::new().fallback(awsim_core::gateway::handle_request).with_state(state);
        let token = stop.clone();
        tasks.spawn(async move {
            let server = axum::serve(listener, router).with_graceful_shutdown(token.cancelled_owned());
            if let Err(error) = server.await {
                tracing::error!(%error, "KMS, Secrets Manager and SSM stopped");
            }
        });
        let (all, path, token) = (handlers.clone(), folder.clone(), stop.clone());
        tasks.spawn(async move {
            let mut written = BTreeMap::new();
            while token.run_until_cancelled(tokio::time::sleep(SNAPSHOT_EVERY)).await.is_some() {
                if let Err(error) = save(&all, &path, &mut written) {
                    tracing::warn!(%error, "snapshot failed");
                }
            }
        });
        Ok(Self(Side::Embedded(Awsim { handlers, folder, tasks, stop })))
    }

    /// Makes the keys, aliases, secrets and parameters that are not there, and gives the ids of keys and secrets.
    ///
    /// # Errors
    /// If a service refuses.
    pub async fn ensure(&self, model: &Model) -> Result<BTreeMap<ResourceId, String>, Error> {
        let mut ids = BTreeMap::new();
        for key in &model.keys {
            ids.insert(key.id.clone(), self.key(key).await?);
        }
        for secret in &model.secrets {
            ids.insert(secret.id.clone(), self.secret(secret).await?);
        }
        for parameter in &model.parameters {
            let name = json!({"Name": parameter.name});
            if self.call("ssm", "GetParameter", &name).await.is_err() {
                let p = &parameter.properties;
                let put = json!({"Name": parameter.name, "Value": p["Value"], "Type": p["Type"]});
                self.must("ssm", "PutParameter", put, parameter).await?;
            }
        }
        self.save()?;
        Ok(ids)
    }

    /// Makes the aliases that the templates declare; their keys must be known by now.
    ///
    /// # Errors
    /// If the service refuses.
    pub async fn ensure_aliases(&self, aliases: &[Plain]) -> Result<(), Error> {
        for alias in aliases {
            self.alias(&alias.name, &alias.properties["TargetKeyId"], alias).await?;
        }
        self.save()
    }

    fn save(&self) -> Result<(), Error> {
        match &self.0 {
            Side::Embedded(awsim) => save(&awsim.handlers, &awsim.folder, &mut BTreeMap::new()),
            Side::Elsewhere(_) => Ok(()),
        }
    }

    /// A key is found again by an alias of its own, since the service chooses its id.
    async fn key(&self, key: &Plain) -> Result<String, Error> {
        let alias = format!("alias/stack/{}", key.id);
        if let Ok(found) = self.call("kms", "DescribeKey", &json!({"KeyId": alias})).await {
            return Ok(text(&found["KeyMetadata"]["KeyId"]));
        }
        let mut create = Map::new();
        for name in ["Description", "KeySpec", "KeyUsage", "MultiRegion"] {
            if let Some(value) = key.properties.get(name) {
                create.insert(name.to_owned(), value.clone());
            }
        }
        let made = self.must("kms", "CreateKey", create.into(), key).await?;
        let id = &made["KeyMetadata"]["KeyId"];
        self.alias(&alias, id, key).await?;
        Ok(text(id))
    }

    async fn alias(&self, name: &str, key: &Value, of: &Plain) -> Result<(), Error> {
        if self.call("kms", "DescribeKey", &json!({"KeyId": name})).await.is_err() {
            self.must("kms", "CreateAlias", json!({"AliasName": name, "TargetKeyId": key}), of).await?;
        }
        Ok(())
    }

    async fn secret(&self, secret: &Plain) -> Result<String, Error> {
        if let Ok(found) =
            self.call("secretsmanager", "DescribeSecret", &json!({"SecretId": secret.name})).await
        {
            return Ok(text(&found["ARN"]));
        }
        let p = &secret.properties;
        let value = match &p["SecretString"] {
            Value::Null => generate(&p["GenerateSecretString"])?,
            given => given.clone(),
        };
        let token = format!("{:032x}", rand::random::<u128>());
        let create = json!({"Name": secret.name, "SecretString": value, "ClientRequestToken": token});
        let made = self.must("secretsmanager", "CreateSecret", create, secret).await?;
        Ok(text(&made["ARN"]))
    }

    async fn must(&self, service: &str, operation: &str, input: Value, of: &Plain) -> Result<Value, Error> {
        let refused = |reason| Error::Resource { id: of.id.to_string(), reason };
        self.call(service, operation, &input).await.map_err(refused)
    }

    async fn call(&self, service: &str, operation: &str, input: &Value) -> Result<Value, String> {
        let awsim = match &self.0 {
            Side::Embedded(awsim) => awsim,
            Side::Elsewhere(wire) => {
                let api = match service {
                    "kms" => Api::Kms,
                    "secretsmanager" => Api::SecretsManager,
                    _ => Api::Ssm,
                };
                return wire.call(api, operation, input).await.map_err(|e| e.to_string());
            }
        };
        let context = RequestContext {
            account_id: ACCOUNT_ID.to_owned(),
            region: REGION.to_owned(),
            service: service.to_owned(),
            internal_bypass: true,
            ..RequestContext::default()
        };
        let handler = awsim.handlers.iter().find(|h| h.service_name() == service);
        let handler = handler.ok_or_else(|| format!("no service {service}"))?;
        let answer = handler.handle(operation, input.clone(), &context).await;
        answer.map_err(|e| format!("{operation}: {} {}", e.code, e.message))
    }

    /// Writes what has changed and ends the server.
    pub async fn stop(mut self) {
        if let Side::Embedded(awsim) = &mut self.0 {
            awsim.stop.cancel();
            let ended = async { while awsim.tasks.join_next().await.is_some() {} };
            let _ = tokio::time::timeout(Duration::from_secs(1), ended).await;
        }
        if let Err(error) = self.save() {
            tracing::error!(%error, "last snapshot failed");
        }
    }
}

/// Writes the services whose state is not what `written` remembers.
fn save(
    handlers: &Handlers,
    folder: &std::path::Path,
    written: &mut BTreeMap<String, u64>,
) -> Result<(), Error> {
    for handler in handlers {
        let Some(bytes) = handler.snapshot() else { continue };
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let name = handler.service_name();
        if written.insert(name.to_owned(), hasher.finish()) != Some(hasher.finish()) {
            crate::files::replace(&folder.join(name), &bytes)?;
        }
    }
    Ok(())
}

/// `GenerateSecretString`: a password, or a JSON template with the password under a key.
fn generate(rules: &Value) -> Result<Value, Error> {
    if !rules.is_object() {
        return Ok("".into());
    }
    let length = crate::template::intrinsics::scalar(&rules["PasswordLength"]);
    let length = length.and_then(|n| n.parse().ok()).unwrap_or(32);
    let set = |key: &str| rules[key] == true || rules[key] == "true";
    let excluded = rules["ExcludeCharacters"].as_str().unwrap_or_default();
    let mut alphabet: Vec<char> = ('!'..='~').filter(|c| !excluded.contains(*c)).collect();
    alphabet.retain(|c| !(set("ExcludePunctuation") && c.is_ascii_punctuation()));
    alphabet.retain(|c| !(set("ExcludeNumbers") && c.is_ascii_digit()));
    alphabet.retain(|c| !(set("ExcludeUppercase") && c.is_ascii_uppercase()));
    alphabet.retain(|c| !(set("ExcludeLowercase") && c.is_ascii_lowercase()));
    if alphabet.is_empty() {
        return Err(Error::Snapshot("GenerateSecretString excludes every character".to_owned()));
    }
    let mut rng = rand::rng();
    let password: String = (0..length).map(|_| alphabet[rng.random_range(0..alphabet.len())]).collect();
    let (Some(template), Some(key)) =
        (rules["SecretStringTemplate"].as_str(), rules["GenerateStringKey"].as_str())
    else {
        return Ok(password.into());
    };
    let mut object: Value = serde_json::from_str(template)?;
    object[key] = password.into();
    Ok(object.to_string().into())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
