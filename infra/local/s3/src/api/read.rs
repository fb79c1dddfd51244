//! GetObject, HeadObject and the listings.

use std::os::unix::fs::FileExt as _;

use bytes::Bytes;
use percent_encoding::utf8_percent_encode;
use s3s::dto::{
    ChecksumType, CommonPrefix, ETag, ETagCondition, EncodingType, GetObjectInput, GetObjectOutput,
    HeadObjectInput, HeadObjectOutput, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input,
    ListObjectsV2Output, ObjectStorageClass, Range, StreamingBlob, Timestamp,
};
use s3s::{Body, S3Error, S3Response, S3Result, s3_error};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::{Answer, Api, PATH, timestamp, unversioned};
use crate::digest::{hex, set_sums, unhex};
use crate::error::{Error, precondition_failed};
use crate::store::{Entry, Listing, Object, Page, successor};

/// Bodies up to this size are read with the row, in one go.
const SMALL: u64 = 128 * 1024;

/// The conditions of a read, and of the source of a copy.
#[derive(Default)]
pub(super) struct ReadCondition {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
    pub(super) if_modified_since: Option<Timestamp>,
    pub(super) if_unmodified_since: Option<Timestamp>,
}

impl ReadCondition {
    /// In the order of RFC 9110 section 13.2.2, with `unchanged` as the answer to a failed "give it if new".
    pub(super) fn check(&self, object: &Object, unchanged: fn(&Object) -> S3Error) -> S3Result<()> {
        let same = |tag: &ETagCondition| tag.as_etag().is_none_or(|tag| tag.value() == object.etag);
        // HTTP dates have whole seconds.
        let modified = timestamp(object.modified / 1000 * 1000);
        match (&self.if_match, &self.if_unmodified_since) {
            (Some(wanted), _) if !same(wanted) => return Err(precondition_failed()),
            (None, Some(since)) if modified > *since => return Err(precondition_failed()),
            _ => {}
        }
        match (&self.if_none_match, &self.if_modified_since) {
            (Some(unwanted), _) if same(unwanted) => Err(unchanged(object)),
            (None, Some(since)) if modified <= *since => Err(unchanged(object)),
            _ => Ok(()),
        }
    }
}

fn not_modified(object: &Object) -> S3Error {
    let mut error = s3_error!(NotModified, "Not Modified");
    let mut headers = http::HeaderMap::new();
    if let Ok(etag) = format!("\"{}\"", object.etag).parse() {
        headers.insert(http::header::ETAG, etag);
    }
    error.set_headers(headers);
    error
}

enum Payload {
    Small(Bytes),
    Large(std::fs::File),
}

/// The bytes to send, and the `Content-Range` if they are not all.
fn slice(range: Option<Range>, size: u64) -> S3Result<(std::ops::Range<u64>, Option<String>)> {
    let Some(range) = range else { return Ok((0..size, None)) };
    let bytes = range.check(size).ok().filter(|bytes| !bytes.is_empty()).ok_or_else(|| {
        let mut error = s3_error!(InvalidRange, "The requested range is not satisfiable");
        let mut headers = http::HeaderMap::new();
        if let Ok(whole) = format!("bytes */{size}").parse() {
            headers.insert(http::header::CONTENT_RANGE, whole);
        }
        error.set_headers(headers);
        error
    })?;
    let header = format!("bytes {}-{}/{size}", bytes.start, bytes.end - 1);
    Ok((bytes, Some(header)))
}

/// Fills what GetObject and HeadObject have in common.
macro_rules! describe {
    ($out:expr, $object:expr, $bytes:expr, $content_range:expr, $checksums:expr) => {{
        let (object, whole) = ($object, $content_range.is_none());
        let headers = object.detail.headers;
        $out.accept_ranges = Some("bytes".to_owned());
        $out.content_length = i64::try_from($bytes.end - $bytes.start).ok();
        $out.content_range = $content_range;
        $out.e_tag = Some(ETag::Strong(object.etag));
        $out.last_modified = Some(timestamp(object.modified));
        $out.cache_control = headers.cache_control;
        $out.content_disposition = headers.content_disposition;
        $out.content_encoding = headers.content_encoding;
        $out.content_language = headers.content_language;
        $out.content_type = Some(headers.content_type.unwrap_or_else(|| "binary/octet-stream".to_owned()));
        $out.expires = headers.expires;
        $out.metadata = Some(headers.metadata.into_iter().collect());
        // A checksum of the whole says nothing about a part of it.
        if $checksums && whole {
            set_sums!($out, object.detail.sums);
            $out.checksum_type = Some(checksum_type(object.detail.composite));
        }
    }};
}

