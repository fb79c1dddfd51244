//! A server in a fresh folder and its clients.

use std::path::Path;
use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::PresigningConfig;
use hmac::{Hmac, KeyInit, Mac};
use local_s3::{Options, S3Server};
use sha2::{Digest, Sha256};

pub const BUCKET: &str = "lists";
pub const REGION: &str = "us-east-1";
pub const KEYS: (&str, &str) = ("local", "local-secret");

pub struct Fixture {
    pub dir: tempfile::TempDir,
    pub server: S3Server,
    pub client: Client,
    pub http: reqwest::Client,
}

pub fn options(dir: &Path) -> Options {
    Options::new(dir, REGION, [(KEYS.0.to_owned(), KEYS.1.to_owned())])
}

pub async fn serve(options: Options) -> S3Server {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = S3Server::start(listener, options).await.unwrap();
    server.create_bucket(BUCKET).await.unwrap();
    server
}

pub fn client(endpoint: &str, access_key: &str, secret: &str) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new(access_key, secret, None, None, "test"))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled())
        .build();
    Client::from_conf(config)
}

pub async fn start() -> Fixture {
    start_with(|_| {}).await
}

pub async fn start_with(change: impl FnOnce(&mut Options)) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path());
    change(&mut options);
    let server = serve(options).await;
    let client = client(&server.endpoint(), KEYS.0, KEYS.1);
    Fixture { dir, server, client, http: reqwest::Client::new() }
}

impl Fixture {
    pub async fn put(&self, key: &str, body: impl Into<Vec<u8>>) {
        let body: Vec<u8> = body.into();
        self.client.put_object().bucket(BUCKET).key(key).body(body.into()).send().await.unwrap();
    }

    pub async fn get(&self, key: &str) -> Vec<u8> {
        let got = self.client.get_object().bucket(BUCKET).key(key).send().await.unwrap();
        got.body.collect().await.unwrap().to_vec()
    }

    pub async fn keys(&self) -> Vec<String> {
        let objects = self.server.handle().list(BUCKET).await.unwrap();
        objects.into_iter().map(|object| object.key).collect()
    }

    pub fn files(&self, folder: &str) -> usize {
        std::fs::read_dir(self.dir.path().join(folder)).unwrap().count()
    }
}

pub fn expires(seconds: u64) -> PresigningConfig {
    PresigningConfig::expires_in(Duration::from_secs(seconds)).unwrap()
}

/// The S3 error code of a failed SDK call.
pub fn code<T, E: ProvideErrorMetadata, R>(result: Result<T, SdkError<E, R>>) -> String {
    match result {
        Ok(_) => "no error".to_owned(),
        Err(error) => error.as_service_error().and_then(|e| e.code()).unwrap_or("no code").to_owned(),
    }
}

/// Status and S3 error code of a plain answer.
pub async fn refusal(response: reqwest::Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body = response.text().await.unwrap();
    let code = body.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    (status, code.map(|(code, _)| code.to_owned()).unwrap_or(body))
}

/// Waits until `holds`, at most ten seconds.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not happen in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

pub fn signing_key(day: &str) -> Vec<u8> {
    [day, REGION, "s3", "aws4_request"]
        .iter()
        .fold(format!("AWS4{}", KEYS.1).into_bytes(), |key, step| hmac(&key, step))
}

/// `20261120T210000Z`, so many seconds from now.
pub fn amz_date(offset: i64) -> String {
    let time = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(offset);
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// A request signed in its headers by hand, for bodies that no SDK would send. `x-amz-content-sha256` is among
/// `headers`.
pub fn signed(
    http: &reqwest::Client,
    endpoint: &str,
    method: reqwest::Method,
    path: &str,
    headers: &[(&str, &str)],
) -> reqwest::RequestBuilder {
    let (date, host) = (amz_date(0), endpoint.strip_prefix("http://").unwrap());
    let mut all: Vec<(&str, &str)> = headers.to_vec();
    all.extend([("host", host), ("x-amz-date", date.as_str())]);
    all.sort_unstable();
    let names = all.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let lines: String = all.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let payload = headers.iter().find(|(name, _)| *name == "x-amz-content-sha256").unwrap().1;
    let canonical = format!("{method}\n{path}\n\n{lines}\n{names}\n{payload}");
    let scope = format!("{}/{REGION}/s3/aws4_request", &date[..8]);
    let hashed = hex(&Sha256::digest(canonical));
    let signature =
        hex(&hmac(&signing_key(&date[..8]), &format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashed}")));
    let mut request = http.request(method, format!("{endpoint}{path}")).header("x-amz-date", &date).header(
        "authorization",
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            KEYS.0
        ),
    );
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request
}
