//! Clients, each made on first use. Configuration comes from the environment alone: no profile files, no metadata service, so a
//! cold start pays for nothing that Lambda does not need.

use std::{
    collections::BTreeMap,
    env,
    sync::{Arc, OnceLock},
};

use aws_credential_types::Credentials;
use aws_sdk_s3::config::{BehaviorVersion, Region, SharedCredentialsProvider};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

/// The roots that sign AWS endpoints (<https://www.amazontrust.com/repository/>), so that a cold start parses five
/// certificates and not the system's 150. Other endpoints: `AWS_CA_BUNDLE`. See `docs/decisions/amazon-roots.md`.
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon-roots.pem");

/// The AWS clients of this process: a handle that is cheap to clone.
#[derive(Clone, Default)]
pub struct Clients(Arc<Made>);

#[derive(Default)]
struct Made {
    http: OnceLock<SharedHttpClient>,
    dynamodb: OnceLock<aws_sdk_dynamodb::Client>,
    s3: OnceLock<aws_sdk_s3::Client>,
    sqs: OnceLock<aws_sdk_sqs::Client>,
    overrides: BTreeMap<String, String>,
}

impl Clients {
    /// Clients that read the environment when first used.
    pub fn new() -> Self {
        Self::default()
    }

    /// Clients that look into `values` before the environment: for tools that talk to a stack without being one of its functions.
    pub fn with_values(values: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(Arc::new(Made { overrides: values.into_iter().collect(), ..Made::default() }))
    }

    fn var(&self, name: &str) -> Option<String> {
        self.0.overrides.get(name).cloned().or_else(|| env::var(name).ok()).filter(|v| !v.is_empty())
    }

    /// Where SES answers: the region's endpoint (SES endpoints and quotas) unless `AWS_ENDPOINT_URL_SESV2` says otherwise.
    pub(crate) fn mail_endpoint(&self) -> String {
        let usual = || format!("https://email.{}.amazonaws.com", self.region());
        self.var("AWS_ENDPOINT_URL_SESV2").unwrap_or_else(usual)
    }

    pub(crate) fn region(&self) -> Region {
        Region::new(self.var("AWS_REGION").unwrap_or_else(|| "us-east-1".to_owned()))
    }

    /// The keys that Lambda puts into the environment; they live as long as the sandbox.
    pub(crate) fn credentials(&self) -> SharedCredentialsProvider {
        SharedCredentialsProvider::new(Credentials::new(
            self.var("AWS_ACCESS_KEY_ID").unwrap_or_default(),
            self.var("AWS_SECRET_ACCESS_KEY").unwrap_or_default(),
            self.var("AWS_SESSION_TOKEN"),
            None,
            "environment",
        ))
    }

    /// Amazon's roots, or those of the PEM file that `AWS_CA_BUNDLE` names, as for other AWS tools.
    fn roots(&self) -> Vec<u8> {
        let Some(path) = self.var("AWS_CA_BUNDLE") else { return AMAZON_ROOTS.to_vec() };
        std::fs::read(&path).unwrap_or_else(|error| {
            tracing::error!(path, %error, "AWS_CA_BUNDLE cannot be read; Amazon's roots are trusted");
            AMAZON_ROOTS.to_vec()
        })
    }

    fn http(&self) -> SharedHttpClient {
        self.0
            .http
            .get_or_init(|| {
                let trust = TrustStore::empty().with_pem_certificate(self.roots());
                let builder = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
                match TlsContext::builder().with_trust_store(trust).build() {
                    Ok(context) => builder.tls_context(context).build_https(),
                    // A bundle without a usable certificate: the system's roots serve as well, only slower.
                    Err(_) => builder.build_https(),
                }
            })
            .clone()
    }

    pub(crate) fn dynamodb(&self) -> &aws_sdk_dynamodb::Client {
        self.0.dynamodb.get_or_init(|| {
            let mut config = aws_sdk_dynamodb::Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .region(self.region())
                .credentials_provider(self.credentials())
                .http_client(self.http());
            config.set_endpoint_url(self.var("AWS_ENDPOINT_URL_DYNAMODB"));
            aws_sdk_dynamodb::Client::from_conf(config.build())
        })
    }

    pub(crate) fn s3(&self) -> &aws_sdk_s3::Client {
        self.0.s3.get_or_init(|| {
            let mut config = aws_sdk_s3::Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .region(self.region())
                .credentials_provider(self.credentials())
                .http_client(self.http())
                .force_path_style(self.var("AWS_S3_USE_PATH_STYLE").is_some());
            config.set_endpoint_url(self.var("AWS_ENDPOINT_URL_S3"));
            aws_sdk_s3::Client::from_conf(config.build())
        })
    }

    pub(crate) fn sqs(&self) -> &aws_sdk_sqs::Client {
        self.0.sqs.get_or_init(|| {
            let mut config = aws_sdk_sqs::Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .region(self.region())
                .credentials_provider(self.credentials())
                .http_client(self.http());
            config.set_endpoint_url(self.var("AWS_ENDPOINT_URL_SQS"));
            aws_sdk_sqs::Client::from_conf(config.build())
        })
    }
}

/// What a function works with: made once, at the cold start, from settings; clients inside connect on first use.
pub trait Deps: Clone + Send + Sync + 'static {
    /// Reads the settings it needs; a missing one keeps the function from starting (P12).
    fn new(
        settings: &piecework_core::Settings,
        clients: &Clients,
    ) -> Result<Self, piecework_core::settings::SettingError>;
}

/// For functions that need nothing.
impl Deps for () {
    fn new(
        _: &piecework_core::Settings,
        _: &Clients,
    ) -> Result<Self, piecework_core::settings::SettingError> {
        Ok(())
    }
}
