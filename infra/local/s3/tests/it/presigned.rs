use aws_sdk_s3::presigning::PresignedRequest;
use aws_sdk_s3::primitives::ByteStream;
use reqwest::Method;

use crate::support::{BUCKET, Fixture, code, expires, refusal, signed, start};

impl Fixture {
    /// Sends a presigned request as its receiver would: URL, method and the signed headers.
    pub fn follow(&self, presigned: &PresignedRequest) -> reqwest::RequestBuilder {
        let method: Method = presigned.method().parse().unwrap();
        let request = self.http.request(method, presigned.uri());
        presigned
            .headers()
            .filter(|(name, _)| *name != "content-length")
            .fold(request, |r, (k, v)| r.header(k, v))
    }
}

#[tokio::test]
async fn a_presigned_put_takes_what_was_signed() {
    let it = start().await;
    let put = it.client.put_object().bucket(BUCKET).key("t/a b.csv").content_type("text/csv");
    let presigned = put.content_length(5).presigned(expires(60)).await.unwrap();
    let sent = it.follow(&presigned).body("hello").send().await.unwrap();
    assert_eq!(sent.status(), 200);
    assert_eq!(sent.headers()["etag"], "\"5d41402abc4b2a76b9719d911017c592\"");
    assert!(sent.headers().contains_key("x-amz-request-id"));
    assert_eq!(it.get("t/a b.csv").await, b"hello");
    let head = it.client.head_object().bucket(BUCKET).key("t/a b.csv").send().await.unwrap();
    assert_eq!(head.content_type(), Some("text/csv"));
}

#[tokio::test]
async fn a_presigned_put_of_another_length_stores_nothing() {
    let it = start().await;
    let put = it.client.put_object().bucket(BUCKET).key("k").content_length(5);
    let presigned = put.presigned(expires(60)).await.unwrap();
    for body in ["hell", "hello!", ""] {
        let sent = it.follow(&presigned).body(body).send().await.unwrap();
        assert_eq!(refusal(sent).await, (403, "SignatureDoesNotMatch".into()));
    }
    let chunks = futures::stream::iter([Ok::<_, std::io::Error>("hello")]);
    let chunked = it.follow(&presigned).body(reqwest::Body::wrap_stream(chunks)).send().await.unwrap();
    assert_eq!(chunked.status(), 403);
    assert_eq!(it.keys().await, [""; 0]);
}

#[tokio::test]
async fn a_presigned_put_that_must_create_works_once() {
    let it = start().await;
    let put = it.client.put_object().bucket(BUCKET).key("k").if_none_match("*");
    let presigned = put.presigned(expires(60)).await.unwrap();
    assert_eq!(it.follow(&presigned).body("one").send().await.unwrap().status(), 200);
    let second = it.follow(&presigned).body("two").send().await.unwrap();
    assert_eq!(refusal(second).await, (412, "PreconditionFailed".into()));
    let without = it.http.put(presigned.uri()).body("two").send().await.unwrap();
    assert_eq!(without.status(), 403, "the condition is part of the signature");
    assert_eq!(it.get("k").await, b"one");
}

#[tokio::test]
async fn unsigned_forged_and_moved_requests_are_refused() {
    let it = start().await;
    it.put("secret", "v").await;
    let base = format!("{}/{BUCKET}", it.server.endpoint());
    assert_eq!(
        refusal(it.http.get(format!("{base}/secret")).send().await.unwrap()).await,
        (403, "AccessDenied".into())
    );
    let unsigned = it.http.put(format!("{base}/k")).body("v").send().await.unwrap();
    assert_eq!(refusal(unsigned).await, (403, "AccessDenied".into()));

    let presigned = it.client.put_object().bucket(BUCKET).key("k").presigned(expires(60)).await.unwrap();
    let last = presigned.uri().chars().last().unwrap();
    let forged =
        format!("{}{}", &presigned.uri()[..presigned.uri().len() - 1], if last == '0' { '1' } else { '0' });
    for url in [forged, presigned.uri().replace("/k?", "/other?"), presigned.uri().replace("=60&", "=61&")] {
        let sent = it.http.put(url).body("v").send().await.unwrap();
        assert_eq!(refusal(sent).await, (403, "SignatureDoesNotMatch".into()));
    }
    let read = it.http.get(presigned.uri()).send().await.unwrap();
    assert_eq!(read.status(), 403, "a URL to write does not read");
    assert_eq!(it.keys().await, ["secret"]);
}

#[tokio::test]
async fn the_holder_of_a_presigned_put_cannot_copy_with_it() {
    let it = start().await;
    it.put("secret", "v").await;
    let presigned = it.client.put_object().bucket(BUCKET).key("k").presigned(expires(60)).await.unwrap();
    for (name, value) in
        [("x-amz-copy-source", "lists/secret"), ("x-amz-meta-owner", "me"), ("x-amz-acl", "private")]
    {
        let sent = it.follow(&presigned).header(name, value).body("").send().await.unwrap();
        assert_eq!(refusal(sent).await, (403, "AccessDenied".into()), "{name}");
    }
    assert_eq!(it.keys().await, ["secret"]);
}

