//! Rules that take minutes or days: here the clock is set by hand.

use std::collections::BTreeMap;

use super::messages::Received;
use super::*;
use crate::message::{Sent, md5_hex, uuid};

const DAY: i64 = 86_400_000;

fn store() -> Store {
    let mut store = Store::open(None, "arn:aws:sqs:eu-west-1:111122223333:".to_owned(), None).unwrap();
    store.now = 1_000 * DAY;
    store
}

fn attributes(pairs: &[(&str, &str)]) -> Attributes {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn make(store: &mut Store, name: &str, pairs: &[(&str, &str)]) -> Arc<Queue> {
    store.create(name, attributes(pairs), BTreeMap::new()).unwrap();
    store.queues.find(name).unwrap()
}

fn send(store: &mut Store, queue: &Queue, body: &str, group: Option<&str>, dedup: Option<&str>) -> Sent {
    let sent = Sent {
        message_id: uuid(),
        md5_of_body: md5_hex(body.as_bytes()),
        md5_of_attributes: None,
        md5_of_system_attributes: None,
        sequence_number: None,
    };
    let entry = Prepared {
        sent,
        body: body.to_owned(),
        attributes: None,
        trace: None,
        sender: "111122223333".to_owned(),
        group: group.map(str::to_owned),
        dedup: dedup.map(str::to_owned),
        delay: None,
    };
    store.send(queue, vec![entry]).unwrap().remove(0)
}

fn bodies(received: &Received) -> Vec<&str> {
    received.messages.iter().map(|message| message.body.as_str()).collect()
}

#[test]
fn a_message_vanishes_at_the_end_of_its_retention() {
    let mut store = store();
    let queue = make(&mut store, "q", &[("MessageRetentionPeriod", "60")]);
    send(&mut store, &queue, "old", None, None);
    store.now += 59_999;
    send(&mut store, &queue, "young", None, None);
    assert_eq!(store.counts("q").unwrap().visible, 2);
    store.now += 1;
    assert_eq!(store.counts("q").unwrap().visible, 1);
    assert_eq!(bodies(&store.receive("q", 1, None).unwrap()), ["young"]);
}

#[test]
fn a_deduplication_id_is_free_again_after_five_minutes() {
    let mut store = store();
    let queue = make(&mut store, "q.fifo", &[("FifoQueue", "true")]);
    let first = send(&mut store, &queue, "a", Some("g"), Some("id"));
    store.now += 299_999;
    assert_eq!(send(&mut store, &queue, "b", Some("g"), Some("id")).message_id, first.message_id);
    store.now += 1;
    assert_ne!(send(&mut store, &queue, "c", Some("g"), Some("id")).message_id, first.message_id);
    assert_eq!(bodies(&store.receive("q.fifo", 10, None).unwrap()), ["a", "c"]);
}

#[test]
fn a_standard_message_keeps_its_age_in_the_dead_letter_queue_and_a_fifo_one_does_not() {
    for (source, dead, fifo) in [("q", "d", false), ("q.fifo", "d.fifo", true)] {
        let mut store = store();
        let own: &[(&str, &str)] = if fifo { &[("FifoQueue", "true")] } else { &[] };
        let target = make(&mut store, dead, own);
        let policy = format!(r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":"1"}}"#, target.arn);
        let queue = make(&mut store, source, &[own, &[("RedrivePolicy", policy.as_str())]].concat());
        let group = fifo.then_some("g");
        let sent = send(&mut store, &queue, "poison", group, group);
        let sent_at = store.now;
        assert_eq!(store.receive(source, 1, None).unwrap().messages.len(), 1);
        store.now += DAY;
        assert_eq!(store.receive(source, 1, None).unwrap().messages.len(), 0);
        let moved = store.receive(dead, 1, None).unwrap().messages.remove(0);
        assert_eq!((moved.message_id, moved.body.as_str()), (sent.message_id, "poison"));
        assert_eq!(moved.attributes["DeadLetterQueueSourceArn"], queue.arn);
        let expected = if fifo { sent_at + DAY } else { sent_at };
        assert_eq!(moved.attributes["SentTimestamp"], expected.to_string());
    }
}

#[test]
fn nobody_holds_a_message_longer_than_twelve_hours() {
    let mut store = store();
    let queue = make(&mut store, "q", &[]);
    send(&mut store, &queue, "a", None, None);
    let handle = store.receive("q", 1, Some(43_200_000)).unwrap().messages.remove(0).receipt_handle;
    store.now += 1_000;
    store.change_visibility(&queue, &handle, 43_199_000).unwrap();
    let refused = store.change_visibility(&queue, &handle, 43_200_000).unwrap_err();
    assert_eq!(refused.code(), "InvalidParameterValue");
}

#[test]
fn poison_and_expired_messages_do_not_shorten_a_receive() {
    let mut store = store();
    let dead = make(&mut store, "d", &[]);
    let policy = format!(r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":1}}"#, dead.arn);
    let queue = make(&mut store, "q", &[("RedrivePolicy", &policy)]);
    for body in ["p1", "p2", "p3"] {
        send(&mut store, &queue, body, None, None);
    }
    assert_eq!(store.receive("q", 3, Some(0)).unwrap().messages.len(), 3);
    store.now += 1;
    for body in ["a", "b"] {
        send(&mut store, &queue, body, None, None);
    }
    assert_eq!(bodies(&store.receive("q", 2, None).unwrap()), ["a", "b"]);
    assert_eq!(store.counts("d").unwrap().visible, 3);
}

#[test]
fn a_purge_is_allowed_once_a_minute() {
    let mut store = store();
    let queue = make(&mut store, "q", &[]);
    send(&mut store, &queue, "a", None, None);
    store.purge("q").unwrap();
    assert_eq!(store.counts("q").unwrap(), Counts::default());
    store.now += 59_999;
    assert!(matches!(store.purge("q"), Err(SqsError::PurgeQueueInProgress(_))));
    store.now += 1;
    store.purge("q").unwrap();
}
