//! A bucket: whole and partial reads, streamed writes, presigned links.

use std::time::Duration;

use aws_sdk_s3::{
    presigning::PresigningConfig,
    primitives::ByteStream,
    types::{CompletedMultipartUpload, CompletedPart},
};
use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::{Clients, Error, sdk_error};

const SERVICE: &str = "S3";
/// Size of a part of a streamed write; S3 takes nothing below 5 MiB except as the last part.
const PART: usize = 5 * 1024 * 1024;

/// A bucket.
#[derive(Clone)]
pub struct Bucket {
    clients: Clients,
    name: String,
}

/// What a client needs to upload one object, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresignedUpload {
    /// HTTP method.
    pub method: String,
    /// Where to send the bytes.
    pub url: String,
    /// Headers to send exactly so.
    pub headers: std::collections::BTreeMap<String, String>,
}

fn shape(error: impl ToString) -> Error {
    Error::Shape(error.to_string())
}

impl Bucket {
    /// The bucket of this name.
    pub fn new(clients: &Clients, name: &str) -> Self {
        Self { clients: clients.clone(), name: name.to_owned() }
    }

    /// Writes a whole object.
    pub async fn put(&self, key: &str, content_type: &str, body: impl Into<Bytes>) -> Result<(), Error> {
        self.clients
            .s3()
            .put_object()
            .bucket(&self.name)
            .key(key)
            .content_type(content_type)
            .body(ByteStream::from(body.into()))
            .send()
            .await
            .map_err(|e| sdk_error(SERVICE, "PutObject", e))?;
        Ok(())
    }

    /// A whole object, or `None` if there is none.
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, Error> {
        match self.open(key, None).await? {
            None => Ok(None),
            Some(stream) => Ok(Some(stream.collect().await.map_err(broken)?.into_bytes())),
        }
    }

    /// The octets `from..to` of an object, or `None` if there is none.
    pub async fn get_range(&self, key: &str, from: u64, to: u64) -> Result<Option<Bytes>, Error> {
        if from >= to {
            return Ok(Some(Bytes::new()));
        }
        match self.open(key, Some(format!("bytes={from}-{}", to - 1))).await? {
            None => Ok(None),
            Some(stream) => Ok(Some(stream.collect().await.map_err(broken)?.into_bytes())),
        }
    }

    async fn open(&self, key: &str, range: Option<String>) -> Result<Option<ByteStream>, Error> {
        let answer = self.clients.s3().get_object().bucket(&self.name).key(key).set_range(range).send().await;
        match answer {
            Ok(answer) => Ok(Some(answer.body)),
            Err(e) if e.as_service_error().is_some_and(|e| e.is_no_such_key()) => Ok(None),
            Err(e) => Err(sdk_error(SERVICE, "GetObject", e)),
        }
    }

    /// An object, or the octets of this range of it, piece by piece; `None` if there is none.
    pub async fn reader(
        &self,
        key: &str,
        range: Option<std::ops::Range<u64>>,
    ) -> Result<Option<ObjectReader>, Error> {
        let range = range.map(|range| format!("bytes={}-{}", range.start, range.end.saturating_sub(1)));
        Ok(self.open(key, range).await?.map(ObjectReader))
    }

    /// Keys that begin so and their sizes, in order, from behind a key: a page of them, empty when there are no more.
    pub async fn list(&self, prefix: &str, behind: Option<&str>) -> Result<Vec<(String, u64)>, Error> {
        let request = self.clients.s3().list_objects_v2().bucket(&self.name).prefix(prefix);
        let request = request.set_start_after(behind.map(str::to_owned));
        let page = request.send().await.map_err(|e| sdk_error(SERVICE, "ListObjectsV2", e))?;
        let size = |size: Option<i64>| size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
        let objects = page.contents.into_iter().flatten();
        Ok(objects.filter_map(|object| Some((object.key?, size(object.size)))).collect())
    }

    /// Copies an object into `file`, piece by piece, and says how many octets it had; `None` if there is no such object.
    pub async fn download(
        &self,
        key: &str,
        file: &mut (impl tokio::io::AsyncWrite + Unpin),
    ) -> Result<Option<u64>, Error> {
        use tokio::io::AsyncWriteExt as _;
        let Some(mut pieces) = self.reader(key, None).await? else { return Ok(None) };
        let mut size = 0;
        while let Some(piece) = pieces.next().await? {
            file.write_all(&piece).await.map_err(shape)?;
            size += piece.len() as u64;
        }
        file.flush().await.map_err(shape)?;
        Ok(Some(size))
    }

    /// The size of an object in octets, or `None` if there is none.
    pub async fn size(&self, key: &str) -> Result<Option<u64>, Error> {
        match self.clients.s3().head_object().bucket(&self.name).key(key).send().await {
            Ok(head) => Ok(Some(head.content_length().and_then(|l| u64::try_from(l).ok()).unwrap_or(0))),
            Err(e) if e.as_service_error().is_some_and(|e| e.is_not_found()) => Ok(None),
            Err(e) => Err(sdk_error(SERVICE, "HeadObject", e)),
        }
    }

    /// Deletes an object, if it is there.
    pub async fn delete(&self, key: &str) -> Result<(), Error> {
        let request = self.clients.s3().delete_object().bucket(&self.name).key(key);
        request.send().await.map(drop).map_err(|e| sdk_error(SERVICE, "DeleteObject", e))
    }

