use aws_sdk_sqs::types::QueueAttributeName::{
    self, ApproximateNumberOfMessages, ApproximateNumberOfMessagesDelayed,
    ApproximateNumberOfMessagesNotVisible, CreatedTimestamp, DelaySeconds, FifoQueue, MaximumMessageSize,
    QueueArn, RedrivePolicy, VisibilityTimeout,
};

use crate::support::{ACCOUNT, arn, code, options, start};

#[tokio::test]
async fn a_queue_is_made_once_for_the_same_attributes() {
    let test = start(options()).await;
    let url = test.queue("work", &[(VisibilityTimeout, "60")]).await;
    assert_eq!(url, format!("{}/{ACCOUNT}/work", test.server.endpoint()));
    assert_eq!(test.queue("work", &[(VisibilityTimeout, "60")]).await, url);
    assert_eq!(test.queue("work", &[(DelaySeconds, "0")]).await, url, "a default counts as the same value");
    let other = test.client.create_queue().queue_name("work").attributes(VisibilityTimeout, "61");
    let refused = other.send().await.unwrap_err();
    assert!(refused.as_service_error().unwrap().is_queue_name_exists(), "{refused:?}");
}

#[tokio::test]
async fn queues_are_found_by_name_and_listed_by_prefix_and_page() {
    let test = start(options()).await;
    for name in ["a-1", "a-2", "a-3", "b-1"] {
        test.queue(name, &[]).await;
    }
    let found = test.client.get_queue_url().queue_name("a-2").send().await.unwrap();
    assert!(found.queue_url.unwrap().ends_with("/a-2"));
    let missing = test.client.get_queue_url().queue_name("none").send().await.unwrap_err();
    assert!(missing.as_service_error().unwrap().is_queue_does_not_exist());

    assert_eq!(test.client.list_queues().send().await.unwrap().queue_urls().len(), 4);
    assert!(test.client.list_queues().queue_name_prefix("z").send().await.unwrap().queue_urls.is_none());
    let list = test.client.list_queues().queue_name_prefix("a-").max_results(2);
    let first = list.clone().send().await.unwrap();
    assert_eq!(first.queue_urls().len(), 2);
    let second = list.set_next_token(first.next_token).send().await.unwrap();
    assert!(second.queue_urls().len() == 1 && second.next_token.is_none());
    assert_eq!(test.server.handle().list().len(), 4);
}

#[tokio::test]
async fn attributes_are_read_set_and_refused_by_range_and_name() {
    let test = start(options()).await;
    let url = test.queue("work", &[]).await;
    let all = test.attributes(&url).await;
    assert_eq!(all[&VisibilityTimeout], "30");
    assert_eq!(all[&MaximumMessageSize], "1048576");
    assert_eq!(all[&QueueArn], arn("work"));
    assert!(all[&CreatedTimestamp].parse::<u64>().unwrap() > 1_700_000_000);
    assert!(!all.contains_key(&FifoQueue));

    let set = test.client.set_queue_attributes().queue_url(&url);
    set.clone().attributes(VisibilityTimeout, "7").send().await.unwrap();
    let one = test.client.get_queue_attributes().queue_url(&url).attribute_names(VisibilityTimeout);
    let one = one.send().await.unwrap().attributes.unwrap();
    assert_eq!((one.len(), one[&VisibilityTimeout].as_str()), (1, "7"));

    let refused = set.clone().attributes(VisibilityTimeout, "43201").send().await.unwrap_err();
    assert!(refused.as_service_error().unwrap().is_invalid_attribute_value());
    let refused = set.attributes(QueueAttributeName::from("Colour"), "red").send().await.unwrap_err();
    assert!(refused.as_service_error().unwrap().is_invalid_attribute_name());
}

#[tokio::test]
async fn counts_tell_visible_in_flight_and_delayed_apart() {
    let test = start(options()).await;
    let url = test.queue("work", &[]).await;
    for body in ["a", "b", "c"] {
        test.send(&url, body).await;
    }
    let later = test.client.send_message().queue_url(&url).message_body("d").delay_seconds(900);
    later.send().await.unwrap();
    let one = test.client.receive_message().queue_url(&url).send().await.unwrap();
    assert_eq!(one.messages().len(), 1, "one message unless more are asked for");
    let all = test.attributes(&url).await;
    assert_eq!(all[&ApproximateNumberOfMessages], "2");
    assert_eq!(all[&ApproximateNumberOfMessagesNotVisible], "1");
    assert_eq!(all[&ApproximateNumberOfMessagesDelayed], "1");
}

