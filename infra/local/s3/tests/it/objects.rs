use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, Delete, MetadataDirective, ObjectIdentifier};

use crate::support::{BUCKET, code, refusal, signed, start};

#[tokio::test]
async fn an_object_comes_back_with_its_body_and_headers() {
    let it = start().await;
    let put = it
        .client
        .put_object()
        .bucket(BUCKET)
        .key("report.csv")
        .body(ByteStream::from_static(b"a,b\n"))
        .content_type("text/csv")
        .content_disposition("attachment; filename=\"r.csv\"")
        .content_encoding("identity")
        .cache_control("no-store")
        .content_language("en")
        .metadata("owner", "someone")
        .send()
        .await
        .unwrap();
    let got = it.client.get_object().bucket(BUCKET).key("report.csv").send().await.unwrap();
    let head = it.client.head_object().bucket(BUCKET).key("report.csv").send().await.unwrap();
    assert_eq!(got.e_tag(), put.e_tag());
    assert_eq!(got.content_type(), Some("text/csv"));
    assert_eq!(got.content_disposition(), Some("attachment; filename=\"r.csv\""));
    assert_eq!(got.content_encoding(), Some("identity"));
    assert_eq!(got.cache_control(), Some("no-store"));
    assert_eq!(got.content_language(), Some("en"));
    assert_eq!(got.metadata().unwrap()["owner"], "someone");
    assert_eq!(head.metadata(), got.metadata());
    assert_eq!(head.content_length(), Some(4));
    assert_eq!(head.last_modified(), got.last_modified());
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"a,b\n");
}

#[tokio::test]
async fn a_second_put_replaces_the_first_and_leaves_one_file() {
    let it = start().await;
    for body in ["one", "two", "three"] {
        it.put("k", body).await;
        assert_eq!(it.get("k").await, body.as_bytes());
    }
    it.put("empty", "").await;
    assert_eq!(it.get("empty").await, b"");
    assert_eq!((it.files("objects"), it.files("scratch")), (2, 0));
}

#[tokio::test]
async fn strange_keys_stay_keys() {
    let it = start().await;
    let long = "é".repeat(512);
    let keys = [
        "../../etc/passwd",
        "a//b",
        "/leading",
        "trailing/",
        ".",
        "..",
        "a b+c%2Fd?e&f#g=h",
        "日本/\u{1f600}",
        &long,
    ];
    for key in keys {
        it.put(key, key).await;
    }
    for key in keys {
        assert_eq!(it.get(key).await, key.as_bytes(), "{key}");
        let handle = it.server.handle().read(BUCKET, key).await.unwrap();
        assert_eq!(handle, key.as_bytes());
    }
    let mut sorted = keys.to_vec();
    sorted.sort_unstable();
    assert_eq!(it.keys().await, sorted);
    for file in std::fs::read_dir(it.dir.path().join("objects")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(name.len() == 26 && name.chars().all(|c| c.is_ascii_alphanumeric()), "{name}");
    }
    let too_long = it.client.put_object().bucket(BUCKET).key(format!("{long}x")).send().await;
    assert_eq!(code(too_long), "KeyTooLongError");
}

#[tokio::test]
async fn every_checksum_is_verified_kept_and_given_back() {
    let it = start().await;
    let file = it.dir.path().join("upload");
    std::fs::write(&file, vec![7; 200_000]).unwrap();
    for algorithm in ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"] {
        let algorithm = ChecksumAlgorithm::from(algorithm);
        // A body in memory travels with a header, a file with a trailer.
        for streamed in [false, true] {
            let body = if streamed {
                ByteStream::from_path(&file).await.unwrap()
            } else {
                ByteStream::from(vec![7; 200_000])
            };
            let put = it.client.put_object().bucket(BUCKET).key("k").body(body);
            let put = put.checksum_algorithm(algorithm.clone()).send().await.unwrap();
            let get = it.client.get_object().bucket(BUCKET).key("k").checksum_mode(ChecksumMode::Enabled);
            let got = get.send().await.unwrap();
            let sums = |a: Option<&str>, b: Option<&str>| assert_eq!(a, b, "{algorithm:?} {streamed}");
            sums(got.checksum_crc32(), put.checksum_crc32());
            sums(got.checksum_crc32_c(), put.checksum_crc32_c());
            sums(got.checksum_crc64_nvme(), put.checksum_crc64_nvme());
            sums(got.checksum_sha1(), put.checksum_sha1());
            sums(got.checksum_sha256(), put.checksum_sha256());
            assert_eq!(got.content_encoding(), None, "aws-chunked is not part of the object");
            assert_eq!(got.body.collect().await.unwrap().to_vec(), vec![7; 200_000]);
        }
    }
}

