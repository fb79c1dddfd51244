//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): parsing, the storage key and the fingerprint. P14.

use serde::{Deserialize, Serialize};

use crate::{hex, sha256};

/// A caller's idempotency key, unquoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(String);

/// Why a header value is not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "an Idempotency-Key is 8 to 128 characters of A-Z a-z 0-9 _ . : ~ -, with or without double quotes around it"
)]
pub struct Malformed;

impl Key {
    /// Reads one header value, in the draft's quoted form or, as most clients send it, bare. Parameters behind a quoted value are ignored.
    pub fn parse(value: &str) -> Result<Self, Malformed> {
        let value = value.trim_matches([' ', '\t']);
        let bare = match value.strip_prefix('"') {
            Some(rest) => {
                let (inner, after) = rest.split_once('"').ok_or(Malformed)?;
                if !(after.is_empty() || after.starts_with(';')) {
                    return Err(Malformed);
                }
                inner
            }
            None => value,
        };
        let fine = (8..=128).contains(&bare.len())
            && bare
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':' | b'~' | b'-'));
        if fine { Ok(Self(bare.to_owned())) } else { Err(Malformed) }
    }

    /// The key under which a tenant's request is remembered: SHA-256 of tenant, NUL, key. Never the key alone.
    pub fn storage_key(&self, tenant: &str) -> String {
        hex(&sha256(&[tenant.as_bytes(), b"\0", self.0.as_bytes()]))
    }
}

/// What tells one request from another under the same key: SHA-256 of method LF path LF raw body.
///
/// The body is taken as sent: the same members in another order are another request.
pub fn fingerprint(method: &str, path: &str, body: &[u8]) -> String {
    hex(&sha256(&[method.as_bytes(), b"\n", path.as_bytes(), b"\n", body]))
}

/// A request that must have its effect once: who asks, under which key, for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// See [`Key::storage_key`].
    pub storage_key: String,
    /// See [`fingerprint`].
    pub fingerprint: String,
}

/// An answer kept so that a repeat gets it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// `Location`, if the answer had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The JSON body.
    pub body: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_values_parse_as_the_reference_suggests() {
        let uuid = "8e03978e-40d5-43e8-bc93-6894a57f9324";
        assert_eq!(Key::parse(&format!("\"{uuid}\"")), Ok(Key(uuid.into())));
        assert_eq!(Key::parse(uuid), Ok(Key(uuid.into())));
        assert_eq!(Key::parse("\"key-0001\";x=1"), Ok(Key("key-0001".into())));
        for wrong in [
            "",
            "\"\"",
            "abc",
            "\"é\"",
            "\"a\\\"bcdefgh\"",
            "\"a\", \"b\"",
            "aaaaaaaa, bbbbbbbb",
            "\"unclosed-key",
            &"k".repeat(129),
        ] {
            assert_eq!(Key::parse(wrong), Err(Malformed), "{wrong}");
        }
    }

    #[test]
    fn storage_key_and_fingerprint_match_the_reference_vectors() {
        let key = Key::parse("8e03978e-40d5-43e8-bc93-6894a57f9324").unwrap();
        assert_eq!(key.storage_key("t1"), "6cc4c753033078f6a5ff200ed17181ab42808858ec3fd287f0f66bb2fd23b938");
        assert_eq!(
            fingerprint("POST", "/v1/checkouts", br#"{"amount":"10.00","currency":"ZAR"}"#),
            "ff797fd5472675bf5dc1e2b3154461710b3f8ea5e159fc01c322bd0726d631d3"
        );
        assert_eq!(
            fingerprint("POST", "/v1/checkouts", br#"{"currency":"ZAR","amount":"10.00"}"#),
            "b2124838cd545f7e1c21ad5cbeb42a8569cca717a4684336cf549fdb82113b9d"
        );
    }
}
