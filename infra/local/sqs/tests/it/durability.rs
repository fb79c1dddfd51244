use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use local_sqs::{Counts, Error, Options, SqsServer};
use tokio::net::TcpListener;

use crate::support::{TestServer, bodies, client, options, start};

/// Names the file for the child process of the test below.
const CHILD: &str = "LOCAL_SQS_TEST_FILE";

async fn on(path: &std::path::Path) -> TestServer {
    start(Options { path: Some(path.to_owned()), ..options() }).await
}

#[tokio::test]
async fn a_restart_keeps_queues_messages_and_what_is_in_flight() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sqs.db");
    let before = on(&path).await;
    let old_url = before.queue("work", &[]).await;
    before.send(&old_url, "held").await;
    let held = before.receive(&old_url, 0).await.remove(0);
    before.send(&old_url, "waiting").await;
    before.server.shutdown().await;

    let after = on(&path).await;
    assert_eq!(after.counts(&old_url).await, (1, 1, 0), "an address with the old port is good");
    assert_eq!(bodies(&after.receive(&old_url, 0).await), ["waiting"]);
    after.delete(&old_url, &held).await;
    assert_eq!(after.counts(&old_url).await, (0, 1, 0));
}

#[tokio::test]
async fn a_shutdown_ends_long_polls_without_messages() {
    let test = start(options()).await;
    let url = test.queue("work", &[]).await;
    let waiting = {
        let (handle, url) = (test.server.handle(), url.clone());
        tokio::spawn(async move { handle.receive(&url, 1, Duration::from_secs(600)).await })
    };
    let handle = test.server.handle();
    // The database answers in order: after this, the receive has looked and found nothing.
    assert_eq!(handle.attributes(&url).await.unwrap(), Counts::default());
    test.server.shutdown().await;
    assert!(waiting.await.unwrap().is_ok_and(|messages| messages.is_empty()));
    assert!(handle.attributes(&url).await.is_err());
}

#[tokio::test]
async fn a_file_has_one_server_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sqs.db");
    let first = on(&path).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let second = SqsServer::start(listener, Options { path: Some(path.clone()), ..options() }).await;
    assert!(matches!(second, Err(Error::Database(_))));
    first.server.shutdown().await;
    on(&path).await;
}

/// The child's part of the next test; does nothing when run by itself.
#[tokio::test]
async fn a_child_serves_until_it_is_killed() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let test = on(&PathBuf::from(path)).await;
    println!("\nendpoint {}", test.server.endpoint());
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sqs.db");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "durability::a_child_serves_until_it_is_killed", "--nocapture"])
        .env(CHILD, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let endpoint =
        lines.map_while(Result::ok).find_map(|l| l.strip_prefix("endpoint ").map(str::to_owned)).unwrap();
    let client = client(&endpoint, "AKID");
    let url = client.create_queue().queue_name("work").send().await.unwrap().queue_url.unwrap();

    let (report, mut answered) = tokio::sync::mpsc::unbounded_channel();
    for sender in 0..4 {
        let (client, url, report) = (client.clone(), url.clone(), report.clone());
        tokio::spawn(async move {
            for n in 0.. {
                let body = format!("{sender}-{n}");
                let send = client.send_message().queue_url(&url).message_body(&body).send();
                if send.await.is_err() || report.send(body).is_err() {
                    return;
                }
            }
        });
    }
    drop(report);
    let mut kept = HashSet::new();
    while kept.len() < 300 {
        kept.insert(answered.recv().await.unwrap());
    }
    child.kill().unwrap();
    child.wait().unwrap();
    while let Some(body) = answered.recv().await {
        kept.insert(body);
    }

    let after = on(&path).await;
    let found = after.server.handle().receive(&url, 10_000, Duration::ZERO).await.unwrap();
    let found: HashSet<String> = found.into_iter().map(|message| message.body).collect();
    assert!(kept.is_subset(&found), "lost: {:?}", kept.difference(&found));
}
