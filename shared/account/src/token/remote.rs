//! An issuer's keys, fetched and kept by a sandbox.
//!
//! They are fetched on first use, kept as long as the issuer says within bounds, served stale while it does not answer, and fetched
//! anew for an unknown `kid` at most twice a minute, so that tokens with invented ones do not become requests to the issuer.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws::Outside;
use piecework_core::settings::Environment;
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    issuer::{Issuer, Source, reachable},
    keys::{KeySet, PublicKey, Wanted},
};

/// How long a fetch may take in all, with discovery.
const PATIENCE: Duration = Duration::from_millis(2500);
/// The longest document that is taken, octets.
pub(crate) const MAX_DOCUMENT: usize = 256 * 1024;
/// How long keys are fresh, seconds: at least, unless the issuer says, and at most.
const FRESH: (i64, i64, i64) = (300, 3600, 86_400);
/// How long keys that are no longer fresh serve while the issuer does not answer, seconds.
const STALE: i64 = 86_400;
/// Between two fetches while there are keys, seconds.
const PAUSE: i64 = 30;
/// Between two fetches while there are none, seconds.
const RETRY: i64 = 5;

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeysError {
    /// The issuer has no such key.
    Unknown,
    /// The issuer's keys cannot be had.
    Unreachable,
}

/// The keys of one issuer.
pub(crate) struct RemoteKeys {
    issuer: String,
    source: Source,
    environment: Environment,
    kept: Mutex<Kept>,
    /// Who fetches: the others wait for what comes of it.
    turn: tokio::sync::Mutex<()>,
}

/// What a sandbox has of an issuer. Times are epoch seconds of the wall clock: a frozen sandbox's other clocks may stand still.
#[derive(Default)]
struct Kept {
    keys: Option<Arc<KeySet>>,
    fresh_until: i64,
    tried_at: Option<i64>,
}

/// What to do for a token.
enum Step {
    Answer(Result<Vec<PublicKey>, KeysError>),
    Fetch,
}

impl Kept {
    fn step(&self, wanted: &Wanted<'_>, at: i64) -> Step {
        // A clock that was set back counts as time enough.
        let since = self.tried_at.map_or(i64::MAX, |tried| if at < tried { i64::MAX } else { at - tried });
        let Some(keys) = self.keys.as_ref().filter(|_| at < self.fresh_until + STALE) else {
            return if since >= RETRY { Step::Fetch } else { Step::Answer(Err(KeysError::Unreachable)) };
        };
        let found = keys.find(wanted);
        if since >= PAUSE && (at >= self.fresh_until || found.is_empty()) {
            return Step::Fetch;
        }
        Step::Answer(if found.is_empty() { Err(KeysError::Unknown) } else { Ok(found) })
    }
}

impl RemoteKeys {
    pub(crate) fn new(issuer: &Issuer, environment: Environment) -> Self {
        Self {
            issuer: issuer.name.clone(),
            source: issuer.source.clone(),
            environment,
            kept: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// The keys that a token may mean.
    pub(crate) async fn find(
        &self,
        wanted: &Wanted<'_>,
        at: i64,
        outside: &Outside,
    ) -> Result<Vec<PublicKey>, KeysError> {
        if let Step::Answer(answer) = self.kept().step(wanted, at) {
            return answer;
        }
        let _turn = self.turn.lock().await;
        // Somebody may have fetched while this one waited.
        if let Step::Answer(answer) = self.kept().step(wanted, at) {
            return answer;
        }
        let fetched = match tokio::time::timeout(PATIENCE, self.fetch(outside)).await {
            Ok(fetched) => fetched,
            Err(_) => Err(format!("no keys within {PATIENCE:?}")),
        };
        let mut kept = self.kept();
        kept.tried_at = Some(at);
        match fetched {
            Ok((keys, fresh)) => {
                kept.keys = Some(Arc::new(keys));
                kept.fresh_until = at + fresh;
            }
            Err(cause) => tracing::warn!(issuer = self.issuer, cause, "the issuer's keys cannot be fetched"),
        }
        match kept.step(wanted, at) {
            Step::Answer(answer) => answer,
            Step::Fetch => Err(KeysError::Unreachable),
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The keys, and for how long they are fresh.
    async fn fetch(&self, outside: &Outside) -> Result<(KeySet, i64), String> {
        let url = match &self.source {
            Source::Keys(url) => url.clone(),
            Source::Discovery => {
                #[derive(Deserialize)]
                struct Keys {
                    jwks_uri: String,
                }
                let found: Keys = discover(&self.issuer, outside, PATIENCE).await?;
                reachable(&found.jwks_uri, self.environment)?;
                found.jwks_uri
            }
        };
        let got = outside.get(&url, PATIENCE, MAX_DOCUMENT).await.map_err(|e| e.to_string())?;
        let keys = KeySet::parse(&got.body).ok_or("the answer is no key set")?;
        let said = got.max_age.map_or(FRESH.1, |age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
        Ok((keys, said.clamp(FRESH.0, FRESH.2)))
    }
}

/// What is wanted of an issuer's discovery document (OpenID Connect Discovery 1.0, section 4), which must be its own.
pub(crate) async fn discover<T: DeserializeOwned>(
    issuer: &str,
    outside: &Outside,
    patience: Duration,
) -> Result<T, String> {
    #[derive(Deserialize)]
    struct Document<T> {
        issuer: String,
        #[serde(flatten)]
        wanted: T,
    }
    let base = issuer.strip_suffix('/').unwrap_or(issuer);
    let url = format!("{base}/.well-known/openid-configuration");
    let got = outside.get(&url, patience, MAX_DOCUMENT).await.map_err(|e| e.to_string())?;
    let document: Document<T> = serde_json::from_slice(&got.body).map_err(|e| e.to_string())?;
    if document.issuer != issuer {
        return Err("the discovery document is another issuer's".to_owned());
    }
    Ok(document.wanted)
}
