use std::time::{Duration, Instant};

use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeNameForSends, MessageSystemAttributeValue,
    QueueAttributeName::{DelaySeconds, MaximumMessageSize, ReceiveMessageWaitTimeSeconds, RedrivePolicy},
};

use crate::support::{ACCOUNT, arn, bodies, code, impatient, options, receive, start, system};

fn attribute(data_type: &str, value: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder().data_type(data_type).string_value(value).build().unwrap()
}

#[tokio::test]
async fn a_message_arrives_with_its_body_attributes_and_sums() {
    let test = start(options()).await;
    let url = test.queue("work", &[]).await;
    let binary = MessageAttributeValue::builder().data_type("Binary").binary_value(Blob::new([0, 255, 7]));
    let trace = MessageSystemAttributeValue::builder().data_type("String").string_value("Root=1-2-3");
    let sent = test
        .client
        .send_message()
        .queue_url(&url)
        .message_body("hello")
        .message_attributes("kind", attribute("String", "greeting"))
        .message_attributes("price", attribute("Number.cents", "-12.5"))
        .message_attributes("raw", binary.build().unwrap())
        .message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, trace.build().unwrap())
        .send()
        .await
        .unwrap();
    // Both computed with Python's hashlib after the developer guide's algorithm.
    assert_eq!(sent.md5_of_message_body(), Some("5d41402abc4b2a76b9719d911017c592"));
    assert_eq!(sent.md5_of_message_attributes(), Some("f0659da2ef61df32f669415cf6db5620"));

    let got = test.receive(&url, 0).await.remove(0);
    assert_eq!((got.message_id(), got.body()), (sent.message_id(), Some("hello")));
    assert_eq!(got.md5_of_body(), sent.md5_of_message_body());
    assert_eq!(got.md5_of_message_attributes(), sent.md5_of_message_attributes());
    let attributes = got.message_attributes().unwrap();
    assert_eq!(attributes["kind"], attribute("String", "greeting"));
    assert_eq!(attributes["price"], attribute("Number.cents", "-12.5"));
    assert_eq!(attributes["raw"].binary_value().unwrap().as_ref(), [0, 255, 7]);
    assert_eq!(system(&got, "AWSTraceHeader"), Some("Root=1-2-3"));
    assert_eq!(system(&got, "ApproximateReceiveCount"), Some("1"));
    assert_eq!(system(&got, "SenderId"), Some(ACCOUNT));
    let sent_at: i64 = system(&got, "SentTimestamp").unwrap().parse().unwrap();
    let first: i64 = system(&got, "ApproximateFirstReceiveTimestamp").unwrap().parse().unwrap();
    assert!(sent_at > 1_700_000_000_000 && first >= sent_at);
}

#[tokio::test]
async fn a_receiver_gets_only_the_attributes_it_names() {
    let test = start(options()).await;
    let url = test.queue("work", &[]).await;
    let send = test.client.send_message().queue_url(&url).message_body("a");
    let send = send.message_attributes("app.one", attribute("String", "1"));
    let send = send.message_attributes("app.two", attribute("String", "2"));
    send.message_attributes("other", attribute("String", "3")).send().await.unwrap();
    let ask = test.client.receive_message().queue_url(&url).visibility_timeout(0);
    let none = ask.clone().send().await.unwrap().messages.unwrap().remove(0);
    assert!(none.attributes.is_none() && none.message_attributes.is_none());
    assert!(none.md5_of_message_attributes.is_none());
    for (named, count) in [("All", 3), (".*", 3), ("app.*", 2), ("other", 1), ("app", 0)] {
        let got = ask.clone().message_attribute_names(named).send().await.unwrap().messages.unwrap();
        assert_eq!(got[0].message_attributes().map_or(0, |all| all.len()), count, "{named}");
    }
}

#[tokio::test]
async fn a_long_poll_returns_at_once_when_a_message_arrives() {
    let test = start(options()).await;
    let url = test.queue("work", &[(ReceiveMessageWaitTimeSeconds, "20")]).await;
    let waiting = {
        let (client, url) = (test.client.clone(), url.clone());
        tokio::spawn(async move { client.receive_message().queue_url(url).send().await.unwrap() })
    };
    // A second receiver proves by its own empty poll that the server is already answering.
    assert!(test.receive(&url, 0).await.is_empty());
    let sent = Instant::now();
    test.send(&url, "now").await;
    assert_eq!(bodies(waiting.await.unwrap().messages()), ["now"]);
    assert!(sent.elapsed() < Duration::from_secs(2), "{:?}", sent.elapsed());
}