    /// Deletes every object whose key begins so, page by page; how many that were. Earlier versions, where a bucket keeps them, go by
    /// its lifecycle.
    pub async fn delete_prefix(&self, prefix: &str) -> Result<u64, Error> {
        let mut deleted = 0;
        loop {
            // From the beginning each time: what was there is gone.
            let keys = self.list(prefix, None).await?;
            if keys.is_empty() {
                return Ok(deleted);
            }
            for (key, _) in &keys {
                self.delete(key).await?;
            }
            deleted += keys.len() as u64;
        }
    }

    /// A writer for an object whose size is not known beforehand. Nothing is visible until it is finished.
    pub fn writer(&self, key: &str, content_type: &str) -> ObjectWriter {
        ObjectWriter {
            bucket: self.clone(),
            key: key.to_owned(),
            content_type: content_type.to_owned(),
            buffer: BytesMut::new(),
            upload: None,
            parts: Vec::new(),
        }
    }

    /// A link by which anyone can upload exactly `size` octets to `key`, once, until it expires. The size and the rule that
    /// nothing may be there yet are part of what is signed, so S3 itself refuses a larger body and a second upload.
    pub async fn presign_upload(
        &self,
        key: &str,
        content_type: &str,
        size: u64,
        life: Duration,
    ) -> Result<PresignedUpload, Error> {
        let presigned = self
            .clients
            .s3()
            .put_object()
            .bucket(&self.name)
            .key(key)
            .content_type(content_type)
            .content_length(i64::try_from(size).map_err(shape)?)
            .if_none_match("*")
            .presigned(PresigningConfig::expires_in(life).map_err(shape)?)
            .await
            .map_err(|e| sdk_error(SERVICE, "presign PutObject", e))?;
        Ok(PresignedUpload {
            method: presigned.method().to_owned(),
            url: presigned.uri().to_owned(),
            // The length is signed, but every client sends its own; the trace header is the SDK's and not signed.
            headers: presigned
                .headers()
                .filter(|(name, _)| !matches!(*name, "content-length" | "x-amzn-trace-id"))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        })
    }

    /// A link by which anyone can download `key` as a file of this name until it expires.
    pub async fn presign_download(
        &self,
        key: &str,
        file_name: &str,
        life: Duration,
    ) -> Result<String, Error> {
        let presigned = self
            .clients
            .s3()
            .get_object()
            .bucket(&self.name)
            .key(key)
            .response_content_disposition(format!("attachment; filename=\"{file_name}\""))
            .presigned(PresigningConfig::expires_in(life).map_err(shape)?)
            .await
            .map_err(|e| sdk_error(SERVICE, "presign GetObject", e))?;
        Ok(presigned.uri().to_owned())
    }
}

fn broken(error: impl ToString) -> Error {
    Error::Unavailable { service: SERVICE, cause: error.to_string() }
}

/// An object's octets, as they come.
pub struct ObjectReader(ByteStream);

impl ObjectReader {
    /// The next of them; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        self.0.try_next().await.map_err(broken)
    }
}

/// Writes an object piece by piece in bounded memory: one PUT if it is small, a multipart upload if not.
pub struct ObjectWriter {
    bucket: Bucket,
    key: String,
    content_type: String,
    buffer: BytesMut,
    upload: Option<String>,
    parts: Vec<CompletedPart>,
}

impl ObjectWriter {
    /// Adds octets.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.buffer.extend_from_slice(bytes);
        while self.buffer.len() >= PART {
            let part = self.buffer.split_to(PART).freeze();
            self.send_part(part).await?;
        }
        Ok(())
    }

    async fn send_part(&mut self, part: Bytes) -> Result<(), Error> {
        let client = self.bucket.clients.s3();
        let upload = match &self.upload {
            Some(upload) => upload.clone(),
            None => {
                let answer = client
                    .create_multipart_upload()
                    .bucket(&self.bucket.name)
                    .key(&self.key)
                    .content_type(&self.content_type)
                    .send()
                    .await
                    .map_err(|e| sdk_error(SERVICE, "CreateMultipartUpload", e))?;
                let upload = answer.upload_id.ok_or_else(|| shape("no upload id"))?;
                self.upload = Some(upload.clone());
                upload
            }
        };
        let number = i32::try_from(self.parts.len() + 1).map_err(shape)?;
        let answer = client
            .upload_part()
            .bucket(&self.bucket.name)
            .key(&self.key)
            .upload_id(upload)
            .part_number(number)
            .body(ByteStream::from(part))
            .send()
            .await
            .map_err(|e| sdk_error(SERVICE, "UploadPart", e))?;
        // The SDK sends a CRC-32 by default; completing needs it again.
        let part = CompletedPart::builder()
            .part_number(number)
            .set_e_tag(answer.e_tag)
            .set_checksum_crc32(answer.checksum_crc32);
        self.parts.push(part.build());
        Ok(())
    }

    /// Makes the object visible.
    pub async fn finish(mut self) -> Result<(), Error> {
        let rest = self.buffer.split().freeze();
        if self.upload.is_none() {
            return self.bucket.put(&self.key, &self.content_type, rest).await;
        }
        if !rest.is_empty() {
            self.send_part(rest).await?;
        }
        self.bucket
            .clients
            .s3()
            .complete_multipart_upload()
            .bucket(&self.bucket.name)
            .key(&self.key)
            .set_upload_id(self.upload)
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(self.parts)).build())
            .send()
            .await
            .map_err(|e| sdk_error(SERVICE, "CompleteMultipartUpload", e))?;
        Ok(())
    }
}
