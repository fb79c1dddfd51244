//! The form of a token: JWS compact serialization (RFC 7515, section 3.1). Pure.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::{Map, Value};

use super::TokenError;

/// The longest token that is looked at, octets. The gateway takes 10,240 for the request line and all fields.
pub(crate) const MAX_TOKEN: usize = 8192;

/// A signature algorithm that an issuer may be allowed (RFC 7518, RFC 8037). `none` is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Algorithm {
    RS256,
    ES256,
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// With a secret that both sides have.
    HS256,
}

impl Algorithm {
    /// Its name in a header: compared as it stands, letters in another case are another name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::ES256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::HS256 => "HS256",
        }
    }
}

/// A token taken apart. Nothing of it is believed yet.
#[derive(Debug)]
pub(crate) struct Jws<'a> {
    /// `alg`, as it says itself.
    pub algorithm: String,
    /// `kid`.
    pub kid: Option<String>,
    /// `typ`, in small letters and without `application/`.
    pub kind: Option<String>,
    /// The claims.
    pub claims: Map<String, Value>,
    /// What was signed: the first two parts as they came.
    pub signed: &'a str,
    /// The signature's octets.
    pub signature: Vec<u8>,
}

impl<'a> Jws<'a> {
    pub(crate) fn parse(token: &'a str) -> Result<Self, TokenError> {
        if token.len() > MAX_TOKEN {
            return Err(TokenError::TooLong);
        }
        let malformed = TokenError::Malformed;
        let (signed, signature) = token.rsplit_once('.').ok_or(malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(malformed)?;
        if payload.contains('.') {
            return Err(malformed);
        }
        let header = object(header)?;
        let text = |name: &str| match header.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(malformed),
        };
        // Nothing that must be understood is: `b64` least of all.
        if header.contains_key("crit") || header.contains_key("b64") || header.contains_key("zip") {
            return Err(TokenError::Kind);
        }
        let kind = text("typ")?.map(|typ| {
            let typ = typ.to_ascii_lowercase();
            typ.strip_prefix("application/").map(str::to_owned).unwrap_or(typ)
        });
        if kind.as_deref().is_some_and(|kind| !["jwt", "at+jwt"].contains(&kind)) {
            return Err(TokenError::Kind);
        }
        Ok(Self {
            algorithm: text("alg")?.ok_or(malformed)?,
            kid: text("kid")?,
            kind,
            claims: object(payload)?,
            signed,
            signature: octets(signature)?,
        })
    }
}

/// Base64url without padding and without stray bits: one spelling for each octet string.
fn octets(text: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Malformed)
}

fn object(part: &str) -> Result<Map<String, Value>, TokenError> {
    let Members(map) = serde_json::from_slice(&octets(part)?).map_err(|_| TokenError::Malformed)?;
    Ok(map)
}

/// A JSON object in which no name stands twice: which of two is meant is a matter of the parser (RFC 7519, section 4).
struct Members(Map<String, Value>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Once;
        impl<'de> Visitor<'de> for Once {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Members, A::Error> {
                let mut map = Map::new();
                while let Some((name, value)) = access.next_entry::<String, Value>()? {
                    if map.insert(name, value).is_some() {
                        return Err(A::Error::custom("a member stands twice"));
                    }
                }
                Ok(Members(map))
            }
        }
        deserializer.deserialize_map(Once)
    }
}
