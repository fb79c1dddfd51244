//! API keys: `pwk_<id><secret><checksum>`. The id finds the record, the secret proves it, and the checksum (as GitHub's tokens
//! have) lets a scanner or a typo be told from a real key without a look-up. Only a hash of the secret is kept (P5).

use jiff::Timestamp;
use piecework_core::{KeyId, UserId, WorkspaceId, hex, sha256};
use rand::RngExt as _;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use utoipa::ToSchema;

use crate::{Error, Scope, error::checked_name};

/// What a key begins with.
pub(crate) const PREFIX: &str = "pwk_";
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Octets of the id (a ULID), the secret (40 characters of 62: 238 bits) and the checksum.
const ID: usize = 26;
const SECRET: usize = 40;
const CHECKSUM: usize = 6;

/// A key as a caller presents it, taken apart.
#[derive(Debug)]
pub struct ApiKeyToken {
    /// Its public part.
    pub id: KeyId,
    secret: SecretString,
}

impl ApiKeyToken {
    /// A new key; the text is the only copy of the secret.
    pub(crate) fn generate() -> (Self, SecretString) {
        let id = KeyId::new();
        let mut rng = rand::rng();
        let secret: String =
            (0..SECRET).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())])).collect();
        let id_text = id.to_string();
        let body = format!("{}{secret}", id_text.trim_start_matches("key_"));
        let token = format!("{PREFIX}{body}{}", checksum(&body));
        (Self { id, secret: secret.into() }, token.into())
    }

    /// Takes a presented key apart; `None` if it is not one of ours in form.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(PREFIX)?;
        if rest.len() != ID + SECRET + CHECKSUM || !rest.is_ascii() {
            return None;
        }
        let (body, sum) = rest.split_at(ID + SECRET);
        if checksum(body) != sum {
            return None;
        }
        let (id, secret) = body.split_at(ID);
        Some(Self { id: format!("key_{id}").parse().ok()?, secret: secret.to_owned().into() })
    }

    /// The hash that is kept. The secret has 238 bits, so a plain SHA-256 cannot be searched.
    pub(crate) fn hash(&self) -> String {
        hex(&sha256(&[self.secret.expose_secret().as_bytes()]))
    }

    pub(crate) fn matches(&self, hash: &str) -> bool {
        self.hash().as_bytes().ct_eq(hash.as_bytes()).into()
    }
}

/// CRC-32 in base 62, six digits.
fn checksum(body: &str) -> String {
    let mut rest = crc32fast::hash(body.as_bytes()) as usize;
    let mut digits = [b'0'; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[rest % 62];
        rest /= 62;
    }
    digits.iter().map(|&d| char::from(d)).collect()
}

/// A key to be made.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// What people call it; 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100, example = "nightly import")]
    pub name: String,
    /// What it may do; nothing that its maker may not.
    #[schema(min_items = 1)]
    pub scopes: Vec<Scope>,
    /// When it stops working.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
}

impl NewKey {
    /// Whether it can be made at this time.
    pub(crate) fn check(&self, at: Timestamp) -> Result<(), Error> {
        let unusable = |pointer, detail| Err(Error::Unusable { pointer, detail });
        checked_name(&self.name)?;
        if self.scopes.is_empty() {
            return unusable("/scopes", "must have at least one scope");
        }
        if self.expires_at.is_some_and(|end| end <= at) {
            return unusable("/expires_at", "must be in the future");
        }
        Ok(())
    }
}

/// A key, without its secret.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ApiKey {
    /// Its public part.
    pub id: KeyId,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it stops working.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<Timestamp>,
    /// The key that replaces it, if it was rolled. It works until `expires_at` still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_to: Option<KeyId>,
}

/// How a key is replaced by a new one.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollKey {
    /// For how many seconds the old key works on; a day unless given, at most thirty, and never beyond its own end.
    #[serde(default = "RollKey::a_day")]
    #[schema(default = 86_400, maximum = 2_592_000)]
    pub grace_seconds: u32,
    /// When the new key stops working.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
}

impl RollKey {
    /// The longest grace, seconds.
    const MAX_GRACE: u32 = 2_592_000;

    fn a_day() -> u32 {
        86_400
    }

    pub(crate) fn check(&self, at: Timestamp) -> Result<(), Error> {
        let unusable = |pointer, detail| Err(Error::Unusable { pointer, detail });
        if self.grace_seconds > Self::MAX_GRACE {
            return unusable("/grace_seconds", "must be at most 2592000, which is thirty days");
        }
        if self.expires_at.is_some_and(|end| end <= at) {
            return unusable("/expires_at", "must be in the future");
        }
        Ok(())
    }
}

/// A new key: the one time that the whole of it is shown.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreatedKey {
    /// The key, without its secret.
    #[serde(flatten)]
    pub key: ApiKey,
    /// The key itself. It is not kept and cannot be shown again.
    pub token: String,
}

/// The stored record of a key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct KeyRecord {
    pub pk: String,
    pub sk: String,
    pub gsi1pk: String,
    pub gsi1sk: String,
    pub workspace: WorkspaceId,
    pub user: UserId,
    pub hash: String,
    #[serde(flatten)]
    pub key: ApiKey,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_parses_and_only_its_own_hash_matches() {
        let (token, text) = ApiKeyToken::generate();
        let parsed = ApiKeyToken::parse(text.expose_secret()).unwrap();
        assert_eq!(parsed.id, token.id);
        assert!(parsed.matches(&token.hash()));
        let (other, _) = ApiKeyToken::generate();
        assert!(!parsed.matches(&other.hash()));
    }

    #[test]
    fn one_wrong_character_is_told_without_a_look_up() {
        let (_, text) = ApiKeyToken::generate();
        let text = text.expose_secret();
        for at in 0..text.len() {
            let mut wrong = text.to_owned();
            let c = if &text[at..=at] == "a" { "b" } else { "a" };
            wrong.replace_range(at..=at, c);
            assert!(ApiKeyToken::parse(&wrong).is_none(), "{wrong}");
        }
        assert!(ApiKeyToken::parse("").is_none());
        assert!(ApiKeyToken::parse(&"é".repeat(40)).is_none());
    }
}
