//! Bearer tokens (P4): JWTs of several issuers at once, verified in the function itself.
//!
//! The order is that of RFC 8725: form and size, issuer by the allow-list, algorithm by the issuer's list, key, signature, and only
//! then the claims. Nothing in a token says where keys are fetched: `jku`, `x5u` and `jwk` are never looked at.
//! See `docs/decisions/bearer-tokens.md`.

mod claims;
pub(crate) mod issuer;
pub(crate) mod jws;
mod keys;
pub(crate) mod remote;
#[cfg(test)]
mod tests;

use aws::Outside;
use jiff::Timestamp;
use piecework_core::{Settings, settings::SettingError};
use serde_json::{Map, Value};

pub use claims::Verified;
use issuer::Issuer;
use jws::Jws;

use keys::Wanted;
use remote::{KeysError, RemoteKeys};

/// Why a token is refused. A caller is told: none of it helps to forge one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Longer than [`jws::MAX_TOKEN`].
    #[error("The token is too long.")]
    TooLong,
    /// Not a JWS in compact form with JSON objects in it, or with a member twice.
    #[error("The token is not a signed JWT.")]
    Malformed,
    /// A header that changes the meaning of the token and is not implemented (RFC 7515, section 4.1.11), or another type.
    #[error("The token is of a kind that is not taken here.")]
    Kind,
    /// `iss` is not one of the configured issuers.
    #[error("The token's issuer is not known here.")]
    Issuer,
    /// The algorithm is not one of the issuer's.
    #[error("The token's algorithm is not one that its issuer uses.")]
    Algorithm,
    /// The issuer has no such key.
    #[error("The token's key is not one of its issuer's.")]
    Key,
    /// The issuer's keys cannot be had, now.
    #[error("The issuer's keys cannot be fetched at present. Try again in a few seconds.")]
    Unreachable,
    /// The signature is another's.
    #[error("The token's signature does not fit.")]
    Signature,
    /// `exp` has passed.
    #[error("The token has expired.")]
    Expired,
    /// `nbf`, `iat` or `auth_time` is to come.
    #[error("The token is not valid yet.")]
    NotYet,
    /// `aud` names others.
    #[error("The token is meant for another audience.")]
    Audience,
    /// `azp` names another.
    #[error("The token was made for another party.")]
    Party,
    /// A claim that its kind of token must have is missing, or says something else.
    #[error("The token's claim {0:?} is missing or cannot be used.")]
    Claim(&'static str),
}

/// Verifies the tokens of all configured issuers.
#[derive(Clone)]
pub struct Tokens {
    trusted: std::sync::Arc<Vec<Trusted>>,
    admins: std::sync::Arc<Vec<String>>,
    outside: Outside,
}

struct Trusted {
    issuer: Issuer,
    keys: RemoteKeys,
}

impl Tokens {
    /// Reads `IDENTITY_ISSUERS`, `SUPABASE_JWT_SECRET` and `ADMIN_EMAILS`. Nothing is fetched before the first token.
    ///
    /// # Errors
    /// An issuer that cannot be used, by name. Outside `dev` a development issuer is one (P12).
    pub fn new(settings: &Settings) -> Result<Self, SettingError> {
        Self::of(issuer::configured(settings)?, settings)
    }

    /// Verifies the tokens of these issuers.
    pub(crate) fn of(issuers: Vec<Issuer>, settings: &Settings) -> Result<Self, SettingError> {
        let trusted = issuers.into_iter().map(|issuer| {
            let keys = RemoteKeys::new(&issuer, settings.environment);
            Trusted { issuer, keys }
        });
        Ok(Self {
            trusted: std::sync::Arc::new(trusted.collect()),
            admins: std::sync::Arc::new(issuer::admins(settings)?),
            outside: Outside::default(),
        })
    }

    /// What a token says, if it is good at this time.
    pub async fn verify(&self, token: &str, at: Timestamp) -> Result<Verified, TokenError> {
        Ok(self.verify_whole(token, at).await?.0)
    }

    /// What a token says, with all of its claims.
    pub(crate) async fn verify_whole(
        &self,
        token: &str,
        at: Timestamp,
    ) -> Result<(Verified, Map<String, Value>), TokenError> {
        let jws = Jws::parse(token)?;
        let named = jws.claims.get("iss").and_then(|iss| iss.as_str()).ok_or(TokenError::Issuer)?;
        let Trusted { issuer, keys } =
            self.trusted.iter().find(|t| t.issuer.name == named).ok_or(TokenError::Issuer)?;
        let algorithm = issuer.algorithms.iter().copied().find(|a| a.name() == jws.algorithm);
        let algorithm = algorithm.ok_or(TokenError::Algorithm)?;
        let good = match (&issuer.secret, algorithm) {
            (Some(secret), jws::Algorithm::HS256) => keys::verify_shared(secret, &jws),
            (_, jws::Algorithm::HS256) => return Err(TokenError::Algorithm),
            _ => {
                let wanted = Wanted { kid: jws.kid.as_deref(), algorithm, kidless: issuer.kidless };
                let found = keys.find(&wanted, at.as_second(), &self.outside).await;
                let found = found.map_err(|error| match error {
                    KeysError::Unknown => TokenError::Key,
                    KeysError::Unreachable => TokenError::Unreachable,
                })?;
                found.iter().any(|key| key.verify(algorithm, &jws))
            }
        };
        if !good {
            return Err(TokenError::Signature);
        }
        let mut verified = claims::check(issuer, &jws, at)?;
        verified.admin |= verified.email.as_ref().is_some_and(|email| {
            // Octet by octet, letters of ASCII in any case: a look-alike in another script is another address.
            self.admins.iter().any(|admin| admin.eq_ignore_ascii_case(email))
        });
        Ok((verified, jws.claims))
    }
}
