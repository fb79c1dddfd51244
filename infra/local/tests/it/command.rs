//! The command: readiness file, a kill, a clean end.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use local::StackFile;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{eventually, root};

fn services(data: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_piecework"))
        .args(["services", "--data"])
        .arg(data)
        .current_dir(root())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

async fn ready(data: &Path) -> StackFile {
    let mut file = None;
    eventually("stack.json is there", async || {
        file = StackFile::read(data).ok();
        file.is_some()
    })
    .await;
    file.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn data_survives_kill_9_and_a_signal_ends_the_stack_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut child = services(&data);
    let file = ready(&data).await;
    let body = serde_json::json!({"QueueUrl": file.queues["DeadLetters"], "MessageBody": "kept"});
    request(&file, "SendMessage", body).await;
    // A second stack on the same data is refused while this one runs.
    assert!(!services(&data).wait().unwrap().success());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(StackFile::read(&data).is_err(), "a dead stack's file is not taken for a running one");

    let mut child = services(&data);
    let file = ready(&data).await;
    let body = serde_json::json!({"QueueUrl": file.queues["DeadLetters"]});
    let received = request(&file, "ReceiveMessage", body).await;
    assert_eq!(received["Messages"][0]["Body"], "kept");
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(!data.join("stack.json").exists());
}

async fn request(file: &StackFile, operation: &str, body: serde_json::Value) -> serde_json::Value {
    let request = reqwest::Client::new()
        .post(&file.endpoints.sqs)
        .header("x-amz-target", format!("AmazonSQS.{operation}"))
        .header("content-type", "application/x-amz-json-1.0")
        .body(body.to_string());
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}
