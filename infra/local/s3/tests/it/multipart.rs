use aws_sdk_s3::operation::create_multipart_upload::builders::CreateMultipartUploadFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, CompletedMultipartUpload, CompletedPart};

use crate::support::{BUCKET, Fixture, code, start};

const MIB: usize = 1024 * 1024;

impl Fixture {
    fn create(&self) -> CreateMultipartUploadFluentBuilder {
        self.client.create_multipart_upload().bucket(BUCKET).key("big")
    }

    async fn part(&self, upload: &str, number: i32, body: Vec<u8>) -> CompletedPart {
        let part = self.client.upload_part().bucket(BUCKET).key("big").upload_id(upload).part_number(number);
        let done = part.body(ByteStream::from(body)).send().await.unwrap();
        CompletedPart::builder().part_number(number).e_tag(done.e_tag().unwrap()).build()
    }

    async fn complete(&self, upload: &str, parts: Vec<CompletedPart>) -> Result<String, String> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let complete = self.client.complete_multipart_upload().bucket(BUCKET).key("big").upload_id(upload);
        let done = complete.multipart_upload(parts).send().await;
        match done {
            Ok(done) => Ok(done.e_tag().unwrap().to_owned()),
            failed => Err(code(failed)),
        }
    }
}

#[tokio::test]
async fn thirty_megabytes_in_parts_become_one_object() {
    let it = start().await;
    let body: Vec<u8> = (0..30 * MIB).map(|i| u8::try_from(i % 253).unwrap()).collect();
    let created = it.create().content_type("text/csv").metadata("m", "1").send().await.unwrap();
    let upload = created.upload_id().unwrap();
    let mut parts = Vec::new();
    for (number, chunk) in (1..).zip(body.chunks(8 * MIB)) {
        parts.push(it.part(upload, number, chunk.to_vec()).await);
    }
    let listed =
        it.client.list_parts().bucket(BUCKET).key("big").upload_id(upload).max_parts(3).send().await.unwrap();
    assert_eq!((listed.parts().len(), listed.is_truncated()), (3, Some(true)));
    let uploads = it.client.list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
    assert_eq!(uploads.uploads()[0].upload_id(), Some(upload));
    assert_eq!(it.keys().await, [""; 0], "nothing is there before it is complete");

    let etag = it.complete(upload, parts.clone()).await.unwrap();
    assert!(etag.ends_with("-4\""), "{etag}");
    let got = it
        .client
        .get_object()
        .bucket(BUCKET)
        .key("big")
        .checksum_mode(ChecksumMode::Enabled)
        .send()
        .await
        .unwrap();
    assert_eq!(got.content_type(), Some("text/csv"));
    assert_eq!(got.metadata().unwrap()["m"], "1");
    assert_eq!(got.e_tag(), Some(etag.as_str()));
    assert!(got.body.collect().await.unwrap().to_vec() == body);
    assert_eq!(it.complete(upload, parts).await, Err("NoSuchUpload".into()));
    assert_eq!((it.files("objects"), it.files("scratch")), (1, 0));
}

#[tokio::test]
async fn a_completion_that_does_not_fit_changes_nothing() {
    let it = start().await;
    let created = it.create().send().await.unwrap();
    let upload = created.upload_id().unwrap();
    let small = it.part(upload, 1, vec![1; MIB]).await;
    let last = it.part(upload, 2, vec![2; MIB]).await;
    let wrong = CompletedPart::builder().part_number(1).e_tag("\"00000000000000000000000000000000\"").build();
    let missing = CompletedPart::builder().part_number(3).e_tag(last.e_tag().unwrap()).build();
    assert_eq!(it.complete(upload, vec![small.clone(), last.clone()]).await, Err("EntityTooSmall".into()));
    assert_eq!(it.complete(upload, vec![last.clone(), small.clone()]).await, Err("InvalidPartOrder".into()));
    assert_eq!(it.complete(upload, vec![wrong]).await, Err("InvalidPart".into()));
    assert_eq!(it.complete(upload, vec![missing]).await, Err("InvalidPart".into()));
    assert_eq!(it.complete("none", vec![small.clone()]).await, Err("NoSuchUpload".into()));
    assert_eq!(it.keys().await, [""; 0]);
    // The upload is still open, and a part can be sent again.
    let large = it.part(upload, 1, vec![3; 5 * MIB]).await;
    it.complete(upload, vec![large, last]).await.unwrap();
    assert_eq!(it.get("big").await.len(), 6 * MIB);
    assert_eq!(it.files("objects"), 1);
}

#[tokio::test]
async fn an_aborted_upload_leaves_no_file() {
    let it = start().await;
    let created = it.create().send().await.unwrap();
    let upload = created.upload_id().unwrap();
    let part = it.part(upload, 1, vec![1; 1000]).await;
    assert_eq!(it.files("objects"), 1);
    it.client.abort_multipart_upload().bucket(BUCKET).key("big").upload_id(upload).send().await.unwrap();
    assert_eq!(it.files("objects"), 0);
    assert_eq!(it.complete(upload, vec![part]).await, Err("NoSuchUpload".into()));
    let again = it.client.abort_multipart_upload().bucket(BUCKET).key("big").upload_id(upload).send().await;
    assert_eq!(code(again), "NoSuchUpload");
}

#[tokio::test]
async fn checksums_of_parts_make_the_checksum_of_the_whole() {
    let it = start().await;
    let created = it.create().checksum_algorithm(ChecksumAlgorithm::Sha256).send().await.unwrap();
    let upload = created.upload_id().unwrap();
    let mut parts = Vec::new();
    for (number, size) in [(1, 5 * MIB), (2, 10)] {
        let part = it.client.upload_part().bucket(BUCKET).key("big").upload_id(upload).part_number(number);
        let part = part.checksum_algorithm(ChecksumAlgorithm::Sha256).body(ByteStream::from(vec![9; size]));
        let done = part.send().await.unwrap();
        let sum = done.checksum_sha256().unwrap();
        parts.push(
            CompletedPart::builder()
                .part_number(number)
                .e_tag(done.e_tag().unwrap())
                .checksum_sha256(sum)
                .build(),
        );
    }
    it.complete(upload, parts).await.unwrap();
    let head = it.client.head_object().bucket(BUCKET).key("big").checksum_mode(ChecksumMode::Enabled);
    let head = head.send().await.unwrap();
    assert!(head.checksum_sha256().unwrap().ends_with("-2"));
    assert_eq!(head.checksum_type().unwrap().as_str(), "COMPOSITE");
}

#[tokio::test]
async fn a_part_can_be_copied_from_a_range() {
    let it = start().await;
    let body: Vec<u8> = (0..6 * MIB).map(|i| u8::try_from(i % 241).unwrap()).collect();
    it.put("from", body.clone()).await;
    let created = it.create().send().await.unwrap();
    let upload = created.upload_id().unwrap();
    let mut parts = Vec::new();
    for (number, range) in [(1, 0..5 * MIB), (2, 5 * MIB..6 * MIB)] {
        let copy =
            it.client.upload_part_copy().bucket(BUCKET).key("big").upload_id(upload).part_number(number);
        let copy = copy.copy_source(format!("{BUCKET}/from"));
        let done =
            copy.copy_source_range(format!("bytes={}-{}", range.start, range.end - 1)).send().await.unwrap();
        let etag = done.copy_part_result().unwrap().e_tag().unwrap();
        parts.push(CompletedPart::builder().part_number(number).e_tag(etag).build());
    }
    it.complete(upload, parts).await.unwrap();
    assert!(it.get("big").await == body);
}
