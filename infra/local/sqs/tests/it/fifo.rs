use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aws_sdk_sqs::types::QueueAttributeName::{
    ContentBasedDeduplication, DeduplicationScope, FifoQueue, FifoThroughputLimit, RedrivePolicy,
};

use crate::support::{arn, bodies, client, code, impatient, options, receive, start, system};

#[tokio::test]
async fn a_group_is_held_while_one_of_its_messages_is_in_flight() {
    let test = start(options()).await;
    let url = test.fifo("work.fifo").await;
    for (group, body) in [("a", "a1"), ("a", "a2"), ("b", "b1"), ("a", "a3")] {
        test.send_to(&url, group, body).await;
    }
    let one = receive(&test.client, &url, 1, 0).await;
    assert_eq!(bodies(&one), ["a1"]);
    assert_eq!(system(&one[0], "MessageGroupId"), Some("a"));
    assert_eq!(bodies(&test.receive(&url, 0).await), ["b1"]);
    assert!(test.receive(&url, 0).await.is_empty());
    let waiting = {
        let (client, url) = (test.client.clone(), url.clone());
        tokio::spawn(async move { receive(&client, &url, 10, 20).await })
    };
    test.delete(&url, &one[0]).await;
    assert_eq!(bodies(&waiting.await.unwrap()), ["a2", "a3"], "freed by the delete, in order");
}

#[tokio::test]
async fn a_returned_message_comes_before_those_behind_it() {
    let test = start(options()).await;
    let url = test.fifo("work.fifo").await;
    for body in ["1", "2", "3"] {
        test.send_to(&url, "g", body).await;
    }
    let got = receive(&test.client, &url, 2, 0).await;
    let handles: Vec<&str> = got.iter().map(|message| message.receipt_handle().unwrap()).collect();
    let give_back = test.client.change_message_visibility().queue_url(&url).visibility_timeout(0);
    give_back.clone().receipt_handle(handles[0]).send().await.unwrap();
    assert!(test.receive(&url, 0).await.is_empty(), "the second is still in flight");
    give_back.receipt_handle(handles[1]).send().await.unwrap();
    assert_eq!(bodies(&test.receive(&url, 0).await), ["1", "2", "3"]);
}

#[tokio::test]
async fn the_same_message_is_kept_once() {
    let test = start(options()).await;
    let url = test.fifo("work.fifo").await;
    let first = test.send_to(&url, "g", "same").await;
    assert_eq!(test.send_to(&url, "other", "same").await, first, "by content, whatever the group");
    assert!(test.send_to(&url, "g", "next").await > first);
    let send =
        test.client.send_message().queue_url(&url).message_group_id("g").message_deduplication_id("id");
    let one = send.clone().message_body("x").send().await.unwrap();
    let two = send.clone().message_body("y").send().await.unwrap();
    assert_eq!(one.message_id, two.message_id);
    assert_ne!(one.md5_of_message_body, two.md5_of_message_body);
    let got = test.receive(&url, 0).await;
    assert_eq!(bodies(&got), ["same", "next", "x"]);
    assert_eq!(system(&got[2], "MessageDeduplicationId"), Some("id"));
    assert_eq!(system(&got[2], "SequenceNumber"), one.sequence_number());
    for message in &got {
        test.delete(&url, message).await;
    }
    send.message_body("z").send().await.unwrap();
    assert!(test.receive(&url, 0).await.is_empty(), "remembered after the original is gone");
}

#[tokio::test]
async fn deduplication_can_be_per_group() {
    let test = start(options()).await;
    let url = test
        .queue(
            "work.fifo",
            &[
                (FifoQueue, "true"),
                (ContentBasedDeduplication, "true"),
                (DeduplicationScope, "messageGroup"),
                (FifoThroughputLimit, "perMessageGroupId"),
            ],
        )
        .await;
    for group in ["a", "b", "a"] {
        test.send_to(&url, group, "same").await;
    }
    assert_eq!(test.counts(&url).await, (2, 0, 0));
}

