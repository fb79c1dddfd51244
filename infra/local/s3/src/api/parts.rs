//! Multipart uploads.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};

use s3s::dto::{
    ChecksumAlgorithm, ChecksumType, CompleteMultipartUploadInput, CompleteMultipartUploadOutput,
    CopyPartResult, CreateMultipartUploadInput, CreateMultipartUploadOutput, ETag, ListMultipartUploadsInput,
    ListMultipartUploadsOutput, ListPartsInput, ListPartsOutput, MultipartUpload, Range, StreamingBlob,
    UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput, UploadPartOutput,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::read::{ReadCondition, checksum_type};
use super::write::headers_of;
use super::{Answer, Api, expectation, source, timestamp};
use crate::digest::{Algorithm, Digests, set_sums, sums_of};
use crate::error::precondition_failed;
use crate::receive::receive;
use crate::store::{ClaimedPart, Completion, Condition, Part, Upload};

fn algorithm_name(algorithm: Algorithm) -> ChecksumAlgorithm {
    ChecksumAlgorithm::from_static(algorithm.name())
}

fn part_number(number: i32) -> S3Result<i32> {
    if (1..=10_000).contains(&number) {
        return Ok(number);
    }
    Err(s3_error!(InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive"))
}

impl Api {
    pub(super) async fn create_upload(
        &self,
        input: CreateMultipartUploadInput,
    ) -> Answer<CreateMultipartUploadOutput> {
        let algorithm = match &input.checksum_algorithm {
            // What S3 computes when nobody asks.
            None => Algorithm::Crc64nvme,
            Some(name) => Algorithm::parse(name.as_str())
                .ok_or_else(|| s3_error!(InvalidRequest, "Checksum algorithm provided is unsupported."))?,
        };
        let composite = match (input.checksum_type.as_ref().map(ChecksumType::as_str), algorithm) {
            (Some(ChecksumType::COMPOSITE), Algorithm::Crc64nvme)
            | (Some(ChecksumType::FULL_OBJECT), Algorithm::Sha1 | Algorithm::Sha256) => {
                return Err(s3_error!(
                    InvalidRequest,
                    "That checksum type cannot be used with this checksum algorithm."
                ));
            }
            (Some(kind), _) => kind == ChecksumType::COMPOSITE,
            (None, _) => algorithm != Algorithm::Crc64nvme,
        };
        let (bucket, key) = (input.bucket, input.key);
        let headers = headers_of!(input)?;
        let upload =
            Upload { id: String::new(), key: key.clone(), initiated: 0, headers, algorithm, composite };
        let named = bucket.clone();
        let id = self.store.run(move |store| store.create_upload(&named, &upload)).await?;
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(bucket),
            key: Some(key),
            upload_id: Some(id),
            checksum_algorithm: input.checksum_algorithm.is_some().then(|| algorithm_name(algorithm)),
            checksum_type: input.checksum_algorithm.is_some().then(|| checksum_type(composite)),
            ..Default::default()
        }))
    }

    /// The upload a part is for.
    async fn open_upload(&self, bucket: &str, key: &str, id: &str) -> S3Result<Upload> {
        let (bucket, key, id) = (bucket.to_owned(), key.to_owned(), id.to_owned());
        Ok(self.store.run(move |store| store.upload(&bucket, &key, &id)).await?)
    }

    pub(super) async fn put_part(&self, req: S3Request<UploadPartInput>) -> Answer<UploadPartOutput> {
        let input = req.input;
        let number = part_number(input.part_number)?;
        let upload = self.open_upload(&input.bucket, &input.key, &input.upload_id).await?;
        let mut expect = expectation(
            &req.headers,
            req.trailing_headers,
            input.content_length,
            input.content_md5,
            sums_of!(input),
        );
        expect.also = Some(upload.algorithm);
        let body = input.body.unwrap_or_else(|| StreamingBlob::from(s3s::Body::empty()));
        let received = receive(&self.store, body, expect, self.idle).await?;
        let mut out = UploadPartOutput::default();
        set_sums!(out, received.digests.sums);
        let stored = self
            .store
            .run(move |store| {
                let of = (input.bucket.as_str(), input.key.as_str(), input.upload_id.as_str());
                store.put_part(of, number, received.scratch, &received.digests)
            })
            .await?;
        out.e_tag = Some(ETag::Strong(stored.etag));
        Ok(S3Response::new(out))
    }

    pub(super) async fn copy_part(
        &self,
        req: S3Request<UploadPartCopyInput>,
    ) -> Answer<UploadPartCopyOutput> {
        let input = req.input;
        let number = part_number(input.part_number)?;
        let from = source(&input.copy_source)?;
        self.allow(req.credentials.as_ref(), "s3:GetObject", &from.0, &from.1)?;
        let range = match &input.copy_source_range {
            None => None,
            Some(range) => Some(Range::parse(range).map_err(|_| {
                s3_error!(
                    InvalidArgument,
                    "The x-amz-copy-source-range value must be of the form bytes=first-last"
                )
            })?),
        };
        let condition = ReadCondition {
            if_match: input.copy_source_if_match,
            if_none_match: input.copy_source_if_none_match,
            if_modified_since: input.copy_source_if_modified_since,
            if_unmodified_since: input.copy_source_if_unmodified_since,
        };
        let (stored, sums) = self
            .store
            .run(move |store| {
                let upload = store.upload(&input.bucket, &input.key, &input.upload_id)?;
                let (object, mut file) = store.open_object(&from.0, &from.1)?;
                condition.check(&object, |_| precondition_failed())?;
                let bytes = match range {
                    None => 0..object.size,
                    Some(range) => range
                        .check(object.size)
                        .map_err(|_| s3_error!(InvalidRange, "The requested range is not satisfiable"))?,
                };
                file.seek(SeekFrom::Start(bytes.start))?;
                let mut source = file.take(bytes.end - bytes.start);
                let scratch = store.scratch();
                let mut to = std::fs::File::create(scratch.path())?;
                let mut digests = Digests::new([upload.algorithm]);
                let mut buffer = vec![0; 256 * 1024];
                loop {
                    let read = source.read(&mut buffer)?;
                    if read == 0 {
                        break;
                    }
                    digests.update(&buffer[..read]);
                    to.write_all(&buffer[..read])?;
                }
                let digests = digests.finish();
                let of = (input.bucket.as_str(), input.key.as_str(), input.upload_id.as_str());
                Ok((store.put_part(of, number, scratch, &digests)?, digests.sums))
            })
            .await?;
        let mut result = CopyPartResult {
            e_tag: Some(ETag::Strong(stored.etag)),
            last_modified: Some(timestamp(stored.modified)),
            ..Default::default()
        };
        set_sums!(result, sums);
        Ok(S3Response::new(UploadPartCopyOutput { copy_part_result: Some(result), ..Default::default() }))
    }

    pub(super) async fn complete(
        &self,
        input: CompleteMultipartUploadInput,
    ) -> Answer<CompleteMultipartUploadOutput> {
        let parts =
            input.multipart_upload.as_ref().and_then(|upload| upload.parts.clone()).unwrap_or_default();
        let claimed = |part: &s3s::dto::CompletedPart| {
            Some(ClaimedPart {
                number: part.part_number?,
                etag: part.e_tag.as_ref()?.value().to_owned(),
                sums: sums_of!(part),
            })
        };
        let parts: Vec<ClaimedPart> = parts
            .iter()
            .map(claimed)
            .collect::<Option<_>>()
            .ok_or_else(|| s3_error!(MalformedXML, "Each part needs its PartNumber and ETag"))?;
        let completion = Completion {
            bucket: input.bucket.clone(),
            key: input.key.clone(),
            upload: input.upload_id.clone(),
            parts,
            sums: sums_of!(input),
            size: input.mpu_object_size.and_then(|size| u64::try_from(size).ok()),
            condition: Condition { if_match: input.if_match, if_none_match: input.if_none_match },
        };
        let (stored, detail) = self.store.run(move |store| store.complete(&completion)).await?;
        let mut out = CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, input.key)),
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(ETag::Strong(stored.etag)),
            checksum_type: Some(checksum_type(detail.composite)),
            ..Default::default()
        };
        set_sums!(out, detail.sums);
        Ok(S3Response::new(out))
    }

    pub(super) async fn parts(&self, input: ListPartsInput) -> Answer<ListPartsOutput> {
        let after = input.part_number_marker.unwrap_or_default();
        let max = usize::try_from(input.max_parts.unwrap_or(1000).clamp(0, 1000)).unwrap_or_default();
        let (bucket, key, id) = (input.bucket.clone(), input.key.clone(), input.upload_id.clone());
        let (upload, parts) = self.store.run(move |store| store.parts(&bucket, &key, &id)).await?;
        let mut parts = parts.into_iter().filter(|part| part.number > after);
        let page: Vec<Part> = parts.by_ref().take(max).collect();
        let describe = |part: &Part| {
            let mut out = s3s::dto::Part {
                part_number: Some(part.number),
                size: i64::try_from(part.size).ok(),
                e_tag: Some(ETag::Strong(part.etag.clone())),
                last_modified: Some(timestamp(part.modified)),
                ..Default::default()
            };
            set_sums!(out, part.sums);
            out
        };
        Ok(S3Response::new(ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            part_number_marker: Some(after),
            max_parts: i32::try_from(max).ok(),
            is_truncated: Some(parts.next().is_some()),
            next_part_number_marker: page.last().map(|part| part.number),
            parts: Some(page.iter().map(describe).collect()),
            checksum_algorithm: Some(algorithm_name(upload.algorithm)),
            checksum_type: Some(checksum_type(upload.composite)),
            ..Default::default()
        }))
    }

    pub(super) async fn uploads(
        &self,
        input: ListMultipartUploadsInput,
    ) -> Answer<ListMultipartUploadsOutput> {
        let max = usize::try_from(input.max_uploads.unwrap_or(1000).clamp(0, 1000)).unwrap_or_default();
        let (bucket, prefix) = (input.bucket.clone(), input.prefix.clone().unwrap_or_default());
        let uploads = self.store.run(move |store| store.uploads(&bucket, &prefix)).await?;
        let marker = (input.key_marker.clone().unwrap_or_default(), input.upload_id_marker.clone());
        let mut uploads = uploads.into_iter().filter(|upload| match &marker.1 {
            None => upload.key > marker.0,
            Some(id) => (&upload.key, &upload.id) > (&marker.0, id),
        });
        let page: Vec<Upload> = uploads.by_ref().take(max).collect();
        let truncated = uploads.next().is_some();
        let last = page.last().filter(|_| truncated);
        Ok(S3Response::new(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            prefix: input.prefix,
            key_marker: input.key_marker,
            upload_id_marker: input.upload_id_marker,
            max_uploads: i32::try_from(max).ok(),
            is_truncated: Some(truncated),
            next_key_marker: last.map(|upload| upload.key.clone()),
            next_upload_id_marker: last.map(|upload| upload.id.clone()),
            uploads: Some(
                page.iter()
                    .map(|upload| MultipartUpload {
                        key: Some(upload.key.clone()),
                        upload_id: Some(upload.id.clone()),
                        initiated: Some(timestamp(upload.initiated)),
                        ..Default::default()
                    })
                    .collect(),
            ),
            ..Default::default()
        }))
    }
}
