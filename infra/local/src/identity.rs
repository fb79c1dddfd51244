//! Whose bearer tokens the local stack takes: four issuers, one of each kind, that are all the stand-in in `parties`.

use local_parties::{CLIENT, CLIENT_SECRET, Issuer, Signer};
use serde_json::{Value, json};

/// The issuer of the sample account's token: a Clerk instance that is nobody's (RFC 6761 keeps `.test` for such names).
pub const CLERK: &str = "https://clerk.piecework.test";
/// Clerk's name for the sample account's user.
pub const SAMPLE: &str = "user_sample";
/// The front end that Clerk's tokens are made for.
pub const ORIGIN: &str = "http://localhost:3000";
/// The Firebase project.
pub const PROJECT: &str = "piecework-test";
/// The Supabase project's issuer.
pub const SUPABASE: &str = "https://project.supabase.test/auth/v1";
/// What the stand-in's own tokens are meant for, as an OpenID Connect issuer by discovery.
pub const AUDIENCE: &str = "piecework";
/// How long the sample account's token is good, seconds.
const WEEK: i64 = 7 * 86_400;

/// `IDENTITY_ISSUERS` with the stand-in at this address.
pub(crate) fn issuers(url: &str) -> String {
    let keys = format!("{url}/jwks");
    json!([
        { "kind": "clerk", "issuer": CLERK, "azp": [ORIGIN], "jwks_uri": keys,
          "admin": { "claim": "/metadata/role", "value": "admin" } },
        { "kind": "firebase", "project": PROJECT, "jwks_uri": keys },
        { "kind": "supabase", "issuer": SUPABASE, "jwks_uri": keys, "legacy_secret": true,
          "admin": { "claim": "/app_metadata/role", "value": "admin" } },
        { "kind": "oidc", "issuer": url, "audience": [AUDIENCE], "algorithms": ["RS256", "ES256", "EdDSA"] }
    ])
    .to_string()
}

/// `SSO_PROVIDERS` with the stand-in at this address.
pub(crate) fn providers(url: &str) -> String {
    json!([{ "name": "local", "issuer": url, "client_id": CLIENT, "link": true, "algorithms": ["ES256"] }])
        .to_string()
}

/// `SSO_SECRETS`, likewise.
pub(crate) fn secrets() -> String {
    json!({ "local": CLIENT_SECRET }).to_string()
}

/// The claims of a Clerk session of somebody.
pub fn claims(subject: &str, seconds: i64) -> Value {
    let now = jiff::Timestamp::now().as_second();
    json!({ "iss": CLERK, "sub": subject, "sid": format!("sess_{subject}"), "azp": ORIGIN, "v": 2,
        "iat": now, "nbf": now - 10, "exp": now + seconds })
}

/// A token for the sample account, good for a week.
pub fn sample_token(issuer: &Issuer) -> String {
    issuer.sign(Signer::Rs256, &claims(SAMPLE, WEEK))
}
