use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, SendMessageBatchRequestEntry};
use local_sqs::{Options, SendOptions};

use crate::support::{client, options, receive, start};

const MESSAGES: usize = 2_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_consumers_get_each_of_two_thousand_messages_once() {
    let folder = tempfile::tempdir().unwrap();
    let test = start(Options { path: Some(folder.path().join("sqs.db")), ..options() }).await;
    let url = test.queue("work", &[]).await;
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let deleted = Arc::new(AtomicUsize::new(0));
    let mut consumers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let client = client(&test.server.endpoint(), "AKID");
        let (url, seen, deleted) = (url.clone(), seen.clone(), deleted.clone());
        consumers.spawn(async move {
            while deleted.load(Ordering::Relaxed) < MESSAGES {
                let got = receive(&client, &url, 10, 1).await;
                if got.is_empty() {
                    continue;
                }
                seen.lock().unwrap().extend(got.iter().map(|message| message.body().unwrap().to_owned()));
                let entry = |(n, message): (usize, &aws_sdk_sqs::types::Message)| {
                    let handle = message.receipt_handle().unwrap();
                    let entry = DeleteMessageBatchRequestEntry::builder().id(n.to_string());
                    entry.receipt_handle(handle).build().unwrap()
                };
                let entries = got.iter().enumerate().map(entry).collect();
                let delete = client.delete_message_batch().queue_url(&url).set_entries(Some(entries));
                let done = delete.send().await.unwrap();
                deleted.fetch_add(done.successful().len(), Ordering::Relaxed);
            }
        });
    }
    for batch in 0..MESSAGES / 10 {
        let entry = |n: usize| {
            let entry = SendMessageBatchRequestEntry::builder().id(n.to_string());
            entry.message_body(format!("{}", batch * 10 + n)).build().unwrap()
        };
        let entries = (0..10).map(entry).collect();
        let send = test.client.send_message_batch().queue_url(&url).set_entries(Some(entries));
        assert_eq!(send.send().await.unwrap().successful().len(), 10);
    }
    consumers.join_all().await;
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    assert_eq!(seen.len(), MESSAGES);
    assert_eq!(seen.iter().collect::<HashSet<_>>().len(), MESSAGES);
    assert_eq!(test.counts(&url).await, (0, 0, 0));
    test.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_handle_moves_thousands_of_messages_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let test = start(Options { path: Some(folder.path().join("sqs.db")), ..options() }).await;
    let handle = test.server.handle();
    let url = handle.create_queue("work", BTreeMap::new()).await.unwrap();
    let began = Instant::now();
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..10 {
        let (handle, url) = (handle.clone(), url.clone());
        senders.spawn(async move {
            for n in 0..500 {
                handle.send(&url, format!("{sender} {n}"), SendOptions::default()).await.unwrap();
            }
        });
    }
    senders.join_all().await;
    let sent = began.elapsed();
    let got = handle.receive(&url, 10_000, Duration::ZERO).await.unwrap();
    assert_eq!(got.len(), 5_000);
    assert_eq!(got[0].attributes["ApproximateReceiveCount"], "1");
    let handles = got.into_iter().map(|message| message.receipt_handle).collect();
    let outcomes = handle.delete_batch(&url, handles).await.unwrap();
    assert!(outcomes.len() == 5_000 && outcomes.iter().all(Result::is_ok));
    assert_eq!(handle.attributes(&url).await.unwrap(), local_sqs::Counts::default());
    println!("5,000 sends in {sent:?}, all in {:?}", began.elapsed());
}
