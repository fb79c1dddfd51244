//! Which issuers are trusted, and by which rules: typed settings.

use std::net::IpAddr;

use http::Uri;
use piecework_core::{
    Settings,
    settings::{Environment, SettingError},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::Value;

use super::jws::Algorithm;

/// The setting with the issuers, a JSON array.
const ISSUERS: &str = "IDENTITY_ISSUERS";
/// The setting with the secret of Supabase's legacy tokens.
const SECRET: &str = "SUPABASE_JWT_SECRET";
/// The setting with the administrators' addresses, separated by commas (P23).
const ADMINS: &str = "ADMIN_EMAILS";
/// The secret with which the Supabase command line signs on a developer's machine.
const DEV_SECRET: &str = "super-secret-jwt-token-with-at-least-32-characters-long";
/// The fewest octets of a secret for HS256 (RFC 7518, section 3.2).
const MIN_SECRET: usize = 32;
/// How far clocks may be apart, seconds: unless said, and at most.
const SKEW: (u16, u16) = (30, 60);

/// Whose tokens they are: says what must stand in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Provider {
    Clerk,
    Firebase,
    Supabase,
    Oidc,
}

/// Where the keys come from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// A key set at this address.
    Keys(String),
    /// Where the issuer's discovery document says.
    Discovery,
}

/// A claim that makes an administrator.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdminClaim {
    /// Where it is: a JSON Pointer into the claims.
    pub claim: String,
    /// What it says then, or has among its elements.
    pub value: Value,
}

/// A trusted issuer.
#[derive(Debug, Clone)]
pub(crate) struct Issuer {
    pub provider: Provider,
    /// `iss`, exactly.
    pub name: String,
    pub algorithms: Vec<Algorithm>,
    /// One of these must be in `aud`. Only Clerk's may be empty.
    pub audience: Vec<String>,
    /// Origins that may stand in Clerk's `azp`.
    pub parties: Vec<String>,
    pub source: Source,
    pub secret: Option<SecretString>,
    /// Seconds.
    pub skew: u16,
    pub kidless: bool,
    pub anonymous: bool,
    pub access_tokens_only: bool,
    pub admin: Option<AdminClaim>,
}

impl Issuer {
    /// An OpenID Connect provider whose ID tokens are meant for this client.
    pub(crate) fn by_discovery(name: &str, client_id: &str, algorithms: Vec<Algorithm>) -> Self {
        Self {
            provider: Provider::Oidc,
            name: name.to_owned(),
            algorithms,
            audience: vec![client_id.to_owned()],
            parties: Vec::new(),
            source: Source::Discovery,
            secret: None,
            skew: SKEW.0,
            kidless: false,
            anonymous: false,
            access_tokens_only: false,
            admin: None,
        }
    }
}

/// An issuer as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    kind: Provider,
    issuer: Option<String>,
    /// Firebase: the project's id.
    project: Option<String>,
    /// Clerk: origins of the front ends.
    #[serde(default)]
    azp: Vec<String>,
    #[serde(default)]
    audience: Vec<String>,
    algorithms: Option<Vec<Algorithm>>,
    /// Where the keys are, if not where they usually are.
    jwks_uri: Option<String>,
    /// Supabase: takes tokens signed with `SUPABASE_JWT_SECRET` too.
    #[serde(default)]
    legacy_secret: bool,
    /// Supabase and Firebase: takes anonymous sign-ins too.
    #[serde(default)]
    anonymous: bool,
    /// OIDC: takes tokens without `kid` if the set has one key that fits.
    #[serde(default)]
    kidless: bool,
    /// OIDC: takes tokens of type `at+jwt` only (RFC 9068).
    #[serde(default)]
    access_tokens_only: bool,
    skew: Option<u16>,
    admin: Option<AdminClaim>,
}

/// The issuers of the settings.
pub(crate) fn configured(settings: &Settings) -> Result<Vec<Issuer>, SettingError> {
    let unusable = |why: String| SettingError::Unusable { name: ISSUERS, why };
    let Some(text) = settings.text(ISSUERS) else { return Ok(Vec::new()) };
    let written: Vec<Written> = serde_json::from_str(text).map_err(|e| unusable(e.to_string()))?;
    let mut issuers: Vec<Issuer> = Vec::with_capacity(written.len());
    for one in written {
        let issuer = one.trusted(settings)?;
        if issuers.iter().any(|other| other.name == issuer.name) {
            return Err(unusable(format!("{} stands twice", issuer.name)));
        }
        issuers.push(issuer);
    }
    Ok(issuers)
}

/// The administrators' addresses. Those of other than ASCII letters are refused: two that look alike may be two.
pub(crate) fn admins(settings: &Settings) -> Result<Vec<String>, SettingError> {
    let listed =
        settings.text(ADMINS).unwrap_or_default().split(',').map(str::trim).filter(|a| !a.is_empty());
    listed
        .map(|address| {
            let plain = address.is_ascii() && address.bytes().all(|b| b.is_ascii_graphic());
            let parts = address.split_once('@');
            match parts.filter(|(local, domain)| plain && !local.is_empty() && domain.contains('.')) {
                Some(_) => Ok(address.to_owned()),
                None => {
                    let why = "must be e-mail addresses of ASCII letters, separated by commas".to_owned();
                    Err(SettingError::Unusable { name: ADMINS, why })
                }
            }
        })
        .collect()
}

