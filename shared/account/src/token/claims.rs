//! What the claims of a token must say. Pure.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    TokenError,
    issuer::{Issuer, Provider},
    jws::Jws,
};

/// The longest subject, octets: Firebase's bound is 128, OpenID Connect's 255.
const MAX_SUBJECT: usize = 255;

/// What a good token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Who says so. With the subject, the identity: an address is not one.
    pub issuer: String,
    /// Whom they say it of.
    pub subject: String,
    /// Their address, if the issuer says that it is theirs.
    pub email: Option<String>,
    /// What people call them.
    pub name: Option<String>,
    /// Whether they are an administrator (P23).
    pub admin: bool,
    /// When the token was made, epoch seconds.
    pub issued_at: Option<i64>,
}

/// Checks the claims of a token whose signature is good.
pub(crate) fn check(issuer: &Issuer, jws: &Jws<'_>, at: Timestamp) -> Result<Verified, TokenError> {
    let claims = &jws.claims;
    let now = at.as_millisecond() as f64 / 1000.0;
    let skew = f64::from(issuer.skew);
    let expires = time(claims, "exp")?.ok_or(TokenError::Claim("exp"))?;
    if now >= expires + skew {
        return Err(TokenError::Expired);
    }
    for name in ["nbf", "iat", "auth_time"] {
        if time(claims, name)?.is_some_and(|begin| begin > now + skew) {
            return Err(TokenError::NotYet);
        }
    }
    if issuer.access_tokens_only && jws.kind.as_deref() != Some("at+jwt") {
        return Err(TokenError::Kind);
    }
    audience(issuer, claims)?;
    let subject = text(claims, "sub").filter(|s| (1..=MAX_SUBJECT).contains(&s.len()));
    let subject = subject.ok_or(TokenError::Claim("sub"))?.to_owned();
    match issuer.provider {
        Provider::Clerk => clerk(issuer, claims)?,
        Provider::Firebase => firebase(issuer, claims, &subject)?,
        Provider::Supabase => supabase(issuer, claims)?,
        Provider::Oidc => oidc(issuer, claims)?,
    }
    let said = claims.get("email_verified");
    // Some issuers send the word.
    let owned = said == Some(&Value::Bool(true)) || said.and_then(Value::as_str) == Some("true");
    let email = text(claims, "email").filter(|email| owned && (3..=254).contains(&email.len()));
    let name = text(claims, "name").map(str::trim);
    let name = name.filter(|n| (1..=100).contains(&n.chars().count()) && !n.chars().any(char::is_control));
    Ok(Verified {
        issuer: issuer.name.clone(),
        subject,
        email: email.map(str::to_owned),
        name: name.map(str::to_owned),
        admin: admin(issuer, claims),
        issued_at: time(claims, "iat")?.map(|at| at as i64),
    })
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str)
}

/// A `NumericDate`: seconds, whole or not.
fn time(claims: &Map<String, Value>, name: &'static str) -> Result<Option<f64>, TokenError> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_f64().filter(|t| t.is_finite()).map(Some).ok_or(TokenError::Claim(name)),
    }
}

/// `aud`, a text or several (RFC 7519, section 4.1.3).
fn audience(issuer: &Issuer, claims: &Map<String, Value>) -> Result<(), TokenError> {
    if issuer.audience.is_empty() {
        return Ok(());
    }
    let ours = |value: &Value| value.as_str().is_some_and(|a| issuer.audience.iter().any(|ours| ours == a));
    let meant = match claims.get("aud") {
        Some(Value::Array(several)) => several.iter().all(Value::is_string) && several.iter().any(ours),
        Some(one) => ours(one),
        None => false,
    };
    if meant { Ok(()) } else { Err(TokenError::Audience) }
}

/// A session token: `sid` is there, and `azp`, if it is, is one of our front ends. Tokens of a template have no `sid`.
fn clerk(issuer: &Issuer, claims: &Map<String, Value>) -> Result<(), TokenError> {
    match claims.get("azp") {
        None => {}
        Some(Value::String(party)) if issuer.parties.contains(party) => {}
        Some(_) => return Err(TokenError::Party),
    }
    if text(claims, "sid").is_none_or(str::is_empty) {
        return Err(TokenError::Claim("sid"));
    }
    // The session waits for a step that its owner has yet to take.
    if claims.get("sts").is_some_and(|status| status != "active") {
        return Err(TokenError::Claim("sts"));
    }
    Ok(())
}

fn firebase(issuer: &Issuer, claims: &Map<String, Value>, subject: &str) -> Result<(), TokenError> {
    if subject.len() > 128 {
        return Err(TokenError::Claim("sub"));
    }
    // Only one project is meant, ever.
    if !claims.get("aud").is_some_and(Value::is_string) {
        return Err(TokenError::Audience);
    }
    if !claims.contains_key("auth_time") {
        return Err(TokenError::Claim("auth_time"));
    }
    // Whoever knows a project's public key can be as many of these as they like.
    let provider = claims.get("firebase").and_then(|firebase| firebase.get("sign_in_provider"));
    if provider.is_some_and(|provider| provider == "anonymous") && !issuer.anonymous {
        return Err(TokenError::Claim("firebase.sign_in_provider"));
    }
    Ok(())
}

/// The public key of a project is itself a token, with a role and without a subject.
fn supabase(issuer: &Issuer, claims: &Map<String, Value>) -> Result<(), TokenError> {
    match text(claims, "role") {
        None | Some("" | "anon" | "service_role") => return Err(TokenError::Claim("role")),
        Some(_) => {}
    }
    let anonymous = claims.get("is_anonymous").is_some_and(|a| *a != Value::Bool(false));
    if anonymous && !issuer.anonymous {
        return Err(TokenError::Claim("is_anonymous"));
    }
    Ok(())
}

/// With several audiences, the party it was made for must be one of ours (OpenID Connect Core 1.0, section 3.1.3.7).
fn oidc(issuer: &Issuer, claims: &Map<String, Value>) -> Result<(), TokenError> {
    let several = claims.get("aud").and_then(Value::as_array).is_some_and(|all| all.len() > 1);
    match claims.get("azp") {
        None if !several => Ok(()),
        Some(Value::String(party)) if issuer.audience.contains(party) || !several => Ok(()),
        _ => Err(TokenError::Party),
    }
}

fn admin(issuer: &Issuer, claims: &Map<String, Value>) -> bool {
    let Some(rule) = &issuer.admin else { return false };
    let mut tokens = rule.claim.split('/').skip(1).map(|t| t.replace("~1", "/").replace("~0", "~"));
    let first = tokens.next().and_then(|name| claims.get(&name));
    let found = tokens.try_fold(first, |value, name| value.map(|v| v.get(&name))).flatten();
    match found {
        Some(Value::Array(several)) => several.contains(&rule.value),
        Some(one) => *one == rule.value,
        None => false,
    }
}
