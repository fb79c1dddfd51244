//! Every vector of the reference, and every way that a token can be wrong, against an issuer that really answers.

mod keys;
mod start;

use std::net::{Ipv4Addr, SocketAddr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use local_parties::{Issuer, Signer, sign_shared, unsigned};
use piecework_core::Settings;
use serde_json::{Value, json};

use super::{TokenError, Tokens};

const CLERK: &str = "https://clerk.piecework.test";
const SUPABASE: &str = "https://abcdefghijklmnopqrst.supabase.co/auth/v1";
const LEGACY: &str = "super-secret-jwt-token-with-at-least-32-characters-long";

/// Issuers of every kind, all with the stand-in's keys; and the stand-in.
struct Scene {
    party: Issuer,
    tokens: Tokens,
    at: Timestamp,
}

fn settings(pairs: &[(&str, &str)]) -> Settings {
    Settings::from_values(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))).unwrap()
}

fn issuers(party: &Issuer) -> Value {
    let keys = party.keys_url();
    json!([
        { "kind": "clerk", "issuer": CLERK, "azp": ["https://app.piecework.test"], "jwks_uri": keys,
          "admin": { "claim": "/metadata/role", "value": "admin" } },
        { "kind": "firebase", "project": "my-project", "jwks_uri": keys },
        { "kind": "supabase", "issuer": SUPABASE, "jwks_uri": keys, "legacy_secret": true,
          "admin": { "claim": "/app_metadata/roles", "value": "admin" } },
        { "kind": "oidc", "issuer": party.url(), "audience": ["piecework", "piecework-cli"], "algorithms": ["RS256", "ES256", "EdDSA"] }
    ])
}

impl Scene {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    async fn with(more: &[(&str, &str)]) -> Self {
        let party = Issuer::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let issuers = issuers(&party).to_string();
        let mut pairs = vec![("ENVIRONMENT", "dev"), ("IDENTITY_ISSUERS", issuers.as_str())];
        pairs.extend(more);
        let tokens = Tokens::new(&settings(&pairs)).unwrap();
        Self { party, tokens, at: Timestamp::now() }
    }

    fn now(&self) -> i64 {
        self.at.as_second()
    }

    fn oidc(&self) -> Value {
        let now = self.now();
        json!({ "iss": self.party.url(), "aud": "piecework", "sub": "ada", "iat": now, "exp": now + 300 })
    }

    fn clerk(&self) -> Value {
        let now = self.now();
        json!({ "iss": CLERK, "sub": "user_2", "sid": "sess_1", "azp": "https://app.piecework.test",
            "iat": now, "nbf": now - 10, "exp": now + 60, "v": 2 })
    }

    fn firebase(&self) -> Value {
        let now = self.now();
        json!({ "iss": "https://securetoken.google.com/my-project", "aud": "my-project", "sub": "uid1", "user_id": "uid1",
            "auth_time": now - 100, "iat": now, "exp": now + 3600, "firebase": { "sign_in_provider": "password" } })
    }

    fn supabase(&self) -> Value {
        let now = self.now();
        json!({ "iss": SUPABASE, "aud": "authenticated", "role": "authenticated", "sub": "123e4567-e89b-12d3-a456-426614174000",
            "iat": now, "exp": now + 3600, "is_anonymous": false })
    }

    async fn try_token(&self, token: &str) -> Result<super::Verified, TokenError> {
        self.tokens.verify(token, self.at).await
    }

    async fn try_claims(&self, claims: &Value) -> Result<super::Verified, TokenError> {
        self.try_token(&self.party.sign(Signer::Rs256, claims)).await
    }

    /// The claims with changes, `null` taking one out, and what comes of them.
    async fn changed(&self, base: &Value, changes: Value) -> Result<super::Verified, TokenError> {
        self.try_claims(&changed(base, changes)).await
    }
}

