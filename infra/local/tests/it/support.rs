//! A stack over the fixture, and what tests ask of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_dynamodb::types::AttributeValue;
use local::{DataDir, Stack, StackOptions};

/// How long a condition may take to come true.
pub const DEADLINE: Duration = Duration::from_secs(30);

const FUNCTIONS: [&str; 5] =
    ["fixture-greet", "fixture-inbox", "fixture-uploads", "fixture-stream", "fixture-sweep"];

/// The fixture's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture")
}

/// A running stack.
pub struct Fixture {
    /// The stack.
    pub stack: Stack,
    output: PathBuf,
    _folder: Option<tempfile::TempDir>,
}

impl Fixture {
    /// On a fresh folder.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut fixture = Self::start_on(folder.path()).await;
        fixture._folder = Some(folder);
        fixture
    }

    /// On a folder that may have data.
    pub async fn start_on(folder: &Path) -> Self {
        // Tests run from target/<profile>/deps; examples are beside it.
        let binary = std::env::current_exe().unwrap().parent().unwrap().join("../examples/fixture_function");
        let output = folder.join("output");
        let stack = Stack::start(StackOptions {
            data: DataDir::Path(folder.join("data")),
            binaries: FUNCTIONS.map(|name| (name.to_owned(), binary.clone())).into(),
            env: BTreeMap::from([("OUTPUT".to_owned(), output.to_str().unwrap().to_owned())]),
            visibility_cap: Some(Duration::from_secs(1)),
            ..StackOptions::new(root())
        });
        Self { stack: stack.await.unwrap(), output, _folder: None }
    }

    /// What a function has noted, in order.
    pub fn seen(&self, function: &str) -> Vec<String> {
        let text = std::fs::read_to_string(&self.output).unwrap_or_default();
        let lines = text.lines().map(|line| serde_json::from_str::<[String; 2]>(line).unwrap());
        lines.filter(|[name, _]| name == function).map(|[_, what]| what).collect()
    }

    /// Writes an item whose sort key is the name.
    pub async fn put(&self, name: &str) {
        let table = self.stack.table("Table").unwrap();
        let put = self.dynamodb().put_item().table_name(table);
        let put = put.item("pk", AttributeValue::S("p".into())).item("sk", AttributeValue::S(name.into()));
        put.send().await.unwrap();
    }

    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.sdk(&self.stack.endpoints().dynamodb))
    }

    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.sdk(&self.stack.endpoints().sqs))
    }

    pub fn s3(&self) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::config::Builder::from(&self.sdk(&self.stack.endpoints().s3));
        aws_sdk_s3::Client::from_conf(config.force_path_style(true).build())
    }

    /// Calls KMS on the wire.
    pub async fn kms(&self, operation: &str, body: serde_json::Value) -> serde_json::Value {
        let scope = "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/kms/aws4_request, SignedHeaders=host, Signature=s";
        let request = reqwest::Client::new()
            .post(&self.stack.endpoints().kms)
            .header("x-amz-target", format!("TrentService.{operation}"))
            .header("content-type", "application/x-amz-json-1.1")
            .header("authorization", scope)
            .body(body.to_string());
        serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap()
    }

    fn sdk(&self, endpoint: &str) -> SdkConfig {
        let (key, secret) = self.stack.credentials();
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(endpoint)
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                key, secret, None, None, "test",
            )))
            .build()
    }

    /// Ends the stack.
    pub async fn stop(self) {
        self.stack.stop().await;
    }
}

/// Waits for a condition.
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
