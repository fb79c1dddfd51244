//! What the tests share.

use bytes::Bytes;
use local_lambda::{FunctionSpec, InvocationReport, InvokeError, Lambda, LambdaOptions, LogSink};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::net::TcpListener;

#[derive(Default)]
pub struct Log {
    lines: Mutex<Vec<(String, u64, String)>>,
    reports: Mutex<Vec<InvocationReport>>,
}

impl LogSink for Log {
    fn line(&self, function: &str, sandbox: u64, line: &str) {
        self.lines.lock().unwrap().push((function.to_owned(), sandbox, line.to_owned()));
    }
    fn report(&self, report: &InvocationReport) {
        self.reports.lock().unwrap().push(report.clone());
    }
}

impl Log {
    pub fn lines(&self) -> Vec<(String, u64, String)> {
        self.lines.lock().unwrap().clone()
    }
    pub fn reports(&self) -> Vec<InvocationReport> {
        self.reports.lock().unwrap().clone()
    }
}

/// An example's binary: beside the folder of the test's own.
pub fn example(name: &str) -> PathBuf {
    let deps = std::env::current_exe().unwrap();
    let binary = deps.parent().unwrap().parent().unwrap().join("examples").join(name);
    assert!(binary.exists(), "{} is built by `cargo test`", binary.display());
    binary
}

pub fn spec(name: &str) -> FunctionSpec {
    FunctionSpec {
        name: name.to_owned(),
        binary: example("lambda_function"),
        env: BTreeMap::from([("OWN".to_owned(), "value".to_owned())]),
        memory_mb: 128,
        timeout: Duration::from_secs(20),
        max_concurrency: 4,
    }
}

pub async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

pub async fn start(functions: Vec<FunctionSpec>) -> (Lambda, Arc<Log>) {
    let log = Arc::new(Log::default());
    let options = LambdaOptions {
        log: log.clone(),
        account_id: "123456789012".to_owned(),
        region: "eu-west-1".to_owned(),
        scratch: std::env::temp_dir(),
        issue: None,
    };
    (Lambda::start(listener().await, functions, options).await.unwrap(), log)
}

pub async fn invoke(lambda: &Lambda, function: &str, event: Value) -> Result<Value, InvokeError> {
    let answer = lambda.invoke(function, Bytes::from(event.to_string())).await?;
    Ok(serde_json::from_slice(&answer).unwrap())
}

/// An invocation in the background that has reached its sandbox.
pub async fn busy(
    lambda: &Lambda,
    function: &str,
    ms: u64,
) -> tokio::task::JoinHandle<Result<Value, InvokeError>> {
    let before = running(lambda);
    let (shared, name) = (lambda.clone(), function.to_owned());
    let task = tokio::spawn(async move { invoke(&shared, &name, json!({"do": "sleep", "ms": ms})).await });
    eventually("an invocation is running", || running(lambda) > before).await;
    task
}

/// Sandboxes that hold an event they have taken.
fn running(lambda: &Lambda) -> usize {
    lambda.sandboxes().iter().filter(|s| s.busy && s.invocations > 0).count()
}

pub async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 30 s: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether a process exists and is not a zombie.
pub fn alive(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z'))
}
