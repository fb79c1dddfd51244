use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use local_s3::{CreatedBy, EventKind, ObjectEvent};

use crate::browser::Upload;
use crate::support::{BUCKET, options, serve, start_with};

#[tokio::test]
async fn every_kind_of_change_is_told_once() {
    let events: Arc<Mutex<Vec<ObjectEvent>>> = Arc::default();
    let told = Arc::clone(&events);
    let it = start_with(|options| {
        options.on_event = Some(Arc::new(move |event| told.lock().unwrap().push(event)));
    })
    .await;
    it.put("t/put", "12345").await;
    let taken = it.client.put_object().bucket(BUCKET).key("t/put").if_none_match("*").send().await;
    assert!(taken.is_err());
    assert_eq!(Upload::new("t/post").file(b"123").send(&it).await.status(), 204);
    let copy = it.client.copy_object().bucket(BUCKET).key("t/cöpy").copy_source(format!("{BUCKET}/t/put"));
    copy.send().await.unwrap();
    let created = it.client.create_multipart_upload().bucket(BUCKET).key("t/multi").send().await.unwrap();
    let id = created.upload_id().unwrap();
    let part = it.client.upload_part().bucket(BUCKET).key("t/multi").upload_id(id).part_number(1);
    let part = part.body(b"1234567".to_vec().into()).send().await.unwrap();
    let part = CompletedPart::builder().part_number(1).e_tag(part.e_tag().unwrap()).build();
    let complete = it.client.complete_multipart_upload().bucket(BUCKET).key("t/multi").upload_id(id);
    complete.multipart_upload(CompletedMultipartUpload::builder().parts(part).build()).send().await.unwrap();
    for _ in 0..2 {
        it.client.delete_object().bucket(BUCKET).key("t/put").send().await.unwrap();
    }

    let events = events.lock().unwrap();
    let seen: Vec<_> = events.iter().map(|event| (event.kind, event.key.as_str(), event.size)).collect();
    use EventKind::{Created, Removed};
    assert_eq!(
        seen,
        [
            (Created(CreatedBy::Put), "t/put", 5),
            (Created(CreatedBy::Post), "t/post", 3),
            (Created(CreatedBy::Copy), "t/cöpy", 5),
            (Created(CreatedBy::CompleteMultipartUpload), "t/multi", 7),
            (Removed, "t/put", 0),
        ]
    );
    assert_eq!(events[0].etag, "827ccb0eea8a706c4c34a16891f84e7b");
    assert_eq!(events[3].kind.name(), "ObjectCreated:CompleteMultipartUpload");
    assert!(events.is_sorted_by(|a, b| a.sequencer < b.sequencer));
    assert!(events.iter().all(|event| event.bucket == BUCKET && event.sequencer.len() == 16));
}

#[tokio::test]
async fn an_event_that_nobody_took_is_told_after_the_restart() {
    let broken = Arc::new(AtomicBool::new(true));
    let failing = Arc::clone(&broken);
    let it = start_with(|options| {
        options.on_event =
            Some(Arc::new(move |_| assert!(!failing.load(Ordering::SeqCst), "the consumer is broken")));
    })
    .await;
    let put = it.client.put_object().bucket(BUCKET).key("k").body(b"v".to_vec().into()).send().await;
    assert!(put.is_err(), "a change that could not be told is not confirmed");
    it.server.shutdown().await;

    let events: Arc<Mutex<Vec<ObjectEvent>>> = Arc::default();
    for _ in 0..2 {
        let told = Arc::clone(&events);
        let mut options = options(it.dir.path());
        options.on_event = Some(Arc::new(move |event| told.lock().unwrap().push(event)));
        serve(options).await.shutdown().await;
    }
    let keys: Vec<String> = events.lock().unwrap().iter().map(|event| event.key.clone()).collect();
    assert_eq!(keys, ["k"]);
}
