//! A body from the network into a temporary file, verified on the way.

use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use s3s::{S3Error, StdError, TrailingHeaders, s3_error};
use tokio::io::{AsyncWriteExt as _, BufWriter};

use crate::digest::{Algorithm, Digested, Digests, Sums, content_md5};
use crate::error::{Error, bad_request};
use crate::store::{Scratch, Store};

/// What the client promised about a body.
#[derive(Default)]
pub(crate) struct Expect {
    /// Its length in bytes, decoded. `s3s` lets an aws-chunked body end early, so this is what notices.
    pub(crate) length: Option<u64>,
    /// `Content-MD5`.
    pub(crate) md5: Option<String>,
    /// Checksums from headers.
    pub(crate) sums: Sums,
    /// Checksums announced for the trailer, and where the trailer will be.
    pub(crate) trailer: Option<(Vec<Algorithm>, TrailingHeaders)>,
    /// A checksum to compute although none was sent (CRC64NVME if `None` and no other applies, as S3 does).
    pub(crate) also: Option<Algorithm>,
    /// Bytes allowed, inclusive.
    pub(crate) range: Option<(u64, u64)>,
}

/// A body on disk that fulfilled every promise, in a file that vanishes unless the store takes it.
pub(crate) struct Received {
    pub(crate) scratch: Scratch,
    pub(crate) digests: Digested,
}

/// Writes `body` to a temporary file and checks it against `expect`. Holds one chunk in memory.
///
/// # Errors
/// `IncompleteBody`, `BadDigest`, `InvalidDigest`, `EntityTooLarge`, `EntityTooSmall`, `RequestTimeout` after
/// `idle` without a byte; the temporary file is gone in each case.
pub(crate) async fn receive<S>(
    store: &Store,
    mut body: S,
    expect: Expect,
    idle: Duration,
) -> Result<Received, Error>
where
    S: Stream<Item = Result<Bytes, StdError>> + Unpin + Send,
{
    let md5 = match expect.md5.as_deref() {
        None => None,
        Some(header) => Some(
            content_md5(header)
                .ok_or_else(|| s3_error!(InvalidDigest, "The Content-MD5 you specified was invalid."))?,
        ),
    };
    let mut algorithms: Vec<Algorithm> = expect.sums.algorithms().chain(expect.also).collect();
    algorithms.extend(expect.trailer.iter().flat_map(|(announced, _)| announced));
    if algorithms.is_empty() {
        algorithms.push(Algorithm::Crc64nvme);
    }

    let scratch = store.scratch();
    let mut file = BufWriter::with_capacity(128 * 1024, tokio::fs::File::create(scratch.path()).await?);
    let mut digests = Digests::new(algorithms);
    loop {
        let next = tokio::time::timeout(idle, body.next()).await.map_err(|_| {
            s3_error!(RequestTimeout, "Your socket connection to the server was not read from or written to.")
        })?;
        let Some(chunk) = next.transpose().map_err(broken_body)? else { break };
        digests.update(&chunk);
        if expect.range.is_some_and(|(_, max)| digests.size() > max) {
            return Err(
                s3_error!(EntityTooLarge, "Your proposed upload exceeds the maximum allowed size").into()
            );
        }
        file.write_all(&chunk).await?;
    }
    file.flush().await?;
    let digests = digests.finish();

    if expect.length.is_some_and(|length| length != digests.size) {
        return Err(incomplete().into());
    }
    if expect.range.is_some_and(|(min, _)| digests.size < min) {
        return Err(s3_error!(
            EntityTooSmall,
            "Your proposed upload is smaller than the minimum allowed size"
        )
        .into());
    }
    if md5.is_some_and(|md5| md5 != digests.md5) {
        return Err(
            s3_error!(BadDigest, "The Content-MD5 you specified did not match what we received.").into()
        );
    }
    let mut promised = expect.sums;
    if let Some((announced, trailer)) = expect.trailer {
        let trailer = trailer.take().unwrap_or_default();
        for algorithm in announced {
            let name = format!("x-amz-checksum-{}", algorithm.name().to_ascii_lowercase());
            let value = trailer.get(&name).and_then(|value| value.to_str().ok()).ok_or_else(|| {
                bad_request(
                    "MalformedTrailerError",
                    "The request contained trailing data that was not well-formed",
                )
            })?;
            *promised.slot(algorithm) = Some(value.to_owned());
        }
    }
    if let Some(algorithm) = promised.disagreement(&digests.sums) {
        let name = algorithm.name();
        return Err(
            s3_error!(BadDigest, "The {name} you specified did not match the calculated checksum.").into()
        );
    }
    Ok(Received { scratch, digests })
}

fn incomplete() -> S3Error {
    s3_error!(
        IncompleteBody,
        "You did not provide the number of bytes specified by the Content-Length HTTP header"
    )
}

/// `s3s` keeps the types of its body errors private; their text names the variant.
fn broken_body(error: StdError) -> S3Error {
    let text = error.to_string();
    let mut refusal = if text.contains("Sha256Mismatch") {
        bad_request(
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        )
    } else if text.contains("SignatureMismatch") {
        s3_error!(SignatureDoesNotMatch, "A chunk signature does not match its chunk.")
    } else {
        incomplete()
    };
    refusal.set_source(error);
    refusal
}
