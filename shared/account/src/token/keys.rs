//! Public keys and what they prove. A key has one type, and is used with the algorithms of that type alone: an RSA key's text is
//! never a secret for HMAC. Pure.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{hmac, signature};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::Value;

use super::jws::{Algorithm, Jws};

/// Keys of one set that are looked at; no issuer has more than a few.
const MAX_KEYS: usize = 64;
/// The shortest RSA modulus that is taken: 2048 bits (RFC 7518, section 3.3).
const MIN_MODULUS: usize = 256;

/// A public key and what its set says of it.
#[derive(Debug, Clone)]
pub(crate) struct PublicKey {
    kid: Option<String>,
    material: Material,
}

#[derive(Debug, Clone)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// The uncompressed point.
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// The key that a token asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub kid: Option<&'a str>,
    pub algorithm: Algorithm,
    /// Whether a token without `kid` may use the only key that fits.
    pub kidless: bool,
}

/// A JSON Web Key Set (RFC 7517). Keys of other types and uses are passed over, so that one of them does not spoil the set.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeySet(Vec<PublicKey>);

#[derive(Deserialize)]
struct Written {
    kty: String,
    kid: Option<String>,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a set; `None` if it is not one.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_slice(body).ok()?;
        let keys = set.keys.into_iter().take(MAX_KEYS);
        Some(Self(
            keys.filter_map(|key| serde_json::from_value(key).ok()).filter_map(PublicKey::read).collect(),
        ))
    }

    /// The keys that a token may mean.
    pub(crate) fn find(&self, wanted: &Wanted<'_>) -> Vec<PublicKey> {
        let fitting = || self.0.iter().filter(|key| key.material.fits(wanted.algorithm));
        match wanted.kid {
            Some(kid) => fitting().filter(|key| key.kid.as_deref() == Some(kid)).cloned().collect(),
            None if wanted.kidless && fitting().count() == 1 => fitting().cloned().collect(),
            None => Vec::new(),
        }
    }
}

impl PublicKey {
    fn read(key: Written) -> Option<Self> {
        if key.r#use.is_some_and(|u| u != "sig") {
            return None;
        }
        if key.key_ops.is_some_and(|ops| !ops.iter().any(|op| op == "verify")) {
            return None;
        }
        let octets = |text: Option<String>| URL_SAFE_NO_PAD.decode(text?).ok();
        let material = match (key.kty.as_str(), key.crv.as_deref()) {
            ("RSA", _) => {
                let n = octets(key.n)?;
                let n: Vec<u8> = n.into_iter().skip_while(|octet| *octet == 0).collect();
                (n.len() >= MIN_MODULUS).then_some(())?;
                Material::Rsa { n, e: octets(key.e)? }
            }
            ("EC", Some("P-256")) => {
                let (x, y) = (octets(key.x)?, octets(key.y)?);
                (x.len() == 32 && y.len() == 32).then_some(())?;
                Material::P256([&[4][..], &x, &y].concat())
            }
            ("OKP", Some("Ed25519")) => {
                let x = octets(key.x)?;
                (x.len() == 32).then_some(())?;
                Material::Ed25519(x)
            }
            _ => return None,
        };
        if key.alg.is_some_and(|alg| alg != material.algorithm().name()) {
            return None;
        }
        Some(Self { kid: key.kid, material })
    }

    /// Whether this key made the token's signature.
    pub(crate) fn verify(&self, algorithm: Algorithm, jws: &Jws<'_>) -> bool {
        if !self.material.fits(algorithm) {
            return false;
        }
        let (message, signature) = (jws.signed.as_bytes(), jws.signature.as_slice());
        match &self.material {
            Material::Rsa { n, e } => signature::RsaPublicKeyComponents { n, e }
                .verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok(),
            // r and s, 64 octets (RFC 7518, section 3.4), not DER.
            Material::P256(point) => {
                signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point)
                    .verify(message, signature)
                    .is_ok()
            }
            Material::Ed25519(key) => {
                signature::UnparsedPublicKey::new(&signature::ED25519, key).verify(message, signature).is_ok()
            }
        }
    }
}

impl Material {
    /// The one algorithm that a key of this type is used with here.
    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa { .. } => Algorithm::RS256,
            Self::P256(_) => Algorithm::ES256,
            Self::Ed25519(_) => Algorithm::EdDsa,
        }
    }
    fn fits(&self, algorithm: Algorithm) -> bool {
        self.algorithm() == algorithm
    }
}

/// Whether a secret that the issuer shares with us made the token's signature. The comparison takes the same time wherever it fails.
pub(crate) fn verify_shared(secret: &SecretString, jws: &Jws<'_>) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    hmac::verify(&key, jws.signed.as_bytes(), &jws.signature).is_ok()
}
