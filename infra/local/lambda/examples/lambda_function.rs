//! A function for the tests: does what its event's `do` says, else answers the event. With `INIT` in its environment
//! it fails to start in the way named there.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    match std::env::var("INIT").unwrap_or_default().as_str() {
        "exit" => std::process::exit(3),
        "hang" => std::future::pending().await,
        "report" => {
            call("/2018-06-01/runtime/init/error", br#"{"errorType":"Config","errorMessage":"no table"}"#)?;
            std::process::exit(1)
        }
        _ => lambda_runtime::run(service_fn(handle)).await,
    }
}

async fn handle(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let (event, context) = event.into_parts();
    // Behind the front: the request's body is the answer, or the command.
    let command = match event["rawPath"].as_str() {
        Some("/answer") => return Ok(serde_json::from_str(event["body"].as_str().unwrap_or("null"))?),
        Some("/do") => serde_json::from_str(event["body"].as_str().unwrap_or("null"))?,
        _ => event.clone(),
    };
    let number = |name: &str| command[name].as_u64().unwrap_or_default();
    match command["do"].as_str() {
        Some("abort") => std::process::abort(),
        Some("exit") => std::process::exit(i32::try_from(number("code"))?),
        Some("fail") => Err("told to fail".into()),
        Some("panic") => panic_now(),
        Some("sleep") => {
            tokio::time::sleep(Duration::from_millis(number("ms"))).await;
            Ok(json!(std::process::id()))
        }
        Some("big") => Ok(json!("x".repeat(usize::try_from(number("bytes"))?))),
        Some("eat") => {
            let memory = vec![1_u8; usize::try_from(number("mib"))? << 20];
            Ok(json!(std::hint::black_box(memory).len()))
        }
        Some("print") => {
            writeln!(std::io::stdout(), "to stdout\nsecond line")?;
            write!(std::io::stderr(), "to stderr, no newline at the end of the process")?;
            Ok(Value::Null)
        }
        Some("describe") => {
            let environment: BTreeMap<_, _> = std::env::vars().collect();
            let folder =
                |path: std::path::PathBuf| -> Result<usize, Error> { Ok(std::fs::read_dir(path)?.count()) };
            Ok(json!({
                "environment": environment, "context": context, "cwd": std::env::current_dir()?,
                "cwd_entries": folder(std::env::current_dir()?)?, "tmp_entries": folder(std::env::temp_dir())?,
                "pid": std::process::id(),
            }))
        }
        // Calls the Runtime API as no runtime should, and answers the statuses.
        Some("misuse") => {
            let invocation = |id: &str, what: &str| format!("/2018-06-01/runtime/invocation/{id}/{what}");
            let id = context.request_id.as_str();
            let statuses = [
                call(&invocation("someone-else", "response"), b"1")?,
                call(&invocation("someone-else", "error"), b"{}")?,
                call("/2018-06-01/runtime/init/error", b"{}")?,
                call("/2018-06-01/runtime/nothing", b"{}")?,
                call("/2018-06-01/runtime/invocation/next", b"")?,
                call(&invocation(id, "response"), br#""first""#)?,
                call(&invocation(id, "response"), br#""second""#)?,
            ];
            writeln!(std::io::stdout(), "{}", json!(statuses))?;
            // The runtime's own answer comes third, and is refused as well.
            Ok(json!("third"))
        }
        _ => Ok(event),
    }
}

#[expect(clippy::panic, reason = "a handler that panics is what the test is about")]
fn panic_now() -> Result<Value, Error> {
    panic!("told to panic")
}

/// The status of a POST to the Runtime API.
fn call(path: &str, body: &[u8]) -> Result<String, Error> {
    let mut stream = TcpStream::connect(std::env::var("AWS_LAMBDA_RUNTIME_API")?)?;
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )?;
    stream.write_all(body)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split(' ').nth(1).unwrap_or_default().to_owned())
}
