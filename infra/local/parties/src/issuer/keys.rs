//! The keys of the identity provider, and tokens made with them and without.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use ring::{hmac, rsa};
use serde_json::{Value, json};

/// PKCS#8 in base64. They protect nothing.
const RSA_KEYS: [&str; 2] = [include_str!("../../keys/rsa-1.txt"), include_str!("../../keys/rsa-2.txt")];
/// What a token is signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signer {
    /// RS256, with the key in use.
    Rs256,
    /// ES256, with the key in use.
    Es256,
    /// Ed25519, with the key in use.
    EdDsa,
}

/// The keys of one generation.
pub(super) struct Keys {
    generation: u32,
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
    ed: Ed25519KeyPair,
}

pub(super) fn broken<E: std::fmt::Display>(error: E) -> io::Error {
    io::Error::other(error.to_string())
}

impl Keys {
    pub(super) fn new(generation: u32) -> io::Result<Self> {
        let random = SystemRandom::new();
        let text: String = RSA_KEYS[generation as usize % RSA_KEYS.len()].split_whitespace().collect();
        let rsa = STANDARD.decode(text).map_err(broken)?;
        let ec = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).map_err(broken)?;
        let ec = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, ec.as_ref(), &random);
        let ed = Ed25519KeyPair::generate_pkcs8(&random).map_err(broken)?;
        Ok(Self {
            generation,
            rsa: RsaKeyPair::from_pkcs8(&rsa).map_err(broken)?,
            ec: ec.map_err(broken)?,
            ed: Ed25519KeyPair::from_pkcs8(ed.as_ref()).map_err(broken)?,
        })
    }

    pub(super) fn kid(&self, signer: Signer) -> String {
        let kind = match signer {
            Signer::Rs256 => "rsa",
            Signer::Es256 => "ec",
            Signer::EdDsa => "ed",
        };
        format!("{kind}-{}", self.generation)
    }

    pub(super) fn public(&self) -> [Value; 3] {
        let components = rsa::PublicKeyComponents::<Vec<u8>>::from(self.rsa.public_key());
        let point = self.ec.public_key().as_ref();
        let kid = |signer| self.kid(signer);
        [
            json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid(Signer::Rs256),
                "n": b64(&components.n), "e": b64(&components.e) }),
            json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid(Signer::Es256),
                "x": b64(&point[1..33]), "y": b64(&point[33..65]) }),
            json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": kid(Signer::EdDsa),
                "x": b64(self.ed.public_key().as_ref()) }),
        ]
    }

    pub(super) fn sign(&self, signer: Signer, message: &[u8]) -> io::Result<Vec<u8>> {
        let random = SystemRandom::new();
        match signer {
            Signer::Rs256 => {
                let mut signature = vec![0; self.rsa.public().modulus_len()];
                self.rsa.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(broken)?;
                Ok(signature)
            }
            Signer::Es256 => Ok(self.ec.sign(&random, message).map_err(broken)?.as_ref().to_vec()),
            Signer::EdDsa => Ok(self.ed.sign(message).as_ref().to_vec()),
        }
    }
}

/// Base64url without padding.
pub(super) fn b64(octets: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

/// The two parts of a token that are signed.
pub(super) fn signed(header: &Value, claims: &Value) -> String {
    format!("{}.{}", b64(header.to_string().as_bytes()), b64(claims.to_string().as_bytes()))
}

/// A token signed with a secret (HS256): Supabase's legacy ones, and what an attacker makes of a public key.
pub fn sign_shared(secret: &[u8], header: &Value, claims: &Value) -> String {
    let message = signed(header, claims);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", b64(tag.as_ref()))
}

/// A token with no signature.
pub fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.", signed(header, claims))
}