fn changed(base: &Value, changes: Value) -> Value {
    let mut claims = base.clone();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

#[tokio::test]
async fn a_good_token_of_every_issuer_is_taken_with_every_algorithm_it_may_use() {
    let scene = Scene::new().await;
    let (kinds, both) = (&[Signer::Rs256, Signer::Es256, Signer::EdDsa], &[Signer::Rs256][..]);
    for (claims, signers) in [
        (scene.oidc(), &kinds[..]),
        (scene.clerk(), both),
        (scene.firebase(), both),
        (scene.supabase(), &kinds[..]),
    ] {
        for signer in kinds {
            let said = scene.try_token(&scene.party.sign(*signer, &claims)).await;
            match signers.contains(signer) {
                true => {
                    let said = said.unwrap();
                    assert_eq!(Some(said.issuer.as_str()), claims["iss"].as_str());
                    assert_eq!(Some(said.subject.as_str()), claims["sub"].as_str());
                    assert!(!said.admin && said.email.is_none());
                }
                false => assert_eq!(said, Err(TokenError::Algorithm), "{signer:?} {claims}"),
            }
        }
    }
    let asked = scene.party.asked();
    assert_eq!((asked.discovery, asked.keys), (1, 4), "once an issuer");
}

#[tokio::test]
async fn supabases_vectors_a_user_is_taken_and_the_public_keys_are_not() {
    let scene = Scene::new().await;
    let user = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2FiY2RlZmdoaWprbG1ub3BxcnN0LnN1cGFiYXNlLmNvL2F1dGgvdjEiLCJhdWQiOiJhdXRoZW50aWNhdGVkIiwic3ViIjoiMTIzZTQ1NjctZTg5Yi0xMmQzLWE0NTYtNDI2NjE0MTc0MDAwIiwicm9sZSI6ImF1dGhlbnRpY2F0ZWQiLCJpYXQiOjE3MDAwMDAwMDAsImV4cCI6NDEwMjQ0NDgwMH0.8cU-C8tNZoLs-DbBMahb_L1Xj76JoOczB68kNErjspQ";
    assert_eq!(scene.try_token(user).await.unwrap().subject, "123e4567-e89b-12d3-a456-426614174000");
    let service = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJzdXBhYmFzZSIsInJvbGUiOiJzZXJ2aWNlX3JvbGUiLCJpYXQiOjE3MDAwMDAwMDAsImV4cCI6NDEwMjQ0NDgwMCwicmVmIjoiYWJjZGVmZ2hpamtsbW5vcHFyc3QifQ.n8h4CTAe2GmGzXVpk071Oi2U3nygcQXi6BHQyk3RJuE";
    assert_eq!(scene.try_token(service).await, Err(TokenError::Issuer));
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJ4In0.";
    assert!(scene.try_token(none).await.is_err());
    // With the right name for the issuer they lack the rest still.
    let header = json!({ "alg": "HS256", "typ": "JWT" });
    for role in ["anon", "service_role"] {
        let bare = json!({ "iss": SUPABASE, "role": role, "exp": scene.now() + 60 });
        let token = sign_shared(LEGACY.as_bytes(), &header, &bare);
        assert_eq!(scene.try_token(&token).await, Err(TokenError::Audience), "{role}");
        let dressed = changed(&scene.supabase(), json!({ "role": role }));
        let token = sign_shared(LEGACY.as_bytes(), &header, &dressed);
        assert_eq!(scene.try_token(&token).await, Err(TokenError::Claim("role")), "{role}");
    }
    let other = sign_shared(&[7; 32], &header, &scene.supabase());
    assert_eq!(scene.try_token(&other).await, Err(TokenError::Signature));
    let wrong =
        [json!({ "aud": "anon" }), json!({ "aud": null }), json!({ "sub": null }), json!({ "sub": "" })];
    for changes in wrong.into_iter().chain([json!({ "is_anonymous": true }), json!({ "is_anonymous": "no" })])
    {
        assert!(scene.changed(&scene.supabase(), changes.clone()).await.is_err(), "{changes}");
    }
}

#[tokio::test]
async fn no_algorithm_is_no_signature_and_a_public_key_is_no_secret() {
    let scene = Scene::new().await;
    for alg in
        ["none", "None", "NONE", "nOnE", "", "RS256 ", "rs256", "HS256", "HS384", "RS512", "PS256", "ES384"]
    {
        let header = json!({ "alg": alg, "typ": "JWT", "kid": "rsa-0" });
        for claims in [scene.oidc(), scene.clerk(), scene.firebase()] {
            for token in [unsigned(&header, &claims), scene.party.sign_as(Signer::Rs256, &header, &claims)] {
                assert_eq!(scene.try_token(&token).await, Err(TokenError::Algorithm), "{alg}");
            }
        }
    }
    // Key confusion: the texts of the public keys as secrets, where HS256 is taken and where it is not.
    let set = scene.party.key_set();
    let mut secrets = vec![set.to_string().into_bytes()];
    for key in set["keys"].as_array().unwrap() {
        secrets.push(key.to_string().into_bytes());
        for part in ["n", "x"].iter().filter_map(|p| key[*p].as_str()) {
            secrets.push(part.as_bytes().to_vec());
            secrets.push(URL_SAFE_NO_PAD.decode(part).unwrap());
        }
        for secret in &secrets {
            let header = json!({ "alg": "HS256", "typ": "JWT", "kid": key["kid"] });
            for (claims, error) in [
                (scene.oidc(), TokenError::Algorithm),
                (scene.clerk(), TokenError::Algorithm),
                (scene.supabase(), TokenError::Signature),
            ] {
                let token = sign_shared(secret, &header, &claims);
                assert_eq!(scene.try_token(&token).await, Err(error));
            }
        }
    }
    // Another algorithm than the key's.
    for (signer, alg, kid) in [
        (Signer::Rs256, "ES256", "rsa-0"),
        (Signer::Es256, "RS256", "ec-0"),
        (Signer::EdDsa, "ES256", "ed-0"),
    ] {
        let token = scene.party.sign_as(signer, &json!({ "alg": alg, "kid": kid }), &scene.oidc());
        assert_eq!(scene.try_token(&token).await, Err(TokenError::Key), "{alg} with {kid}");
    }
    let token = scene.party.sign_as(Signer::Rs256, &json!({ "alg": "ES256", "kid": "ec-0" }), &scene.oidc());
    assert_eq!(scene.try_token(&token).await, Err(TokenError::Signature));
}

#[tokio::test]
async fn what_is_changed_after_signing_or_is_not_a_token_is_refused() {
    let scene = Scene::new().await;
    let good = scene.party.sign(Signer::Es256, &scene.oidc());
    scene.try_token(&good).await.unwrap();
    let parts: Vec<&str> = good.split('.').collect();
    let other = changed(&scene.oidc(), json!({ "sub": "eve" }));
    let forged = URL_SAFE_NO_PAD.encode(other.to_string());
    let swapped = format!("{}.{forged}.{}", parts[0], parts[2]);
    assert_eq!(scene.try_token(&swapped).await, Err(TokenError::Signature));
    for cut in [0, 1, 63] {
        let short = URL_SAFE_NO_PAD.encode(&URL_SAFE_NO_PAD.decode(parts[2]).unwrap()[..cut]);
        let token = format!("{}.{}.{short}", parts[0], parts[1]);
        assert_eq!(scene.try_token(&token).await, Err(TokenError::Signature), "{cut}");
    }
    let b64 = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let plain = b64(&scene.oidc().to_string());
    let header = b64(r#"{"alg":"ES256","kid":"ec-0"}"#);
    let twice = format!(
        r#"{{"iss":"{0}","sub":"ada","sub":"eve","aud":"piecework","exp":9999999999}}"#,
        scene.party.url()
    );
    let malformed = [
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        "a.b.c".into(),
        format!("{}.{}", parts[0], parts[1]),
        format!("{good}.{good}"),
        format!("{good}="),
        format!(" {good}"),
        good.replace('.', ". "),
        format!("{}.{}.{}", parts[0], parts[1], "!!!"),
        format!("{}.{plain}.{}", b64("[]"), parts[2]),
        format!("{}.{plain}.{}", b64("{"), parts[2]),
        format!("{}.{plain}.{}", b64(r#"{"alg":"ES256","alg":"none","kid":"ec-0"}"#), parts[2]),
        format!("{}.{plain}.{}", b64(r#"{"alg":["ES256"],"kid":"ec-0"}"#), parts[2]),
        format!("{}.{plain}.{}", b64(r#"{"kid":"ec-0"}"#), parts[2]),
        format!("{header}.{}.{}", b64(&twice), parts[2]),
        format!("{header}.{}.{}", b64("7"), parts[2]),
        format!("{header}.{}.{}", URL_SAFE_NO_PAD.encode([0xff, 0xfe]), parts[2]),
        format!("{header}.{}.{}", b64(&format!("{}1{}", "[".repeat(2000), "]".repeat(2000))), parts[2]),
    ];
    for token in &malformed {
        assert_eq!(scene.try_token(token).await, Err(TokenError::Malformed), "{token}");
    }
    let long = scene.party.sign(Signer::Es256, &changed(&scene.oidc(), json!({ "more": "x".repeat(9000) })));
    assert_eq!(scene.try_token(&long).await, Err(TokenError::TooLong));
    let full = scene.party.sign(Signer::Es256, &changed(&scene.oidc(), json!({ "more": "x".repeat(5600) })));
    assert!(full.len() > 7500);
    scene.try_token(&full).await.unwrap();
}

#[tokio::test]
async fn a_header_that_must_be_understood_is_not_and_keys_in_a_token_are_not_looked_at() {
    let scene = Scene::new().await;
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("typ", json!("dpop+jwt")),
        ("typ", json!("logout+jwt")),
    ] {
        let header = changed(&json!({ "alg": "ES256", "kid": "ec-0" }), json!({ name: value }));
        let token = scene.party.sign_as(Signer::Es256, &header, &scene.oidc());
        assert_eq!(scene.try_token(&token).await, Err(TokenError::Kind), "{header}");
    }
    for typ in ["JWT", "jwt", "at+jwt", "application/at+JWT"] {
        let header = json!({ "alg": "ES256", "kid": "ec-0", "typ": typ });
        scene.try_token(&scene.party.sign_as(Signer::Es256, &header, &scene.oidc())).await.unwrap();
    }
    // Signed by somebody who brings the key along.
    let stranger = Issuer::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
    let own = stranger.key_set()["keys"][1].clone();
    for header in [
        json!({ "alg": "ES256", "kid": "ec-9", "jwk": own }),
        json!({ "alg": "ES256", "kid": "ec-9", "jku": stranger.keys_url() }),
        json!({ "alg": "ES256", "kid": "ec-9", "x5u": stranger.url() }),
    ] {
        let token = stranger.sign_as(Signer::Es256, &header, &scene.oidc());
        assert_eq!(scene.try_token(&token).await, Err(TokenError::Key), "{header}");
    }
    let token = stranger.sign(Signer::Es256, &changed(&scene.oidc(), json!({ "iss": stranger.url() })));
    assert_eq!(scene.try_token(&token).await, Err(TokenError::Issuer));
    assert_eq!(stranger.asked(), local_parties::Asked::default(), "nobody asked there");
    // Without kid.
    let token = scene.party.sign_as(Signer::Es256, &json!({ "alg": "ES256" }), &scene.oidc());
    assert_eq!(scene.try_token(&token).await, Err(TokenError::Key));
}

#[tokio::test]
async fn times_are_checked_with_some_seconds_of_patience() {
    let scene = Scene::new().await;
    let now = scene.now();
    for (changes, said) in [
        (json!({ "exp": now - 29 }), Ok(())),
        (json!({ "exp": now as f64 + 0.5 }), Ok(())),
        (json!({ "exp": now - 31 }), Err(TokenError::Expired)),
        (json!({ "exp": now - 600 }), Err(TokenError::Expired)),
        (json!({ "exp": 0 }), Err(TokenError::Expired)),
        (json!({ "exp": -1 }), Err(TokenError::Expired)),
        (json!({ "exp": null }), Err(TokenError::Claim("exp"))),
        (json!({ "exp": (now + 60).to_string() }), Err(TokenError::Claim("exp"))),
        (json!({ "exp": true }), Err(TokenError::Claim("exp"))),
        (json!({ "nbf": now + 29 }), Ok(())),
        (json!({ "nbf": now + 32 }), Err(TokenError::NotYet)),
        (json!({ "nbf": now + 600 }), Err(TokenError::NotYet)),
        (json!({ "nbf": "soon" }), Err(TokenError::Claim("nbf"))),
        (json!({ "iat": now + 600 }), Err(TokenError::NotYet)),
        (json!({ "iat": null }), Ok(())),
    ] {
        assert_eq!(scene.changed(&scene.oidc(), changes.clone()).await.map(drop), said, "{changes}");
    }
}

#[tokio::test]
async fn audience_and_party_are_checked_as_each_issuer_has_them() {
    let scene = Scene::new().await;
    let audience = Err(TokenError::Audience);
    let party = Err(TokenError::Party);
    for (base, changes, said) in [
        (scene.oidc(), json!({ "aud": "piecework-cli" }), Ok(())),
        (scene.oidc(), json!({ "aud": ["piecework"] }), Ok(())),
        (scene.oidc(), json!({ "aud": ["other", "piecework"], "azp": "piecework" }), Ok(())),
        (scene.oidc(), json!({ "aud": ["other", "piecework"] }), party),
        (scene.oidc(), json!({ "aud": ["other", "piecework"], "azp": "other" }), party),
        (scene.oidc(), json!({ "aud": "other" }), audience),
        (scene.oidc(), json!({ "aud": "piecework2" }), audience),
        (scene.oidc(), json!({ "aud": [] }), audience),
        (scene.oidc(), json!({ "aud": ["piecework", 7] }), audience),
        (scene.oidc(), json!({ "aud": null }), audience),
        (scene.oidc(), json!({ "sub": 7 }), Err(TokenError::Claim("sub"))),
        (scene.oidc(), json!({ "sub": "x".repeat(256) }), Err(TokenError::Claim("sub"))),
        (scene.oidc(), json!({ "iss": format!("{}/", scene.party.url()) }), Err(TokenError::Issuer)),
        (scene.oidc(), json!({ "iss": [scene.party.url()] }), Err(TokenError::Issuer)),
        (scene.clerk(), json!({ "azp": null }), Ok(())),
        (scene.clerk(), json!({ "azp": "https://app.piecework.test/" }), party),
        (scene.clerk(), json!({ "azp": "https://evil.test" }), party),
        (scene.clerk(), json!({ "azp": ["https://app.piecework.test"] }), party),
        (scene.clerk(), json!({ "sid": null }), Err(TokenError::Claim("sid"))),
        (scene.clerk(), json!({ "sts": "active" }), Ok(())),
        (scene.clerk(), json!({ "sts": "pending" }), Err(TokenError::Claim("sts"))),
        (scene.clerk(), json!({ "aud": "anything" }), Ok(())),
        (scene.firebase(), json!({ "aud": "other-project" }), audience),
        (scene.firebase(), json!({ "aud": ["my-project"] }), audience),
        (
            scene.firebase(),
            json!({ "aud": "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit" }),
            audience,
        ),
        (
            scene.firebase(),
            json!({ "iss": "https://session.firebase.google.com/my-project" }),
            Err(TokenError::Issuer),
        ),
        (scene.firebase(), json!({ "iss": "https://securetoken.google.com/other" }), Err(TokenError::Issuer)),
        (scene.firebase(), json!({ "auth_time": scene.now() + 600 }), Err(TokenError::NotYet)),
        (scene.firebase(), json!({ "auth_time": null }), Err(TokenError::Claim("auth_time"))),
        (
            scene.firebase(),
            json!({ "firebase": { "sign_in_provider": "anonymous" } }),
            Err(TokenError::Claim("firebase.sign_in_provider")),
        ),
        (scene.firebase(), json!({ "sub": "x".repeat(129) }), Err(TokenError::Claim("sub"))),
        (scene.supabase(), json!({ "aud": ["authenticated"] }), Ok(())),
        (scene.supabase(), json!({ "role": null }), Err(TokenError::Claim("role"))),
    ] {
        assert_eq!(scene.changed(&base, changes.clone()).await.map(drop), said, "{changes}");
    }
}

#[tokio::test]
async fn an_administrator_is_one_by_claim_or_by_an_address_that_the_issuer_vouches_for() {
    let scene = Scene::with(&[("ADMIN_EMAILS", "ada@example.com, root@corp.example")]).await;
    let is = async |base: Value, changes: Value| scene.changed(&base, changes).await.unwrap().admin;
    for (base, changes, admin) in [
        (scene.clerk(), json!({ "metadata": { "role": "admin" } }), true),
        (scene.clerk(), json!({ "metadata": { "role": "member" } }), false),
        (scene.clerk(), json!({ "role": "admin" }), false),
        (scene.supabase(), json!({ "app_metadata": { "roles": ["admin", "x"] } }), true),
        (scene.supabase(), json!({ "user_metadata": { "roles": ["admin"] } }), false),
        (scene.oidc(), json!({ "metadata": { "role": "admin" } }), false),
        (scene.oidc(), json!({ "email": "ada@example.com", "email_verified": true }), true),
        (scene.oidc(), json!({ "email": "Ada@Example.com", "email_verified": "true" }), true),
        (scene.oidc(), json!({ "email": "ada@example.com" }), false),
        (scene.oidc(), json!({ "email": "ada@example.com", "email_verified": false }), false),
        (scene.oidc(), json!({ "email": "ada@example.com", "email_verified": "false" }), false),
        (scene.oidc(), json!({ "email": "ada@example.com", "email_verified": 1 }), false),
        // Cyrillic letters, a zero-width joiner, a full-width sign.
        (scene.oidc(), json!({ "email": "\u{430}da@example.com", "email_verified": true }), false),
        (scene.oidc(), json!({ "email": "ada@ex\u{430}mple.com", "email_verified": true }), false),
        (scene.oidc(), json!({ "email": "ada\u{200d}@example.com", "email_verified": true }), false),
        (scene.oidc(), json!({ "email": "ada\u{ff20}example.com", "email_verified": true }), false),
        (scene.oidc(), json!({ "email": "ada@example.com ", "email_verified": true }), false),
        (scene.oidc(), json!({ "email": "eve@example.com,ada@example.com", "email_verified": true }), false),
    ] {
        assert_eq!(is(base, changes.clone()).await, admin, "{changes}");
    }
}
