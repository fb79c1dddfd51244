//! What a function finds in its environment here, and the keys it signs with.

use std::collections::BTreeMap;

use local_parties::payfast;

use super::Endpoints;
use crate::options::StackOptions;
use crate::template::model::Function;
use crate::{REGION, identity, till};

/// The key of the stack itself and its users.
pub(crate) const STACK_KEY: &str = "local-stack";

/// A function's access key and secret. Made from its name, so that a service can tell who calls.
pub(crate) fn credentials(name: &str) -> (String, String) {
    (name.to_uppercase().replace('-', "_"), format!("{name}-secret"))
}

/// So many that neither a demonstration nor a test of something else comes near.
const RATE_LIMITS: &str = "standard=1000000/60,standard-ip=1000000/60,strict=1000000/60,strict-ip=1000000/60";

/// Who mails are from.
const MAIL: &str = "ses:no-reply@piecework.example";

/// Defaults, then the template, then what must be so on this machine, then the caller's overrides.
pub(crate) fn environment(
    function: &Function,
    endpoints: &Endpoints,
    options: &StackOptions,
) -> BTreeMap<String, String> {
    let (key, secret) = credentials(&function.name);
    let local = [
        ("AWS_ENDPOINT_URL_DYNAMODB", &endpoints.dynamodb),
        ("AWS_ENDPOINT_URL_S3", &endpoints.s3),
        ("AWS_ENDPOINT_URL_SQS", &endpoints.sqs),
        ("AWS_ENDPOINT_URL_KMS", &endpoints.kms),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &endpoints.kms),
        ("AWS_ENDPOINT_URL_SSM", &endpoints.kms),
        ("AWS_ENDPOINT_URL_SESV2", &endpoints.ses),
        ("AWS_ACCESS_KEY_ID", &key),
        ("AWS_SECRET_ACCESS_KEY", &secret),
    ];
    let mut env = owned([("ENVIRONMENT", "dev"), ("LOG_FORMAT", "pretty"), ("NO_COLOR", "1")]);
    env.extend(function.env.clone());
    env.extend(owned([
        ("AWS_REGION", REGION),
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_S3_USE_PATH_STYLE", "1"),
        ("RATE_LIMITS", RATE_LIMITS),
    ]));
    env.extend(local.map(|(name, value)| (name.to_owned(), value.clone())));
    env.extend(endpoints.dns.iter().map(|dns| ("DNS_SERVER".to_owned(), dns.clone())));
    env.extend(endpoints.smtp.iter().map(|smtp| ("SMTP_CONNECT_TO".to_owned(), smtp.clone())));
    // Whoever sends mail sends it into a folder.
    if let Some(mail) = env.get_mut("MAIL") {
        *mail = MAIL.to_owned();
    }
    // Whoever can be switched off is on.
    if let Some(features) = env.get_mut("FEATURES") {
        *features = piecework_core::Feature::ALL.map(piecework_core::Feature::name).join(",");
    }
    // Whoever takes tokens takes the stand-in's.
    if let Some(issuers) = env.get_mut("IDENTITY_ISSUERS") {
        *issuers = identity::issuers(&endpoints.issuer);
    }
    if env.contains_key("SSO_PROVIDERS") {
        env.insert("SSO_PROVIDERS".to_owned(), identity::providers(&endpoints.issuer));
        env.insert("SSO_SECRETS".to_owned(), identity::secrets());
    }
    // And whoever sells or is paid deals with the tills'; PayFast's calls come from this machine.
    let payfast = [
        ("PAYFAST_MERCHANT_ID", payfast::MERCHANT_ID.to_owned()),
        ("PAYFAST_MERCHANT_KEY", payfast::MERCHANT_KEY.to_owned()),
        ("PAYFAST_PASSPHRASE", payfast::PASSPHRASE.to_owned()),
        ("PAYFAST_URL", endpoints.payfast.clone()),
        ("PAYFAST_SOURCES", options.host.to_string()),
    ];
    for (name, value) in till::settings(&endpoints.paddle).into_iter().chain(payfast) {
        env.entry(name.to_owned()).and_modify(|old| *old = value);
    }
    if options.traces {
        env.insert("TRACES".to_owned(), "log".to_owned());
    }
    env.extend(options.env.clone());
    env
}

fn owned<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}