pub(super) fn checksum_type(composite: bool) -> ChecksumType {
    ChecksumType::from_static(if composite { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT })
}

/// Parts cannot be fetched by number, except the only one there is.
fn whole_only(part: Option<i32>, object: &Object) -> S3Result<()> {
    match (part, object.detail.parts) {
        (None, _) | (Some(1), None | Some(1)) => Ok(()),
        _ => Err(s3_error!(NotImplemented, "partNumber is not implemented")),
    }
}

impl Api {
    pub(super) async fn get(&self, input: GetObjectInput) -> Answer<GetObjectOutput> {
        unversioned(input.version_id.as_deref())?;
        let condition = ReadCondition {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            if_modified_since: input.if_modified_since,
            if_unmodified_since: input.if_unmodified_since,
        };
        let (object, bytes, content_range, payload) = self
            .store
            .run(move |store| {
                let (object, file) = store.open_object(&input.bucket, &input.key)?;
                condition.check(&object, not_modified)?;
                whole_only(input.part_number, &object)?;
                let (bytes, content_range) = slice(input.range, object.size)?;
                let length = bytes.end - bytes.start;
                let payload = if length <= SMALL {
                    let mut buffer = vec![0; usize::try_from(length).unwrap_or_default()];
                    file.read_exact_at(&mut buffer, bytes.start)?;
                    Payload::Small(buffer.into())
                } else {
                    Payload::Large(file)
                };
                Ok((object, bytes, content_range, payload))
            })
            .await?;
        let body = match payload {
            Payload::Small(bytes) => StreamingBlob::from(Body::from(bytes)),
            Payload::Large(file) => {
                let mut file = tokio::fs::File::from_std(file);
                file.seek(std::io::SeekFrom::Start(bytes.start)).await.map_err(Error::from)?;
                let stream = ReaderStream::with_capacity(file.take(bytes.end - bytes.start), 256 * 1024);
                StreamingBlob::wrap(stream)
            }
        };
        let mut out = GetObjectOutput { body: Some(body), ..Default::default() };
        let checksums = input.checksum_mode.is_some();
        describe!(out, object, bytes, content_range, checksums);
        Ok(S3Response::new(out))
    }

    pub(super) async fn head(&self, input: HeadObjectInput) -> Answer<HeadObjectOutput> {
        unversioned(input.version_id.as_deref())?;
        let condition = ReadCondition {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            if_modified_since: input.if_modified_since,
            if_unmodified_since: input.if_unmodified_since,
        };
        let object = self.store.run(move |store| store.object(&input.bucket, &input.key)).await?;
        condition.check(&object, not_modified)?;
        whole_only(input.part_number, &object)?;
        let (bytes, content_range) = slice(input.range, object.size)?;
        let mut out = HeadObjectOutput::default();
        let (partial, checksums) = (content_range.is_some(), input.checksum_mode.is_some());
        describe!(out, object, bytes, content_range, checksums);
        // s3s applies these to GetObject only.
        for (own, wanted) in [
            (&mut out.cache_control, input.response_cache_control),
            (&mut out.content_disposition, input.response_content_disposition),
            (&mut out.content_encoding, input.response_content_encoding),
            (&mut out.content_language, input.response_content_language),
            (&mut out.content_type, input.response_content_type),
        ] {
            if wanted.is_some() {
                *own = wanted;
            }
        }
        let status = if partial { http::StatusCode::PARTIAL_CONTENT } else { http::StatusCode::OK };
        Ok(S3Response::with_status(out, status))
    }

    async fn list(&self, listing: Listing) -> S3Result<Page> {
        Ok(self.store.run(move |store| store.list(&listing)).await?)
    }