#[tokio::test]
async fn a_presigned_url_dies_at_its_expiry_and_lives_a_week_at_most() {
    let it = start().await;
    it.put("k", "v").await;
    let past = std::time::SystemTime::now() - std::time::Duration::from_secs(120);
    let config = |seconds| {
        aws_sdk_s3::presigning::PresigningConfig::builder()
            .start_time(past)
            .expires_in(std::time::Duration::from_secs(seconds))
            .build()
            .unwrap()
    };
    let dead = it.client.get_object().bucket(BUCKET).key("k").presigned(config(60)).await.unwrap();
    assert_eq!(refusal(it.follow(&dead).send().await.unwrap()).await, (403, "AccessDenied".into()));
    let alive = it.client.get_object().bucket(BUCKET).key("k").presigned(config(600)).await.unwrap();
    assert_eq!(it.follow(&alive).send().await.unwrap().text().await.unwrap(), "v");
    let long = alive.uri().replace("X-Amz-Expires=600", "X-Amz-Expires=604801");
    assert_eq!(refusal(it.http.get(long).send().await.unwrap()).await.1, "AuthorizationQueryParametersError");
}

#[tokio::test]
async fn a_presigned_get_can_name_the_download_and_serve_ranges() {
    let it = start().await;
    it.put("k", "0123456789").await;
    let get = it.client.get_object().bucket(BUCKET).key("k").response_content_type("text/plain");
    let get = get.response_content_disposition("attachment; filename=\"result.csv\"");
    let presigned = get.presigned(expires(60)).await.unwrap();
    let got = it.follow(&presigned).send().await.unwrap();
    assert_eq!(got.headers()["content-type"], "text/plain");
    assert_eq!(got.headers()["content-disposition"], "attachment; filename=\"result.csv\"");
    assert_eq!(got.headers()["content-length"], "10");
    let part = it.follow(&presigned).header("range", "bytes=2-4").send().await.unwrap();
    assert_eq!((part.status().as_u16(), part.text().await.unwrap().as_str()), (206, "234"));
}

#[tokio::test]
async fn a_signed_digest_must_be_the_digest_of_the_body() {
    let it = start().await;
    // SHA-256 of "hello".
    let sum = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=";
    let put = it.client.put_object().bucket(BUCKET).key("k").checksum_sha256(sum);
    let presigned = put.presigned(expires(60)).await.unwrap();
    let other = it.follow(&presigned).body("jello").send().await.unwrap();
    assert_eq!(refusal(other).await, (400, "BadDigest".into()));
    assert_eq!(it.keys().await, [""; 0]);
    assert_eq!(it.follow(&presigned).body("hello").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn another_region_is_refused_by_name() {
    let it = start().await;
    let wrong = aws_sdk_s3::config::Region::new("eu-west-1");
    let config = it.client.config().to_builder().region(wrong).build();
    let put = aws_sdk_s3::Client::from_conf(config).put_object().bucket(BUCKET).key("k");
    assert_eq!(code(put.body(ByteStream::from_static(b"v")).send().await), "AuthorizationHeaderMalformed");
}

#[tokio::test]
async fn a_browser_on_another_origin_may_upload_and_read_the_etag() {
    let it = start().await;
    let presigned = it.client.put_object().bucket(BUCKET).key("k").presigned(expires(60)).await.unwrap();
    let ask = it.http.request(Method::OPTIONS, presigned.uri()).header("origin", "https://app.example");
    let ask = ask
        .header("access-control-request-method", "PUT")
        .header("access-control-request-headers", "content-type,x-amz-checksum-crc32");
    let allowed = ask.send().await.unwrap();
    assert_eq!(allowed.status(), 200);
    assert_eq!(allowed.headers()["access-control-allow-origin"], "*");
    assert_eq!(allowed.headers()["access-control-allow-headers"], "content-type,x-amz-checksum-crc32");
    assert!(allowed.headers()["access-control-allow-methods"].to_str().unwrap().contains("PUT"));
    let sent = it.follow(&presigned).header("origin", "https://app.example").body("v").send().await.unwrap();
    assert_eq!(sent.headers()["access-control-allow-origin"], "*");
    assert!(sent.headers()["access-control-expose-headers"].to_str().unwrap().contains("etag"));
}

#[tokio::test]
async fn a_hand_signed_request_works_as_the_sdk_does() {
    let it = start().await;
    let (endpoint, path) = (it.server.endpoint(), format!("/{BUCKET}/k"));
    let unsigned = [("x-amz-content-sha256", "UNSIGNED-PAYLOAD")];
    let put = signed(&it.http, &endpoint, Method::PUT, &path, &unsigned).body("v").send().await.unwrap();
    assert_eq!(put.status(), 200);
    let stray =
        signed(&it.http, &endpoint, Method::PUT, &path, &unsigned).header("x-amz-meta-a", "b").body("w");
    assert_eq!(refusal(stray.send().await.unwrap()).await, (403, "AccessDenied".into()));
    assert_eq!(it.get("k").await, b"v");
}