#[tokio::test]
async fn names_follow_the_rules_of_their_type() {
    let test = start(options()).await;
    let long = "x".repeat(81);
    for name in ["", "with space", "a/b", "work.fifo", long.as_str()] {
        let refused = test.client.create_queue().queue_name(name).send().await.unwrap_err();
        assert_eq!(code(&refused), "InvalidParameterValue", "{name}");
    }
    let plain = test.client.create_queue().queue_name("work").attributes(FifoQueue, "true");
    assert_eq!(code(&plain.send().await.unwrap_err()), "InvalidParameterValue");
}

#[tokio::test]
async fn a_deleted_queue_is_gone_with_its_messages_and_its_waiting_receivers() {
    let test = start(options()).await;
    let url = test.queue("work", &[]).await;
    let waiting = {
        let (client, url) = (test.client.clone(), url.clone());
        tokio::spawn(
            async move { client.receive_message().queue_url(url).wait_time_seconds(20).send().await },
        )
    };
    test.client.delete_queue().queue_url(&url).send().await.unwrap();
    let ended = waiting.await.unwrap().unwrap_err();
    assert!(ended.as_service_error().unwrap().is_queue_does_not_exist());
    let refused = test.client.send_message().queue_url(&url).message_body("a").send().await.unwrap_err();
    assert!(refused.as_service_error().unwrap().is_queue_does_not_exist());
    let again = test.queue("work", &[]).await;
    assert!(test.receive(&again, 0).await.is_empty());
}

#[tokio::test]
async fn a_purge_empties_the_queue_and_a_second_one_has_to_wait() {
    let test = start(options()).await;
    let url = test.queue("work", &[]).await;
    test.send(&url, "a").await;
    test.send(&url, "b").await;
    let held = test.receive(&url, 0).await;
    assert_eq!(held.len(), 2);
    test.client.purge_queue().queue_url(&url).send().await.unwrap();
    assert_eq!(test.counts(&url).await, (0, 0, 0));
    test.delete(&url, &held[0]).await;
    let refused = test.client.purge_queue().queue_url(&url).send().await.unwrap_err();
    assert!(refused.as_service_error().unwrap().is_purge_queue_in_progress());
}

#[tokio::test]
async fn tags_are_added_listed_and_removed() {
    let test = start(options()).await;
    let made = test.client.create_queue().queue_name("work").tags("team", "mail").send().await.unwrap();
    let url = made.queue_url.unwrap();
    test.client.tag_queue().queue_url(&url).tags("stage", "test").send().await.unwrap();
    test.client.untag_queue().queue_url(&url).tag_keys("team").send().await.unwrap();
    let tags = test.client.list_queue_tags().queue_url(&url).send().await.unwrap().tags.unwrap();
    assert_eq!(tags.into_iter().collect::<Vec<_>>(), [("stage".to_owned(), "test".to_owned())]);
}

#[tokio::test]
async fn a_redrive_policy_needs_an_existing_target_of_the_same_type() {
    let test = start(options()).await;
    test.fifo("dead.fifo").await;
    for target in ["nowhere", "dead.fifo"] {
        let policy = format!(r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":3}}"#, arn(target));
        let make = test.client.create_queue().queue_name("work").attributes(RedrivePolicy, policy);
        assert_eq!(code(&make.send().await.unwrap_err()), "InvalidParameterValue", "{target}");
    }
    let dead = test.queue("dead", &[]).await;
    let policy = format!(r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":"3"}}"#, arn("dead"));
    let source = test.queue("work", &[(RedrivePolicy, &policy)]).await;
    let kept: serde_json::Value =
        serde_json::from_str(&test.attributes(&source).await[&RedrivePolicy]).unwrap();
    assert_eq!(kept, serde_json::json!({ "deadLetterTargetArn": arn("dead"), "maxReceiveCount": 3 }));
    let sources = test.client.list_dead_letter_source_queues().queue_url(&dead).send().await.unwrap();
    assert_eq!(sources.queue_urls, std::slice::from_ref(&source));
    let clear = test.client.set_queue_attributes().queue_url(&source).attributes(RedrivePolicy, "");
    clear.send().await.unwrap();
    assert!(!test.attributes(&source).await.contains_key(&RedrivePolicy));
}
