use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry as Change, DeleteMessageBatchRequestEntry as Delete,
    SendMessageBatchRequestEntry as Send,
};

use crate::support::{bodies, options, start};

fn entry(id: &str, body: &str) -> Send {
    Send::builder().id(id).message_body(body).build().unwrap()
}

#[tokio::test]
async fn a_batch_is_sent_received_changed_and_deleted_together() {
    let test = start(options()).await;
    let url = test.queue("work", &[]).await;
    let entries = (0..10).map(|n| entry(&format!("id-{n}"), &format!("body {n}"))).collect();
    let sent =
        test.client.send_message_batch().queue_url(&url).set_entries(Some(entries)).send().await.unwrap();
    assert_eq!((sent.successful().len(), sent.failed().len()), (10, 0));
    assert_eq!(sent.successful()[3].id(), "id-3");
    let got = test.receive(&url, 0).await;
    assert_eq!(got.len(), 10);

    let change = |(n, handle): (usize, &str)| {
        Change::builder().id(n.to_string()).receipt_handle(handle).visibility_timeout(0).build().unwrap()
    };
    let handles: Vec<&str> = got.iter().map(|message| message.receipt_handle().unwrap()).collect();
    let some = handles[..4].iter().copied().chain(["junk"]).enumerate().map(change).collect();
    let changed = test.client.change_message_visibility_batch().queue_url(&url).set_entries(Some(some));
    let changed = changed.send().await.unwrap();
    assert_eq!((changed.successful().len(), changed.failed().len()), (4, 1));
    assert_eq!((changed.failed()[0].id(), changed.failed()[0].code()), ("4", "ReceiptHandleIsInvalid"));
    assert!(changed.failed()[0].sender_fault());
    assert_eq!(test.counts(&url).await, (4, 6, 0));

    let delete = |(n, handle): (usize, &str)| {
        Delete::builder().id(n.to_string()).receipt_handle(handle).build().unwrap()
    };
    let some = handles[4..].iter().copied().chain(["junk"]).enumerate().map(delete).collect();
    let deleted =
        test.client.delete_message_batch().queue_url(&url).set_entries(Some(some)).send().await.unwrap();
    assert_eq!((deleted.successful().len(), deleted.failed().len()), (6, 1));
    assert_eq!(test.counts(&url).await, (4, 0, 0));
}

#[tokio::test]
async fn a_bad_entry_fails_alone() {
    let test = start(options()).await;
    let url = test.queue("work", &[]).await;
    let late = Send::builder().id("late").message_body("x").delay_seconds(901).build().unwrap();
    let entries = vec![entry("good", "fine"), entry("bad", "nul \0"), late];
    let sent =
        test.client.send_message_batch().queue_url(&url).set_entries(Some(entries)).send().await.unwrap();
    assert_eq!(sent.successful().iter().map(|ok| ok.id()).collect::<Vec<_>>(), ["good"]);
    let failed: Vec<_> = sent.failed().iter().map(|bad| (bad.id(), bad.code())).collect();
    assert_eq!(failed, [("bad", "InvalidMessageContents"), ("late", "InvalidParameterValue")]);
    assert_eq!(bodies(&test.receive(&url, 0).await), ["fine"]);
}

#[tokio::test]
async fn batches_of_the_wrong_shape_are_refused_whole() {
    let test = start(options()).await;
    let url = test.queue("work", &[]).await;
    let send = |entries: Vec<Send>| {
        let request = test.client.send_message_batch().queue_url(&url).set_entries(Some(entries));
        async move { request.send().await.unwrap_err().into_service_error() }
    };
    assert!(send(vec![]).await.is_empty_batch_request());
    let eleven = (0..11).map(|n| entry(&n.to_string(), "x")).collect();
    assert!(send(eleven).await.is_too_many_entries_in_batch_request());
    assert!(send(vec![entry("a", "x"), entry("a", "y")]).await.is_batch_entry_ids_not_distinct());
    assert!(send(vec![entry("a b", "x")]).await.is_invalid_batch_entry_id());
    assert!(send(vec![entry(&"a".repeat(81), "x")]).await.is_invalid_batch_entry_id());
    let half = "x".repeat(524_289);
    assert!(send(vec![entry("a", &half), entry("b", &half)]).await.is_batch_request_too_long());
    assert_eq!(test.counts(&url).await, (0, 0, 0));

    let half = "x".repeat(524_288);
    let entries = vec![entry("a", &half), entry("b", &half)];
    let sent = test.client.send_message_batch().queue_url(&url).set_entries(Some(entries));
    assert_eq!(sent.send().await.unwrap().successful().len(), 2);
}