#[tokio::test]
async fn a_bad_digest_stores_nothing() {
    let it = start().await;
    let put = || it.client.put_object().bucket(BUCKET).key("k").body(ByteStream::from_static(b"hello"));
    let zero = |bytes: usize| format!("{}=", "A".repeat(bytes));
    assert_eq!(code(put().content_md5("1B2M2Y8AsgTpgAmY7PhCfg==").send().await), "BadDigest");
    assert_eq!(code(put().content_md5("nonsense").send().await), "InvalidDigest");
    assert_eq!(code(put().checksum_sha256(zero(43)).send().await), "BadDigest");
    assert_eq!(code(put().checksum_sha1(zero(27)).send().await), "BadDigest");
    assert_eq!(code(put().checksum_crc32("AAAAAA==").send().await), "BadDigest");
    assert_eq!(code(put().checksum_crc32_c("AAAAAA==").send().await), "BadDigest");
    assert_eq!(code(put().checksum_crc64_nvme("AAAAAAAAAAA=").send().await), "BadDigest");

    let trailer = |sum: &'static str| {
        let headers = [
            ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
            ("x-amz-decoded-content-length", "5"),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
        ];
        let path = format!("/{BUCKET}/k");
        let request = signed(&it.http, &it.server.endpoint(), reqwest::Method::PUT, &path, &headers);
        request.body(format!("5\r\nhello\r\n0\r\n{sum}\r\n\r\n")).send()
    };
    assert_eq!(refusal(trailer("x-amz-checksum-crc32:AAAAAA==").await.unwrap()).await.1, "BadDigest");
    assert_eq!(refusal(trailer("x-amz-checksum-sha1:AAAA").await.unwrap()).await.1, "MalformedTrailerError");

    // A chunked body that ends without its last chunk is not a shorter object.
    let headers = [
        ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ("x-amz-decoded-content-length", "9"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
    ];
    let path = format!("/{BUCKET}/k");
    let cut = signed(&it.http, &it.server.endpoint(), reqwest::Method::PUT, &path, &headers);
    let cut = cut.body("5\r\nhello\r\n").send().await.unwrap();
    assert_eq!(refusal(cut).await.1, "IncompleteBody");

    // Nor is a body other than the signed hash.
    let hash = [("x-amz-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")];
    let other = signed(&it.http, &it.server.endpoint(), reqwest::Method::PUT, &path, &hash);
    assert_eq!(refusal(other.body("hello").send().await.unwrap()).await.0, 400);

    assert_eq!(it.keys().await, [""; 0]);
    assert_eq!((it.files("objects"), it.files("scratch")), (0, 0));
    assert_eq!(trailer("x-amz-checksum-crc32:NhCmhg==").await.unwrap().status(), 200);
    assert_eq!(it.get("k").await, b"hello");
}

#[tokio::test]
async fn ranges_are_exact() {
    let it = start().await;
    // One body read at once, one streamed from its file.
    for size in [1_000, 1_000_000_usize] {
        let body: Vec<u8> = (0..size).map(|i| u8::try_from(i % 251).unwrap()).collect();
        it.put("k", body.clone()).await;
        let last = size - 1;
        for (range, bytes) in [
            ("bytes=0-0".to_owned(), 0..1),
            ("bytes=1-9".to_owned(), 1..10),
            (format!("bytes=500-{}", size * 2), 500..size),
            ("bytes=990-".to_owned(), 990..size),
            ("bytes=-10".to_owned(), size - 10..size),
            (format!("bytes={last}-{last}"), last..size),
            (format!("bytes=-{}", size * 2), 0..size),
        ] {
            let got = it.client.get_object().bucket(BUCKET).key("k").range(&range).send().await.unwrap();
            let header = format!("bytes {}-{}/{size}", bytes.start, bytes.end - 1);
            assert_eq!(got.content_range(), Some(header.as_str()));
            assert_eq!(got.body.collect().await.unwrap().to_vec(), &body[bytes], "{range}");
        }
        let beyond =
            it.client.get_object().bucket(BUCKET).key("k").range(format!("bytes={size}-")).send().await;
        assert_eq!(code(beyond), "InvalidRange");
    }
}