#[tokio::test]
async fn a_fifo_queue_asks_for_group_and_deduplication_id() {
    let test = start(options()).await;
    let url = test.queue("strict.fifo", &[(FifoQueue, "true")]).await;
    let send = test.client.send_message().queue_url(&url).message_body("a");
    assert_eq!(code(&send.clone().send().await.unwrap_err()), "MissingParameter");
    let send = send.message_group_id("g");
    assert_eq!(code(&send.clone().send().await.unwrap_err()), "InvalidParameterValue");
    let send = send.message_deduplication_id("d");
    assert_eq!(code(&send.clone().delay_seconds(1).send().await.unwrap_err()), "InvalidParameterValue");
    let long = "g".repeat(129);
    assert_eq!(code(&send.clone().message_group_id(long).send().await.unwrap_err()), "InvalidParameterValue");
    send.send().await.unwrap();
}

#[tokio::test]
async fn an_expired_handle_is_refused() {
    let test = start(options()).await;
    let url = test.fifo("work.fifo").await;
    test.send_to(&url, "g", "a").await;
    let ask = test.client.receive_message().queue_url(&url).visibility_timeout(0);
    let got = ask.send().await.unwrap().messages.unwrap().remove(0);
    let delete = test.client.delete_message().queue_url(&url).set_receipt_handle(got.receipt_handle);
    assert_eq!(code(&delete.send().await.unwrap_err()), "InvalidParameterValue");
    assert_eq!(test.counts(&url).await, (1, 0, 0));
}

#[tokio::test]
async fn a_poison_message_leaves_its_group_to_the_next() {
    let test = start(impatient()).await;
    let dead = test.fifo("dead.fifo").await;
    let policy = format!(r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":1}}"#, arn("dead.fifo"));
    let url = test
        .queue(
            "work.fifo",
            &[(FifoQueue, "true"), (ContentBasedDeduplication, "true"), (RedrivePolicy, &policy)],
        )
        .await;
    test.send_to(&url, "g", "poison").await;
    test.send_to(&url, "g", "next").await;
    assert_eq!(bodies(&receive(&test.client, &url, 1, 0).await), ["poison"]);
    assert_eq!(bodies(&receive(&test.client, &url, 1, 20).await), ["next"]);
    let moved = test.receive(&dead, 0).await;
    assert_eq!(bodies(&moved), ["poison"]);
    assert_eq!(system(&moved[0], "MessageGroupId"), Some("g"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_consumers_see_every_group_in_order() {
    const GROUPS: usize = 6;
    const EACH: usize = 40;
    let test = start(options()).await;
    let url = test.fifo("work.fifo").await;
    for n in 0..EACH {
        for group in 0..GROUPS {
            test.send_to(&url, &format!("g{group}"), &format!("{group} {n}")).await;
        }
    }
    let seen: Arc<Mutex<HashMap<String, Vec<usize>>>> = Arc::default();
    let mut consumers = tokio::task::JoinSet::new();
    for _ in 0..5 {
        let (client, url, seen) = (client(&test.server.endpoint(), "AKID"), url.clone(), seen.clone());
        consumers.spawn(async move {
            while seen.lock().unwrap().values().map(Vec::len).sum::<usize>() < GROUPS * EACH {
                for message in receive(&client, &url, 3, 1).await {
                    let (group, n) = message.body().unwrap().split_once(' ').unwrap();
                    seen.lock().unwrap().entry(group.to_owned()).or_default().push(n.parse().unwrap());
                    let handle = message.receipt_handle().unwrap();
                    client.delete_message().queue_url(&url).receipt_handle(handle).send().await.unwrap();
                }
            }
        });
    }
    consumers.join_all().await;
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), GROUPS);
    for order in seen.values() {
        assert_eq!(*order, (0..EACH).collect::<Vec<_>>());
    }
}
