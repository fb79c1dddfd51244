//! `multipart/form-data` (RFC 7578), streamed: a file of any size passes through a few kilobytes of memory.

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _, stream};
use memchr::memmem;
use s3s::{S3Result, StdError, s3_error};

/// The most that the headers of one part may take.
const MAX_PART_HEADERS: usize = 8 * 1024;

/// A form being read.
pub(crate) struct Form<S> {
    body: S,
    buffer: BytesMut,
    /// CRLF, two hyphens and the boundary: what ends a part.
    delimiter: Vec<u8>,
}

/// The head of a part.
#[derive(Debug)]
pub(crate) struct Field {
    /// Lower case: S3 does not distinguish.
    pub(crate) name: String,
    pub(crate) file_name: Option<String>,
}

/// The boundary in a `Content-Type`, if it is a form.
pub(crate) fn boundary(content_type: &str) -> Option<&str> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    parameter(parameters, "boundary").filter(|boundary| (1..=70).contains(&boundary.len()))
}

fn parameter<'a>(parameters: &'a str, wanted: &str) -> Option<&'a str> {
    parameters.split(';').find_map(|one| {
        let (name, value) = one.split_once('=')?;
        name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().trim_matches('"'))
    })
}

impl<S> Form<S>
where
    S: Stream<Item = Result<Bytes, StdError>> + Unpin,
{
    pub(crate) fn new(body: S, boundary: &str) -> Self {
        // The first boundary has no line before it; pretend that it has.
        Self {
            body,
            buffer: BytesMut::from(&b"\r\n"[..]),
            delimiter: [b"\r\n--", boundary.as_bytes()].concat(),
        }
    }

    /// Reads more, or fails at the end of the body.
    async fn fill(&mut self) -> Result<(), StdError> {
        let chunk = self.body.next().await.ok_or("the form ends early")??;
        self.buffer.extend_from_slice(&chunk);
        Ok(())
    }

    /// The next piece of the current part, `None` at its end.
    async fn piece(&mut self) -> Result<Option<Bytes>, StdError> {
        loop {
            if let Some(at) = memmem::find(&self.buffer, &self.delimiter) {
                if at > 0 {
                    return Ok(Some(self.buffer.split_to(at).freeze()));
                }
                let _ = self.buffer.split_to(self.delimiter.len());
                return Ok(None);
            }
            // The tail may be the start of a delimiter.
            let sure = self.buffer.len().saturating_sub(self.delimiter.len() - 1);
            if sure > 0 {
                return Ok(Some(self.buffer.split_to(sure).freeze()));
            }
            self.fill().await?;
        }
    }

    /// Goes to the next part; `None` after the last. The current part must have been read to its end.
    pub(crate) async fn next(&mut self) -> S3Result<Option<Field>> {
        while self.buffer.len() < 2 {
            self.fill().await.map_err(malformed)?;
        }
        if self.buffer.starts_with(b"--") {
            return Ok(None);
        }
        let end = loop {
            if let Some(end) = memmem::find(&self.buffer, b"\r\n\r\n") {
                break end;
            }
            if self.buffer.len() > MAX_PART_HEADERS {
                return Err(malformed("the headers of a part are too long".into()));
            }
            self.fill().await.map_err(malformed)?;
        };
        let head = self.buffer.split_to(end);
        let _ = self.buffer.split_to(4);
        let head = String::from_utf8_lossy(&head);
        let disposition = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
        });
        let disposition = disposition.ok_or_else(|| malformed("a part has no Content-Disposition".into()))?;
        let name = parameter(disposition, "name").ok_or_else(|| malformed("a part has no name".into()))?;
        Ok(Some(Field {
            name: name.to_ascii_lowercase(),
            file_name: parameter(disposition, "filename").map(str::to_owned),
        }))
    }

    /// Skips what precedes the first part.
    pub(crate) async fn start(&mut self) -> S3Result<()> {
        while self.piece().await.map_err(malformed)?.is_some() {}
        Ok(())
    }

    /// The whole part as text of at most `max` bytes.
    pub(crate) async fn text(&mut self, max: usize) -> S3Result<String> {
        let mut text = Vec::new();
        while let Some(piece) = self.piece().await.map_err(malformed)? {
            text.extend_from_slice(&piece);
            if text.len() > max {
                return Err(s3_error!(
                    MaxPostPreDataLengthExceededError,
                    "Your POST request fields preceding the upload file were too large."
                ));
            }
        }
        String::from_utf8(text).map_err(|error| malformed(error.into()))
    }

    /// The current part as a stream.
    pub(crate) fn stream(&mut self) -> impl Stream<Item = Result<Bytes, StdError>> + Send
    where
        S: Send,
    {
        stream::try_unfold(self, |form| async move { Ok(form.piece().await?.map(|piece| (piece, form))) })
    }

    /// Reads and forgets up to `max` bytes, so that a client that is still sending hears the answer.
    pub(crate) async fn drain(&mut self, max: usize) {
        let mut seen = 0;
        while seen < max {
            match self.body.next().await {
                Some(Ok(chunk)) => seen += chunk.len(),
                _ => break,
            }
        }
    }
}

fn malformed(error: StdError) -> s3s::S3Error {
    s3_error!(MalformedPOSTRequest, "The body of your POST request is not well-formed: {error}")
}
