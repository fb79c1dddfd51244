//! Single sign-on (P6): the authorization code flow of OpenID Connect with PKCE, against the providers of the settings.
//!
//! `state` finds the login, once and for ten minutes; a cookie of its own binds it to the browser that began it; `nonce` binds the ID
//! token to it, and the verifier of PKCE the code. See `docs/decisions/sso.md`.

mod provider;
pub(crate) mod session;

use aws::{Clients, Cond, Deps, Key, Outside, OutsideError, Table, Update};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use billing::Billing;
use piecework_core::{Settings, hex, now, settings::SettingError, sha256};
use rand::RngExt as _;
use serde::Deserialize;
use subtle::ConstantTimeEq as _;
use utoipa::{IntoParams, ToSchema};

use crate::{Account, Error, TokenError, Tokens, token::remote::MAX_DOCUMENT};
use provider::{Provider, percent};
use session::SessionKey;
pub use session::{Refresh, SESSION_LIFE, SignedIn};

/// How long a login may take, seconds.
const LOGIN_LIFE: i64 = 600;
/// How old an ID token may be when it comes, seconds.
const FRESH: f64 = 600.0;

/// Signs people in by way of the providers in `SSO_PROVIDERS`.
#[derive(Clone)]
pub struct SignIn {
    account: Account,
    billing: Billing,
    table: Table,
    providers: std::sync::Arc<Vec<Provider>>,
    tokens: Tokens,
    outside: Outside,
    sessions: SessionKey,
    public_url: String,
}

/// Ends and continues sessions.
#[derive(Clone)]
pub struct Sessions {
    account: Account,
    key: SessionKey,
}

/// Where a browser is sent, and the cookie that it takes along.
#[derive(Debug)]
pub struct Departure {
    /// The provider's authorization endpoint, with everything.
    pub to: String,
    /// A `Set-Cookie` field.
    pub cookie: String,
}

/// Somebody who came back.
#[derive(Debug)]
pub struct Arrival {
    /// Their tokens.
    pub signed_in: SignedIn,
    /// Where they wanted to go: a path of this origin.
    pub return_to: Option<String>,
    /// `Set-Cookie` fields: the refresh token, and the end of the login's cookie.
    pub cookies: Vec<String>,
}

/// The query of a login.
#[derive(Debug, Clone, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
pub struct LoginQuery {
    /// Where to go after it: a path of this origin, such as `/app`. Without it the tokens are the answer.
    pub return_to: Option<String>,
}

/// What a provider sends back (RFC 6749, section 4.1.2; RFC 9207 for `iss`).
#[derive(Debug, Clone, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
pub struct CallbackQuery {
    /// The login that it answers.
    pub state: Option<String>,
    /// What is exchanged for the tokens.
    pub code: Option<String>,
    /// Why there is no code.
    pub error: Option<String>,
    /// Who answers.
    pub iss: Option<String>,
}

/// A login under way, as kept: `SSO#<hash of state>`/`LOGIN`.
#[derive(Debug, Deserialize)]
struct Login {
    provider: String,
    nonce: String,
    verifier: String,
    /// SHA-256 of the cookie.
    binding: String,
    #[serde(default)]
    return_to: Option<String>,
}

impl Deps for SignIn {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        let providers = provider::configured(settings)?;
        let issuers = providers.iter().map(|p| p.issuer.clone()).collect();
        let public_url = settings.required("PUBLIC_URL")?.trim_end_matches('/').to_owned();
        Ok(Self {
            account: Account::new(settings, clients)?,
            billing: Billing::new(settings, clients)?,
            table: Table::new(clients, settings.required("ACCOUNT_TABLE")?),
            providers: std::sync::Arc::new(providers),
            tokens: Tokens::of(issuers, settings)?,
            outside: Outside::default(),
            sessions: SessionKey::of(settings)?,
            public_url,
        })
    }
}

impl Deps for Sessions {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        Ok(Self { account: Account::new(settings, clients)?, key: SessionKey::of(settings)? })
    }
}

impl Sessions {
    /// A new pair of tokens for a refresh token.
    pub async fn refresh(&self, presented: &str) -> Result<SignedIn, Error> {
        self.account.refresh_session(&self.key, presented).await
    }

    /// Ends the session of a refresh token.
    pub async fn end(&self, presented: &str) -> Result<(), Error> {
        self.account.end_session(&self.key, presented).await
    }
}

/// 256 bits of chance as text.
fn chance() -> String {
    let octets: [u8; 32] = rand::rng().random();
    URL_SAFE_NO_PAD.encode(octets)
}

/// `code_challenge` by S256 (RFC 7636, section 4.2).
pub(crate) fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(sha256(&[verifier.as_bytes()]))
}

