//! The providers that people sign in with: typed settings, and where their endpoints are.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use aws::Outside;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use piecework_core::{
    Settings,
    settings::{Environment, SettingError},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::{
    Error,
    token::issuer::{Issuer, asymmetric, reachable},
    token::jws::Algorithm,
    token::remote::discover,
};

/// The setting with the providers, a JSON array.
const PROVIDERS: &str = "SSO_PROVIDERS";
/// The setting with their secrets, a JSON object by name.
const SECRETS: &str = "SSO_SECRETS";
/// How long a provider may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
/// How long the discovery document is kept, seconds.
const KEPT: i64 = 86_400;

/// A provider.
pub(super) struct Provider {
    /// Its name in our paths.
    pub name: String,
    /// What its ID tokens must be.
    pub issuer: Issuer,
    pub client_id: String,
    pub scopes: String,
    /// Whether a verified address of it finds the user that another such provider made.
    pub link: bool,
    secret: Option<SecretString>,
    environment: Environment,
    endpoints: Mutex<Option<(Endpoints, i64)>>,
}

/// What of the discovery document a login needs.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Endpoints {
    pub authorization_endpoint: String,
    pub token_endpoint: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    issuer: String,
    client_id: String,
    scopes: Option<String>,
    algorithms: Option<Vec<Algorithm>>,
    #[serde(default)]
    link: bool,
}

/// The providers of the settings.
pub(super) fn configured(settings: &Settings) -> Result<Vec<Provider>, SettingError> {
    let unusable = |why: String| SettingError::Unusable { name: PROVIDERS, why };
    let Some(text) = settings.text(PROVIDERS) else { return Ok(Vec::new()) };
    let written: Vec<Written> = serde_json::from_str(text).map_err(|e| unusable(e.to_string()))?;
    let secrets = settings.text(SECRETS).unwrap_or("{}");
    // What is wrong with it is not said: it holds secrets.
    let mut secrets: std::collections::BTreeMap<String, SecretString> = serde_json::from_str(secrets)
        .map_err(|_| SettingError::Unusable {
            name: SECRETS,
            why: "must be a JSON object of texts".to_owned(),
        })?;
    let mut providers: Vec<Provider> = Vec::new();
    for one in written {
        let why = |why: &str| unusable(format!("{}: {why}", one.name));
        let plain = one.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !plain || one.name.is_empty() || providers.iter().any(|p| p.name == one.name) {
            return Err(why("a name is small letters, digits and hyphens, and stands once"));
        }
        if one.client_id.is_empty() {
            return Err(why("a provider needs its client_id"));
        }
        reachable(&one.issuer, settings.environment).map_err(|e| why(&e))?;
        let algorithms = asymmetric(one.algorithms.clone()).map_err(why)?;
        let scopes = one.scopes.clone().unwrap_or_else(|| "openid email profile".to_owned());
        if !scopes.split(' ').any(|scope| scope == "openid") {
            return Err(why("scopes must have openid"));
        }
        providers.push(Provider {
            issuer: Issuer::by_discovery(&one.issuer, &one.client_id, algorithms),
            secret: secrets.remove(&one.name),
            client_id: one.client_id,
            scopes,
            link: one.link,
            environment: settings.environment,
            endpoints: Mutex::default(),
            name: one.name,
        });
    }
    Ok(providers)
}

impl Provider {
    /// A provider that does not answer, or not as it should. Why goes to the log.
    pub(super) fn unreachable(&self, cause: &str) -> Error {
        let cause = format!("{}: {cause}", self.name);
        aws::Error::Unavailable { service: "the identity provider", cause }.into()
    }

    /// Its endpoints, by discovery, kept for a day.
    pub(super) async fn endpoints(&self, outside: &Outside, at: i64) -> Result<Endpoints, Error> {
        let kept = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((endpoints, until)) = kept
            && at < until
        {
            return Ok(endpoints);
        }
        let found = discover::<Endpoints>(&self.issuer.name, outside, PATIENCE).await;
        let found = found.map_err(|why| self.unreachable(&why))?;
        for endpoint in [&found.authorization_endpoint, &found.token_endpoint] {
            reachable(endpoint, self.environment).map_err(|why| self.unreachable(&why))?;
        }
        *self.endpoints.lock().unwrap_or_else(PoisonError::into_inner) = Some((found.clone(), at + KEPT));
        Ok(found)
    }

    /// Adds who we are: by Basic, which is the default (OpenID Connect Discovery 1.0, section 3), or in the form; a public client
    /// says its name alone.
    pub(super) fn authenticate<'a>(
        &'a self,
        endpoints: &Endpoints,
        form: &mut Vec<(&'static str, &'a str)>,
        headers: &mut Vec<(&'static str, String)>,
    ) {
        let methods = endpoints.token_endpoint_auth_methods_supported.as_deref();
        let basic = methods.is_none_or(|all| all.iter().any(|m| m == "client_secret_basic"));
        match &self.secret {
            Some(secret) if basic => {
                // Each part is form-encoded first (RFC 6749, section 2.3.1).
                let pair = format!("{}:{}", percent(&self.client_id), percent(secret.expose_secret()));
                headers.push(("authorization", format!("Basic {}", STANDARD.encode(pair))));
            }
            Some(secret) => {
                form.push(("client_id", &self.client_id));
                form.push(("client_secret", secret.expose_secret()));
            }
            None => form.push(("client_id", &self.client_id)),
        }
    }
}

/// All but the unreserved characters (RFC 3986, section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A value for a query or a form.
pub(super) fn percent(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, RESERVED)
}