    pub(super) async fn list_v2(&self, input: ListObjectsV2Input) -> Answer<ListObjectsV2Output> {
        let from = match (&input.continuation_token, &input.start_after) {
            (Some(token), _) => unhex(token)
                .filter(|from| !from.is_empty())
                .ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))?,
            (None, Some(after)) => [after.as_bytes(), b"\0"].concat(),
            (None, None) => Vec::new(),
        };
        let max = max_keys(input.max_keys)?;
        let encode = Encode::new(input.encoding_type.as_ref());
        let listing = Listing {
            bucket: input.bucket.clone(),
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone(),
            from,
            max,
        };
        let page = self.list(listing).await?;
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(encode.text(input.prefix.unwrap_or_default())),
            delimiter: input.delimiter.map(|delimiter| encode.text(delimiter)),
            start_after: input.start_after.map(|after| encode.text(after)),
            continuation_token: input.continuation_token,
            encoding_type: input.encoding_type,
            max_keys: i32::try_from(max).ok(),
            key_count: i32::try_from(page.entries.len() + page.prefixes.len()).ok(),
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next.map(|from| hex(&from)),
            contents: Some(page.entries.into_iter().map(|entry| encode.object(entry)).collect()),
            common_prefixes: Some(page.prefixes.into_iter().map(|prefix| encode.prefix(prefix)).collect()),
            ..Default::default()
        }))
    }

    pub(super) async fn list_v1(&self, input: ListObjectsInput) -> Answer<ListObjectsOutput> {
        let delimiter = input.delimiter.as_deref().unwrap_or_default();
        let from = match &input.marker {
            None => Vec::new(),
            // A marker that is a common prefix stands for all it hides.
            Some(marker) if !delimiter.is_empty() && marker.ends_with(delimiter) => {
                successor(marker.as_bytes())
            }
            Some(marker) => [marker.as_bytes(), b"\0"].concat(),
        };
        let max = max_keys(input.max_keys)?;
        let encode = Encode::new(input.encoding_type.as_ref());
        let listing = Listing {
            bucket: input.bucket.clone(),
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone(),
            from,
            max,
        };
        let page = self.list(listing).await?;
        let truncated = page.next.is_some();
        Ok(S3Response::new(ListObjectsOutput {
            name: Some(input.bucket),
            prefix: Some(encode.text(input.prefix.unwrap_or_default())),
            delimiter: input.delimiter.map(|delimiter| encode.text(delimiter)),
            marker: Some(encode.text(input.marker.unwrap_or_default())),
            encoding_type: input.encoding_type,
            max_keys: i32::try_from(max).ok(),
            is_truncated: Some(truncated),
            next_marker: page.last.filter(|_| truncated).map(|last| encode.text(last)),
            contents: Some(page.entries.into_iter().map(|entry| encode.object(entry)).collect()),
            common_prefixes: Some(page.prefixes.into_iter().map(|prefix| encode.prefix(prefix)).collect()),
            ..Default::default()
        }))
    }
}

fn max_keys(asked: Option<i32>) -> S3Result<usize> {
    usize::try_from(asked.unwrap_or(1000)).map(|max| max.min(1000)).map_err(|_| {
        s3_error!(InvalidArgument, "Argument max-keys must be an integer between 0 and 2147483647")
    })
}

/// How keys appear in a listing.
#[derive(Clone, Copy)]
struct Encode(bool);

impl Encode {
    fn new(asked: Option<&EncodingType>) -> Self {
        Self(asked.is_some_and(|asked| asked.as_str() == EncodingType::URL))
    }

    fn text(self, text: String) -> String {
        if self.0 { utf8_percent_encode(&text, PATH).to_string() } else { text }
    }

    fn prefix(self, prefix: String) -> CommonPrefix {
        CommonPrefix { prefix: Some(self.text(prefix)) }
    }

    fn object(self, entry: Entry) -> s3s::dto::Object {
        s3s::dto::Object {
            key: Some(self.text(entry.key)),
            size: i64::try_from(entry.size).ok(),
            e_tag: Some(ETag::Strong(entry.etag)),
            last_modified: Some(timestamp(entry.modified)),
            storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
            ..Default::default()
        }
    }
}
