//! PutObject, CopyObject and the deletions.

use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, DeleteObjectInput, DeleteObjectOutput,
    DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETag, Metadata, MetadataDirective,
    PutObjectInput, PutObjectOutput, StreamingBlob, Timestamp,
};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use super::read::{ReadCondition, checksum_type};
use super::{Answer, Api, expectation, source, timestamp, unversioned};
use crate::digest::{hex, set_sums, sums_of};
use crate::error::precondition_failed;
use crate::event::CreatedBy;
use crate::receive::receive;
use crate::store::{Condition, Detail, Headers, NewObject};

/// S3's limit for user metadata, names and values together.
const MAX_METADATA: usize = 2 * 1024;

/// Reads the headers that PutObject, CopyObject and CreateMultipartUpload share.
macro_rules! headers_of {
    ($input:expr) => {
        $crate::api::write::kept(
            $crate::store::Headers {
                cache_control: $input.cache_control,
                content_disposition: $input.content_disposition,
                content_encoding: $input.content_encoding,
                content_language: $input.content_language,
                content_type: $input.content_type,
                ..Default::default()
            },
            $input.expires,
            $input.metadata,
        )
    };
}
pub(super) use headers_of;

/// What is kept of the headers: `aws-chunked` was for the journey only.
pub(super) fn kept(
    headers: Headers,
    expires: Option<Timestamp>,
    metadata: Option<Metadata>,
) -> S3Result<Headers> {
    let metadata = metadata.unwrap_or_default();
    if metadata.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > MAX_METADATA {
        return Err(s3_error!(
            MetadataTooLarge,
            "Your metadata headers exceed the maximum allowed metadata size"
        ));
    }
    let encoding = headers.content_encoding.map(|encoding| {
        let lasting = encoding.split(',').map(str::trim).filter(|one| *one != "aws-chunked");
        lasting.collect::<Vec<_>>().join(",")
    });
    Ok(Headers {
        content_encoding: encoding.filter(|encoding| !encoding.is_empty()),
        expires,
        metadata: metadata.into_iter().collect(),
        ..headers
    })
}

impl Api {
    pub(super) async fn put(&self, req: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
        let input = req.input;
        let expect = expectation(
            &req.headers,
            req.trailing_headers,
            input.content_length,
            input.content_md5,
            sums_of!(input),
        );
        let headers = headers_of!(input)?;
        let condition = Condition { if_match: input.if_match, if_none_match: input.if_none_match };
        let body = input.body.unwrap_or_else(|| StreamingBlob::from(s3s::Body::empty()));
        let received = receive(&self.store, body, expect, self.idle).await?;
        let sums = received.digests.sums.clone();
        let new = NewObject {
            bucket: input.bucket,
            key: input.key,
            size: received.digests.size,
            etag: hex(&received.digests.md5),
            detail: Detail { headers, sums: sums.clone(), ..Detail::default() },
            by: CreatedBy::Put,
        };
        let stored = self.store.run(move |store| store.put(received.scratch, &new, &condition)).await?;
        let mut out = PutObjectOutput { e_tag: Some(ETag::Strong(stored.etag)), ..Default::default() };
        set_sums!(out, sums);
        out.checksum_type = Some(checksum_type(false));
        Ok(S3Response::new(out))
    }

    pub(super) async fn copy(&self, req: S3Request<CopyObjectInput>) -> Answer<CopyObjectOutput> {
        let input = req.input;
        let from = source(&input.copy_source)?;
        self.allow(req.credentials.as_ref(), "s3:GetObject", &from.0, &from.1)?;
        let directive = input.metadata_directive.as_ref().map(MetadataDirective::as_str);
        let replace = directive == Some(MetadataDirective::REPLACE);
        let headers = if replace { Some(headers_of!(input)?) } else { None };
        let to = (input.bucket, input.key);
        if from == to && !replace {
            return Err(s3_error!(
                InvalidRequest,
                "This copy request is illegal because it is trying to copy an object to itself without changing \
                 the object's metadata, storage class, website redirect location or encryption attributes."
            ));
        }
        let condition = ReadCondition {
            if_match: input.copy_source_if_match,
            if_none_match: input.copy_source_if_none_match,
            if_modified_since: input.copy_source_if_modified_since,
            if_unmodified_since: input.copy_source_if_unmodified_since,
        };
        let (stored, object) = self
            .store
            .run(move |store| {
                store.copy((&from.0, &from.1), (&to.0, &to.1), headers, |object| {
                    Ok(condition.check(object, |_| precondition_failed())?)
                })
            })
            .await?;
        let mut result = CopyObjectResult {
            e_tag: Some(ETag::Strong(stored.etag)),
            last_modified: Some(timestamp(stored.modified)),
            checksum_type: Some(checksum_type(object.detail.composite)),
            ..Default::default()
        };
        set_sums!(result, object.detail.sums);
        Ok(S3Response::new(CopyObjectOutput { copy_object_result: Some(result), ..Default::default() }))
    }

    pub(super) async fn delete(&self, req: S3Request<DeleteObjectInput>) -> Answer<DeleteObjectOutput> {
        let input = req.input;
        unversioned(input.version_id.as_deref())?;
        let condition = Condition { if_match: input.if_match, ..Condition::default() };
        self.store.run(move |store| store.delete(&input.bucket, &input.key, &condition)).await?;
        Ok(S3Response::with_status(DeleteObjectOutput::default(), http::StatusCode::NO_CONTENT))
    }

    pub(super) async fn delete_many(
        &self,
        req: S3Request<DeleteObjectsInput>,
    ) -> Answer<DeleteObjectsOutput> {
        let bucket = req.input.bucket;
        let wanted = req.input.delete;
        if wanted.objects.len() > 1000 {
            return Err(s3_error!(MalformedXML, "At most 1000 keys can be deleted at once"));
        }
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        self.store
            .run({
                let bucket = bucket.clone();
                move |store| store.require_bucket(&bucket)
            })
            .await?;
        for object in wanted.objects {
            let (bucket, key) = (bucket.clone(), object.key.clone());
            let condition = Condition {
                if_match: object.e_tag.map(s3s::dto::ETagCondition::ETag),
                ..Condition::default()
            };
            let outcome: S3Result<()> = match self
                .allow(req.credentials.as_ref(), "s3:DeleteObject", &bucket, &key)
                .and_then(|()| unversioned(object.version_id.as_deref()))
            {
                Ok(()) => {
                    let work = self.store.run(move |store| store.delete(&bucket, &key, &condition));
                    work.await.map_err(S3Error::from)
                }
                refused => refused,
            };
            match outcome {
                Ok(()) => deleted.push(DeletedObject { key: Some(object.key), ..Default::default() }),
                Err(error) => errors.push(s3s::dto::Error {
                    code: Some(error.code().as_str().to_owned()),
                    key: Some(object.key),
                    message: error.message().map(str::to_owned),
                    version_id: None,
                }),
            }
        }
        let quiet = wanted.quiet.unwrap_or_default();
        Ok(S3Response::new(DeleteObjectsOutput {
            deleted: (!quiet).then_some(deleted),
            errors: Some(errors),
            ..Default::default()
        }))
    }
}
