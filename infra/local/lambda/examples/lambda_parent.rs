//! A Lambda service for the tests to kill: starts one sandbox, keeps another busy, prints their process ids, and waits.

use bytes::Bytes;
use local_lambda::{FunctionSpec, InvocationReport, Lambda, LambdaOptions, LogSink};
use std::{io::Write, sync::Arc, time::Duration};

struct Silent;

impl LogSink for Silent {
    fn line(&self, _: &str, _: u64, _: &str) {}
    fn report(&self, _: &InvocationReport) {}
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let binary = std::env::args_os().nth(1).ok_or("the function's path")?.into();
    let spec = FunctionSpec {
        name: "f".into(),
        binary,
        env: [].into(),
        memory_mb: 128,
        timeout: Duration::from_secs(60),
        max_concurrency: 2,
    };
    let options = LambdaOptions {
        log: Arc::new(Silent),
        account_id: "123456789012".into(),
        region: "eu-west-1".into(),
        scratch: std::env::temp_dir(),
        issue: None,
    };
    let lambda =
        Lambda::start(tokio::net::TcpListener::bind("127.0.0.1:0").await?, vec![spec], options).await?;
    let invoke = |event: &'static str| {
        let lambda = lambda.clone();
        tokio::spawn(async move { lambda.invoke("f", Bytes::from_static(event.as_bytes())).await })
    };
    let busy = invoke(r#"{"do":"sleep","ms":2000}"#);
    while lambda.sandboxes().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    invoke("{}").await??;
    let pids: Vec<String> = lambda.sandboxes().iter().map(|s| s.pid.to_string()).collect();
    writeln!(std::io::stdout(), "{}", pids.join(" "))?;
    busy.await??;
    std::future::pending().await
}