/// `at_hash` for algorithms of 256 bits (OpenID Connect Core 1.0, section 3.1.3.6).
fn at_hash(access_token: &str) -> String {
    URL_SAFE_NO_PAD.encode(&sha256(&[access_token.as_bytes()])[..16])
}

fn login_key(state: &str) -> Key {
    Key::new(format!("SSO#{}", hex(&sha256(&[state.as_bytes()]))), "LOGIN")
}

/// The cookie of one login. Several may be under way in one browser, so each has a name of its own.
fn cookie_name(state: &str) -> String {
    format!("__Host-piecework-sso-{}", &hex(&sha256(&[state.as_bytes()]))[..12])
}

/// The refresh token's cookie: sent to the paths under `/v1/auth` alone, and never from another site.
pub fn refresh_cookie(token: &str, seconds: i64) -> String {
    format!("{REFRESH_COOKIE}={token}; Path=/v1/auth; Max-Age={seconds}; HttpOnly; Secure; SameSite=Strict")
}

/// Its name.
pub const REFRESH_COOKIE: &str = "__Secure-piecework-refresh";

/// A path of this origin, and nothing that a browser would read as another.
fn harmless(path: &str) -> bool {
    let other = path.starts_with("//") || path.contains('\\') || path.len() > 512;
    path.starts_with('/') && !other && path.bytes().all(|b| b.is_ascii_graphic())
}

impl SignIn {
    fn provider(&self, name: &str) -> Result<&Provider, Error> {
        self.providers.iter().find(|p| p.name == name).ok_or(Error::NoSuchProvider)
    }

    fn redirect_uri(&self, provider: &Provider) -> String {
        format!("{}/v1/auth/sso/{}/callback", self.public_url, provider.name)
    }

    /// Begins a login.
    pub async fn login(&self, provider: &str, return_to: Option<String>) -> Result<Departure, Error> {
        let provider = self.provider(provider)?;
        if return_to.as_deref().is_some_and(|path| !harmless(path)) {
            return Err(Error::BadSignIn("return_to must be a path of this origin."));
        }
        let endpoints = provider.endpoints(&self.outside, now().as_second()).await?;
        let (state, binding) = (chance(), chance());
        let (nonce, verifier) = (chance(), chance());
        let mut login = Update::at(login_key(&state))
            .set("provider", provider.name.as_str())
            .set("nonce", nonce.as_str())
            .set("verifier", verifier.as_str())
            .set("binding", hex(&sha256(&[binding.as_bytes()])))
            .set("expires_at", now().as_second() + LOGIN_LIFE)
            .when(Cond::Absent("pk"));
        if let Some(path) = return_to {
            login = login.set("return_to", path);
        }
        self.table.update::<Login>(login).await?;
        let query = [
            ("response_type", "code"),
            ("client_id", &provider.client_id),
            ("redirect_uri", &self.redirect_uri(provider)),
            ("scope", &provider.scopes),
            ("state", &state),
            ("nonce", &nonce),
            ("code_challenge", &challenge(&verifier)),
            ("code_challenge_method", "S256"),
        ];
        let query: Vec<String> =
            query.iter().map(|(name, value)| format!("{name}={}", percent(value))).collect();
        let join = if endpoints.authorization_endpoint.contains('?') { '&' } else { '?' };
        // Lax: the provider's redirect back is a navigation from another site.
        let name = cookie_name(&state);
        Ok(Departure {
            to: format!("{}{join}{}", endpoints.authorization_endpoint, query.join("&")),
            cookie: format!("{name}={binding}; Path=/; Max-Age={LOGIN_LIFE}; HttpOnly; Secure; SameSite=Lax"),
        })
    }

