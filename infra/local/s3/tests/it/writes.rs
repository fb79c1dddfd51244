use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_s3::primitives::ByteStream;
use local_s3::{CallContext, Error, S3Server};
use tokio::task::JoinSet;

use crate::support::{BUCKET, client, code, expires, options, start, start_with};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_32_racing_creations_exactly_one_wins() {
    let it = start().await;
    for round in 0..4 {
        let mut racers = JoinSet::new();
        for racer in 0..32 {
            let (client, key) = (it.client.clone(), format!("k{round}"));
            racers.spawn(async move {
                let body = ByteStream::from(format!("{racer}").into_bytes());
                let put =
                    client.put_object().bucket(BUCKET).key(key).if_none_match("*").body(body).send().await;
                put.is_ok().then_some(racer).ok_or_else(|| code(put))
            });
        }
        let results = racers.join_all().await;
        let winners: Vec<i32> = results.iter().filter_map(|result| result.as_ref().ok().copied()).collect();
        assert_eq!(winners.len(), 1, "{results:?}");
        assert!(results.iter().filter_map(|r| r.as_ref().err()).all(|code| code == "PreconditionFailed"));
        assert_eq!(it.get(&format!("k{round}")).await, winners[0].to_string().as_bytes());
    }
    assert_eq!((it.files("objects"), it.files("scratch")), (4, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_racing_replacements_of_one_version_exactly_one_wins() {
    let it = start().await;
    it.put("k", "first").await;
    let head = it.client.head_object().bucket(BUCKET).key("k").send().await.unwrap();
    let etag = head.e_tag().unwrap().to_owned();
    let mut racers = JoinSet::new();
    for racer in 0..16 {
        let (client, etag) = (it.client.clone(), etag.clone());
        racers.spawn(async move {
            let body = ByteStream::from(format!("{racer}").into_bytes());
            client.put_object().bucket(BUCKET).key("k").if_match(etag).body(body).send().await.is_ok()
        });
    }
    let won = racers.join_all().await.into_iter().filter(|won| *won).count();
    assert_eq!(won, 1);
    let absent = it.client.put_object().bucket(BUCKET).key("none").if_match(etag).send().await;
    assert_eq!(code(absent), "NoSuchKey");
}

#[tokio::test]
async fn unknown_keys_and_wrong_secrets_are_refused() {
    let it = start().await;
    let endpoint = it.server.endpoint();
    let put = |client: aws_sdk_s3::Client| async move {
        code(client.put_object().bucket(BUCKET).key("k").body(ByteStream::from_static(b"v")).send().await)
    };
    assert_eq!(put(client(&endpoint, "stranger", "local-secret")).await, "InvalidAccessKeyId");
    assert_eq!(put(client(&endpoint, "local", "wrong")).await, "SignatureDoesNotMatch");
    assert_eq!(it.keys().await, [""; 0]);
}

#[tokio::test]
async fn a_policy_decides_about_each_key() {
    let it = start_with(|options| {
        options.authorize = Some(Arc::new(|call: &CallContext<'_>| {
            assert_eq!(call.access_key, "local");
            call.action != "s3:DeleteObject" || call.key != Some("kept")
        }));
    })
    .await;
    it.put("kept", "v").await;
    it.put("other", "v").await;
    let delete = it.client.delete_object().bucket(BUCKET).key("kept").send().await;
    assert_eq!(code(delete), "AccessDenied");
    let object = |key: &str| aws_sdk_s3::types::ObjectIdentifier::builder().key(key).build().unwrap();
    let both = aws_sdk_s3::types::Delete::builder()
        .objects(object("kept"))
        .objects(object("other"))
        .build()
        .unwrap();
    let done = it.client.delete_objects().bucket(BUCKET).delete(both).send().await.unwrap();
    assert_eq!(done.errors()[0].code(), Some("AccessDenied"));
    assert_eq!(it.keys().await, ["kept"]);
}

#[tokio::test]
async fn a_folder_serves_one_server_at_a_time() {
    let it = start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let second = S3Server::start(listener, options(it.dir.path())).await;
    assert!(matches!(second, Err(Error::InUse(_))));
}

#[tokio::test]
async fn reads_are_not_held_back_by_nagle() {
    let it = start().await;
    // One answer in a single write, and one whose last write is short.
    for size in [3_000, 256 * 1024 + 100] {
        it.put("k", vec![1; size]).await;
        let presigned = it.client.get_object().bucket(BUCKET).key("k").presigned(expires(600)).await.unwrap();
        let started = Instant::now();
        for _ in 0..200 {
            assert_eq!(it.http.get(presigned.uri()).send().await.unwrap().bytes().await.unwrap().len(), size);
        }
        // A delayed acknowledgement is 40 ms, so 200 of them are 8 s.
        assert!(started.elapsed() < Duration::from_secs(5), "{size}: {:?}", started.elapsed());
    }
}