#[tokio::test]
async fn reads_can_be_conditional() {
    let it = start().await;
    it.put("k", "v").await;
    let head = it.client.head_object().bucket(BUCKET).key("k").send().await.unwrap();
    let (etag, modified) = (head.e_tag().unwrap(), *head.last_modified().unwrap());
    let get = || it.client.get_object().bucket(BUCKET).key("k");
    assert!(get().if_match(etag).send().await.is_ok());
    assert!(get().if_none_match("\"other\"").send().await.is_ok());
    assert_eq!(code(get().if_match("\"other\"").send().await), "PreconditionFailed");
    assert_eq!(code(get().if_unmodified_since(DateTime::from_secs(1)).send().await), "PreconditionFailed");
    let status = |result: Result<
        _,
        aws_sdk_s3::error::SdkError<aws_sdk_s3::operation::get_object::GetObjectError>,
    >| {
        result
            .map(|_: aws_sdk_s3::operation::get_object::GetObjectOutput| ())
            .unwrap_err()
            .raw_response()
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!(status(get().if_none_match(etag).send().await), 304);
    assert_eq!(status(get().if_modified_since(modified).send().await), 304);
}

#[tokio::test]
async fn a_copy_keeps_or_replaces_the_headers() {
    let it = start().await;
    let put = it.client.put_object().bucket(BUCKET).key("a b").body(ByteStream::from_static(b"v"));
    put.content_type("text/csv").metadata("m", "1").send().await.unwrap();
    let copy = || it.client.copy_object().bucket(BUCKET).copy_source(format!("{BUCKET}/a%20b"));
    copy().key("kept").send().await.unwrap();
    let replaced = copy().key("replaced").metadata_directive(MetadataDirective::Replace);
    replaced.content_type("text/plain").metadata("n", "2").send().await.unwrap();
    assert_eq!(code(copy().key("a b").send().await), "InvalidRequest");
    assert_eq!(code(copy().key("c").copy_source_if_match("\"x\"").send().await), "PreconditionFailed");
    assert_eq!(code(copy().copy_source(format!("{BUCKET}/none")).key("c").send().await), "NoSuchKey");
    it.client.delete_object().bucket(BUCKET).key("a b").send().await.unwrap();
    for (key, kind, name) in [("kept", "text/csv", "m"), ("replaced", "text/plain", "n")] {
        let got = it.client.get_object().bucket(BUCKET).key(key).send().await.unwrap();
        assert_eq!(got.content_type(), Some(kind));
        assert!(got.metadata().unwrap().contains_key(name));
        assert_eq!(got.body.collect().await.unwrap().to_vec(), b"v");
    }
}

#[tokio::test]
async fn deletes_are_idempotent_and_leave_no_file() {
    let it = start().await;
    for key in ["a", "b", "c"] {
        it.put(key, key).await;
    }
    for _ in 0..2 {
        it.client.delete_object().bucket(BUCKET).key("a").send().await.unwrap();
    }
    let object = |key: &str| ObjectIdentifier::builder().key(key).build().unwrap();
    let delete = Delete::builder().objects(object("b")).objects(object("none")).build().unwrap();
    let done = it.client.delete_objects().bucket(BUCKET).delete(delete).send().await.unwrap();
    assert_eq!((done.deleted().len(), done.errors().len()), (2, 0));
    assert_eq!(it.keys().await, ["c"]);
    assert_eq!(it.files("objects"), 1);
}

#[tokio::test]
async fn buckets_are_made_listed_and_deleted_when_empty() {
    let it = start().await;
    it.client.create_bucket().bucket("second-one").send().await.unwrap();
    it.client.create_bucket().bucket("second-one").send().await.unwrap();
    assert_eq!(code(it.client.create_bucket().bucket("No_Good").send().await), "InvalidBucketName");
    let list = it.client.list_buckets().send().await.unwrap();
    let names: Vec<_> = list.buckets().iter().filter_map(|bucket| bucket.name()).collect();
    assert_eq!(names, [BUCKET, "second-one"]);
    it.client.head_bucket().bucket("second-one").send().await.unwrap();
    it.put("k", "v").await;
    assert_eq!(code(it.client.delete_bucket().bucket(BUCKET).send().await), "BucketNotEmpty");
    it.client.delete_bucket().bucket("second-one").send().await.unwrap();
    assert!(
        it.client
            .head_bucket()
            .bucket("second-one")
            .send()
            .await
            .unwrap_err()
            .into_service_error()
            .is_not_found()
    );
}

#[tokio::test]
async fn what_is_not_there_has_its_own_error() {
    let it = start().await;
    assert_eq!(code(it.client.get_object().bucket(BUCKET).key("k").send().await), "NoSuchKey");
    assert_eq!(code(it.client.get_object().bucket("nowhere").key("k").send().await), "NoSuchBucket");
    assert_eq!(code(it.client.put_object().bucket("nowhere").key("k").send().await), "NoSuchBucket");
    assert_eq!(code(it.client.list_objects_v2().bucket("nowhere").send().await), "NoSuchBucket");
    let head = it.client.head_object().bucket(BUCKET).key("k").send().await;
    assert!(head.unwrap_err().into_service_error().is_not_found());
}