    /// Ends a login: whoever it is, they are signed in after it. `cookie` gives the browser's cookies by name.
    pub async fn callback(
        &self,
        provider: &str,
        query: &CallbackQuery,
        cookie: impl Fn(&str) -> Option<String>,
    ) -> Result<Arrival, Error> {
        let provider = self.provider(provider)?;
        let over = Error::BadSignIn("This login is over, or was never begun. Begin again.");
        let Some(state) = query.state.as_deref().filter(|s| s.len() <= 128) else { return Err(over) };
        // Before anything else it is used up: whatever comes of it, it cannot come again.
        let at = now().as_second();
        let used = Update::at(login_key(state))
            .set("used_at", at)
            .when(Cond::Absent("used_at"))
            .when(Cond::is("expires_at", ">", at));
        let Some(login) = self.table.update::<Login>(used).await? else { return Err(over) };
        let name = cookie_name(state);
        let binding = cookie(&name).map(|value| hex(&sha256(&[value.as_bytes()])));
        let bound = binding.is_some_and(|hash| hash.as_bytes().ct_eq(login.binding.as_bytes()).into());
        if !bound || login.provider != provider.name {
            return Err(Error::BadSignIn(
                "This login was begun by another browser, or with another provider.",
            ));
        }
        if query.iss.as_ref().is_some_and(|iss| *iss != provider.issuer.name) {
            return Err(Error::BadSignIn("The answer is another issuer's."));
        }
        if let Some(error) = &query.error {
            return Err(Error::SignInDeclined(known(error)));
        }
        let code = query.code.as_deref().filter(|c| (1..=4096).contains(&c.len()));
        let code = code.ok_or(Error::BadSignIn("The provider sent no code."))?;
        let answer = self.exchange(provider, code, &login).await?;
        let (said, claims) = self.tokens.verify_whole(&answer.id_token, now()).await?;
        let says = |name: &str, value: &str| claims.get(name).and_then(|v| v.as_str()) == Some(value);
        if said.issuer != provider.issuer.name {
            return Err(TokenError::Issuer.into());
        }
        if !says("nonce", &login.nonce) {
            return Err(TokenError::Claim("nonce").into());
        }
        let age = claims.get("iat").and_then(|v| v.as_f64()).map(|iat| now().as_second() as f64 - iat);
        if age.is_none_or(|age| age > FRESH) {
            return Err(TokenError::Claim("iat").into());
        }
        if claims.contains_key("at_hash") && !says("at_hash", &at_hash(&answer.access_token)) {
            return Err(TokenError::Claim("at_hash").into());
        }
        let who = self.account.sign_in_by(&self.billing, &said, provider.link).await?;
        let signed_in = self.account.begin_session(&self.sessions, &who).await?;
        let ended = format!("{name}=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax");
        let refresh = refresh_cookie(&signed_in.refresh_token, SESSION_LIFE);
        Ok(Arrival { signed_in, return_to: login.return_to, cookies: vec![ended, refresh] })
    }

    /// Exchanges a code, once: it is never tried again (RFC 6749, section 4.1.3).
    async fn exchange(&self, provider: &Provider, code: &str, login: &Login) -> Result<Exchanged, Error> {
        let endpoints = provider.endpoints(&self.outside, now().as_second()).await?;
        let redirect_uri = self.redirect_uri(provider);
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri.as_str()),
            ("code_verifier", login.verifier.as_str()),
        ];
        let mut headers = vec![
            ("content-type", "application/x-www-form-urlencoded".to_owned()),
            ("accept", "application/json".to_owned()),
        ];
        provider.authenticate(&endpoints, &mut form, &mut headers);
        let body: Vec<String> =
            form.iter().map(|(name, value)| format!("{name}={}", percent(value))).collect();
        let sent = self.outside.post(
            &endpoints.token_endpoint,
            &headers,
            body.join("&"),
            provider::PATIENCE,
            MAX_DOCUMENT,
        );
        let got = sent.await.map_err(|error| match error {
            OutsideError::Status(400 | 401 | 403) => {
                tracing::warn!(provider = provider.name, %error, "the code was not taken");
                Error::BadSignIn("The provider does not take the code. Begin again.")
            }
            error => provider.unreachable(&error.to_string()),
        })?;
        serde_json::from_slice(&got.body).map_err(|e| provider.unreachable(&e.to_string()))
    }
}

/// What a token endpoint gives.
#[derive(Deserialize)]
struct Exchanged {
    id_token: String,
    access_token: String,
}

/// The error codes that a provider may send, so that nothing else of its making is shown.
fn known(error: &str) -> &'static str {
    const CODES: [&str; 8] = [
        "access_denied",
        "login_required",
        "consent_required",
        "interaction_required",
        "invalid_scope",
        "server_error",
        "temporarily_unavailable",
        "unauthorized_client",
    ];
    CODES.into_iter().find(|code| *code == error).unwrap_or("an error that is not known here")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_and_hashes_are_those_of_the_specifications() {
        for (verifier, expected) in [
            ("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
            (
                "0123456789-._~ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijk",
                "oKMhFGrwtQNB5ruM2RylvuIJOxNIX1MzBPaj1HPK_Hk",
            ),
        ] {
            assert_eq!(challenge(verifier), expected);
        }
        assert_eq!(at_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"), "77QmUPtjPfzWtF2AnpK9RQ");
        assert_eq!(chance().len(), 43);
    }

    #[test]
    fn only_paths_of_this_origin_are_gone_to() {
        for fine in ["/", "/app", "/app?x=1#y", "/a//b"] {
            assert!(harmless(fine), "{fine}");
        }
        for wrong in [
            "",
            "app",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example",
            "/a\r\nb",
            "/a b",
            "javascript:alert(1)",
            "/\u{e9}",
        ] {
            assert!(!harmless(wrong), "{wrong}");
        }
    }
}