impl Written {
    fn trusted(self, settings: &Settings) -> Result<Issuer, SettingError> {
        let environment = settings.environment;
        let named = match (self.kind, &self.issuer, &self.project) {
            (Provider::Firebase, None, Some(project)) if !project.is_empty() => {
                Ok(format!("https://securetoken.google.com/{project}"))
            }
            (Provider::Firebase, ..) => Err("firebase needs its project and no issuer".to_owned()),
            (_, Some(issuer), None) => Ok(issuer.clone()),
            _ => Err("an issuer needs its name, and only firebase has a project".to_owned()),
        };
        let unusable = |why: String| SettingError::Unusable { name: ISSUERS, why };
        let name = named.map_err(unusable)?;
        let unusable = |why: &str| SettingError::Unusable { name: ISSUERS, why: format!("{name}: {why}") };
        reachable(&name, environment).map_err(|why| unusable(&why))?;
        if let Some(url) = &self.jwks_uri {
            reachable(url, environment).map_err(|why| unusable(&format!("jwks_uri: {why}")))?;
        }
        let only = |given: bool, what: &str, kind: Provider| match given && self.kind != kind {
            true => Err(unusable(&format!("{what} is not for this kind"))),
            false => Ok(()),
        };
        only(!self.azp.is_empty(), "azp", Provider::Clerk)?;
        only(!self.audience.is_empty(), "audience", Provider::Oidc)?;
        only(self.algorithms.is_some(), "algorithms", Provider::Oidc)?;
        only(self.legacy_secret, "legacy_secret", Provider::Supabase)?;
        if self.kind != Provider::Firebase {
            only(self.anonymous, "anonymous", Provider::Supabase)?;
        }
        only(self.kidless, "kidless", Provider::Oidc)?;
        only(self.access_tokens_only, "access_tokens_only", Provider::Oidc)?;
        let skew = self.skew.unwrap_or(SKEW.0);
        if skew > SKEW.1 {
            return Err(unusable("skew is at most 60 seconds"));
        }
        // Whoever signs in writes these of theirs at Supabase and at Clerk.
        let own = ["user_metadata", "unsafe_metadata"];
        let editable = |a: &AdminClaim| {
            let path = a.claim.strip_prefix('/');
            path.is_none_or(|path| path.split('/').any(|part| own.contains(&part)))
        };
        if self.admin.as_ref().is_some_and(editable) {
            return Err(unusable("admin.claim must be a JSON Pointer to what users cannot edit"));
        }
        let base = name.strip_suffix('/').unwrap_or(&name);
        let beside = || Source::Keys(format!("{base}/.well-known/jwks.json"));
        let (algorithms, audience, usual) = match self.kind {
            Provider::Clerk if self.azp.is_empty() => {
                return Err(unusable("clerk needs azp, the origins of its front ends"));
            }
            Provider::Clerk => (vec![Algorithm::RS256], Vec::new(), beside()),
            Provider::Firebase => {
                let keys = "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com";
                let project = self.project.clone().unwrap_or_default();
                (vec![Algorithm::RS256], vec![project], Source::Keys(keys.to_owned()))
            }
            Provider::Supabase => {
                let mut algorithms = vec![Algorithm::ES256, Algorithm::RS256, Algorithm::EdDsa];
                algorithms.extend(self.legacy_secret.then_some(Algorithm::HS256));
                (algorithms, vec!["authenticated".to_owned()], beside())
            }
            Provider::Oidc => {
                if self.audience.is_empty() {
                    return Err(unusable("oidc needs the audience of its tokens"));
                }
                let algorithms = asymmetric(self.algorithms.clone()).map_err(unusable)?;
                (algorithms, self.audience.clone(), Source::Discovery)
            }
        };
        let secret = match self.legacy_secret {
            true => Some(secret(settings)?),
            false => None,
        };
        Ok(Issuer {
            provider: self.kind,
            algorithms,
            audience,
            parties: self.azp,
            source: self.jwks_uri.map_or(usual, Source::Keys),
            secret,
            skew,
            kidless: self.kidless,
            anonymous: self.anonymous,
            access_tokens_only: self.access_tokens_only,
            admin: self.admin,
            name,
        })
    }
}

/// The algorithms of an issuer that publishes its keys; RS256 unless they are said.
pub(crate) fn asymmetric(said: Option<Vec<Algorithm>>) -> Result<Vec<Algorithm>, &'static str> {
    let algorithms = said.unwrap_or_else(|| vec![Algorithm::RS256]);
    match algorithms.is_empty() || algorithms.contains(&Algorithm::HS256) {
        true => Err("algorithms must be some of RS256, ES256 and EdDSA"),
        false => Ok(algorithms),
    }
}

fn secret(settings: &Settings) -> Result<SecretString, SettingError> {
    let secret = settings.secret(SECRET, DEV_SECRET)?;
    if secret.expose_secret().len() < MIN_SECRET {
        let why = format!("must be at least {MIN_SECRET} octets");
        return Err(SettingError::Unusable { name: SECRET, why });
    }
    Ok(secret)
}

/// Whether an issuer's address can be used in this environment: by TLS and in public, but in `dev` (P4, P12).
pub(crate) fn reachable(url: &str, environment: Environment) -> Result<(), String> {
    let uri: Uri = url.parse().map_err(|_| "not an address".to_owned())?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err("not an absolute address".to_owned());
    };
    if !["http", "https"].contains(&scheme) || authority.as_str().contains('@') {
        return Err("must be https:// and a host".to_owned());
    }
    if environment == Environment::Dev {
        return Ok(());
    }
    let host = authority.host().trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
    let of_development = ["localhost", "test", "clerk.accounts.dev", "lcl.dev"];
    let under = |suffix: &&str| host == **suffix || host.ends_with(&format!(".{suffix}"));
    if scheme != "https" || host.parse::<IpAddr>().is_ok() || of_development.iter().any(under) {
        return Err("a development issuer, which only ENVIRONMENT=dev may trust".to_owned());
    }
    Ok(())
}