#[tokio::test]
async fn a_long_poll_ends_empty_after_its_time() {
    let test = start(options()).await;
    let url = test.queue("work", &[]).await;
    let began = Instant::now();
    assert!(test.receive(&url, 1).await.is_empty());
    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn delays_of_queue_and_message_hide_a_message() {
    let test = start(options()).await;
    let url = test.queue("work", &[(DelaySeconds, "900")]).await;
    test.send(&url, "late").await;
    let prompt = test.client.send_message().queue_url(&url).message_body("prompt").delay_seconds(0);
    prompt.send().await.unwrap();
    assert_eq!(bodies(&test.receive(&url, 0).await), ["prompt"]);
    assert_eq!(test.counts(&url).await, (0, 1, 1));
}

#[tokio::test]
async fn a_long_poll_returns_when_a_delay_ends() {
    let test = start(impatient()).await;
    let url = test.queue("work", &[(DelaySeconds, "900")]).await;
    test.send(&url, "late").await;
    let got = test.receive(&url, 20).await.remove(0);
    let at = |name| system(&got, name).unwrap().parse::<i64>().unwrap();
    let waited = at("ApproximateFirstReceiveTimestamp") - at("SentTimestamp");
    assert!((100..10_000).contains(&waited), "{waited} ms");
}

#[tokio::test]
async fn a_message_not_deleted_comes_back_and_counts_its_receipts() {
    let test = start(impatient()).await;
    let url = test.queue("work", &[]).await;
    test.send(&url, "again").await;
    let first = test.receive(&url, 0).await.remove(0);
    let second = test.receive(&url, 20).await.remove(0);
    assert_eq!(second.message_id, first.message_id);
    assert_ne!(second.receipt_handle, first.receipt_handle);
    assert_eq!(system(&second, "ApproximateReceiveCount"), Some("2"));
    let first_received = |message| system(message, "ApproximateFirstReceiveTimestamp").unwrap().to_owned();
    assert_eq!(first_received(&second), first_received(&first));
}

#[tokio::test]
async fn an_old_receipt_handle_succeeds_and_deletes_nothing() {
    let test = start(options()).await;
    let url = test.queue("work", &[]).await;
    test.send(&url, "a").await;
    let ask = test.client.receive_message().queue_url(&url);
    let old = ask.clone().visibility_timeout(0).send().await.unwrap().messages.unwrap().remove(0);
    let new = ask.send().await.unwrap().messages.unwrap().remove(0);
    test.delete(&url, &old).await;
    assert_eq!(test.counts(&url).await, (0, 1, 0));
    let change = test.client.change_message_visibility().queue_url(&url).visibility_timeout(9);
    let refused = change.set_receipt_handle(old.receipt_handle).send().await.unwrap_err();
    assert!(refused.as_service_error().unwrap().is_message_not_inflight());
    test.delete(&url, &new).await;
    test.delete(&url, &new).await;
    assert_eq!(test.counts(&url).await, (0, 0, 0));
}

#[tokio::test]
async fn a_handle_still_deletes_after_its_timeout_if_nobody_received_since() {
    let test = start(options()).await;
    let url = test.queue("work", &[]).await;
    test.send(&url, "a").await;
    let ask = test.client.receive_message().queue_url(&url).visibility_timeout(0);
    let got = ask.send().await.unwrap().messages.unwrap().remove(0);
    assert_eq!(test.counts(&url).await, (1, 0, 0));
    test.delete(&url, &got).await;
    assert_eq!(test.counts(&url).await, (0, 0, 0));
}

#[tokio::test]
async fn visibility_is_given_up_kept_and_refused() {
    let test = start(options()).await;
    let (url, other) = (test.queue("work", &[]).await, test.queue("other", &[]).await);
    test.send(&url, "a").await;
    let handle = test.receive(&url, 0).await.remove(0).receipt_handle.unwrap();
    let change = test.client.change_message_visibility().receipt_handle(&handle);
    change.clone().queue_url(&url).visibility_timeout(600).send().await.unwrap();
    assert_eq!(test.counts(&url).await, (0, 1, 0));
    let wait = {
        let (client, url) = (test.client.clone(), url.clone());
        tokio::spawn(async move { receive(&client, &url, 1, 20).await })
    };
    change.clone().queue_url(&url).visibility_timeout(0).send().await.unwrap();
    assert_eq!(bodies(&wait.await.unwrap()), ["a"], "given back at once, to one who waits");

    let refused = change.clone().queue_url(&url).visibility_timeout(43_201).send().await.unwrap_err();
    assert_eq!(code(&refused), "InvalidParameterValue");
    let refused = change.queue_url(&other).visibility_timeout(1).send().await.unwrap_err();
    assert!(refused.as_service_error().unwrap().is_receipt_handle_is_invalid());
    let refused =
        test.client.delete_message().queue_url(&url).receipt_handle("junk").send().await.unwrap_err();
    assert!(refused.as_service_error().unwrap().is_receipt_handle_is_invalid());
}

#[tokio::test]
async fn a_message_received_too_often_moves_to_the_dead_letter_queue() {
    let test = start(impatient()).await;
    let dead = test.queue("dead", &[]).await;
    let policy = format!(r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":2}}"#, arn("dead"));
    let url = test.queue("work", &[(RedrivePolicy, &policy)]).await;
    let waiting = {
        let (client, dead) = (test.client.clone(), dead.clone());
        tokio::spawn(async move { receive(&client, &dead, 10, 20).await })
    };
    let id = test.send(&url, "poison").await;
    for count in ["1", "2"] {
        let got = test.receive(&url, 20).await.remove(0);
        assert_eq!(system(&got, "ApproximateReceiveCount"), Some(count));
    }
    assert!(test.receive(&url, 1).await.is_empty());
    let moved = waiting.await.unwrap().remove(0);
    assert_eq!((moved.message_id(), moved.body()), (Some(id.as_str()), Some("poison")));
    assert_eq!(system(&moved, "DeadLetterQueueSourceArn"), Some(arn("work").as_str()));
    assert_eq!(test.counts(&url).await, (0, 0, 0));
}

#[tokio::test]
async fn a_message_may_have_a_mebibyte_with_its_attributes_and_no_byte_more() {
    let test = start(options()).await;
    let url = test.queue("work", &[]).await;
    let send = test.client.send_message().queue_url(&url);
    let with = send.clone().message_attributes("four", attribute("String", "123456"));
    with.clone().message_body("é".repeat((1_048_576 - 16) / 2)).send().await.unwrap();
    let refused = with.message_body("x".repeat(1_048_576 - 15)).send().await.unwrap_err();
    assert_eq!(code(&refused), "InvalidParameterValue");
    assert_eq!(test.receive(&url, 0).await[0].body().unwrap().len(), 1_048_560);

    let small = test.queue("small", &[(MaximumMessageSize, "1024")]).await;
    test.send(&small, &"x".repeat(1_024)).await;
    let refused = send.queue_url(small).message_body("x".repeat(1_025)).send().await.unwrap_err();
    assert_eq!(code(&refused), "InvalidParameterValue");
}

#[tokio::test]
async fn bodies_hold_the_characters_of_xml_and_no_others() {
    let test = start(options()).await;
    let url = test.queue("work", &[]).await;
    let odd = "tab\t line\n return\r \u{7f} \u{d7ff} \u{e000} \u{fffd} \u{10000} \u{10ffff} \"\\";
    test.send(&url, odd).await;
    assert_eq!(bodies(&test.receive(&url, 0).await), [odd]);
    for bad in ["\0", "\u{8}", "\u{b}", "\u{1f}", "\u{fffe}", "\u{ffff}"] {
        let refused = test.client.send_message().queue_url(&url).message_body(bad).send().await.unwrap_err();
        assert!(refused.as_service_error().unwrap().is_invalid_message_contents(), "{bad:?}");
    }
    let refused = test.client.send_message().queue_url(&url).message_body("").send().await.unwrap_err();
    assert_eq!(code(&refused), "MissingParameter");
}

#[tokio::test]
async fn parameters_outside_their_range_are_refused() {
    let test = start(options()).await;
    let url = test.queue("work", &[]).await;
    let receive = test.client.receive_message().queue_url(&url);
    for request in [
        receive.clone().max_number_of_messages(0),
        receive.clone().max_number_of_messages(11),
        receive.clone().wait_time_seconds(21),
        receive.clone().visibility_timeout(43_201),
    ] {
        assert_eq!(code(&request.send().await.unwrap_err()), "InvalidParameterValue");
    }
    let send = test.client.send_message().queue_url(&url).message_body("a");
    let eleven = (0..11)
        .fold(send.clone(), |send, n| send.message_attributes(format!("n{n}"), attribute("String", "x")));
    for request in [
        send.clone().delay_seconds(901),
        send.clone().message_deduplication_id("x"),
        send.clone().message_attributes("AWS.x", attribute("String", "x")),
        send.clone().message_attributes("n", attribute("Number", "many")),
        send.clone().message_attributes("n", attribute("Text", "x")),
        eleven,
    ] {
        assert_eq!(code(&request.send().await.unwrap_err()), "InvalidParameterValue");
    }
}
