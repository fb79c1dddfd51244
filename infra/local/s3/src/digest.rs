//! Checksums of a body: the MD5 behind the ETag and the five `x-amz-checksum-*` algorithms.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Md5};
use serde::{Deserialize, Serialize};

/// One `x-amz-checksum-*` algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64nvme,
    Sha1,
    Sha256,
}

impl Algorithm {
    pub(crate) const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64nvme, Self::Sha1, Self::Sha256];

    /// The name in XML and in `x-amz-checksum-algorithm`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// `x-amz-checksum-crc32` and its like.
    pub(crate) fn from_header(name: &str) -> Option<Self> {
        let name = name.trim().get(.."x-amz-checksum-".len() + 3).and(Some(name.trim()))?;
        let (prefix, algorithm) = name.split_at("x-amz-checksum-".len());
        prefix.eq_ignore_ascii_case("x-amz-checksum-").then(|| Self::parse(algorithm)).flatten()
    }
}

/// Checksums by algorithm, in base64 as they travel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Sums {
    pub(crate) crc32: Option<String>,
    pub(crate) crc32c: Option<String>,
    pub(crate) crc64nvme: Option<String>,
    pub(crate) sha1: Option<String>,
    pub(crate) sha256: Option<String>,
}

impl Sums {
    pub(crate) fn slot(&mut self, algorithm: Algorithm) -> &mut Option<String> {
        match algorithm {
            Algorithm::Crc32 => &mut self.crc32,
            Algorithm::Crc32c => &mut self.crc32c,
            Algorithm::Crc64nvme => &mut self.crc64nvme,
            Algorithm::Sha1 => &mut self.sha1,
            Algorithm::Sha256 => &mut self.sha256,
        }
    }

    pub(crate) fn get(&self, algorithm: Algorithm) -> Option<&str> {
        match algorithm {
            Algorithm::Crc32 => &self.crc32,
            Algorithm::Crc32c => &self.crc32c,
            Algorithm::Crc64nvme => &self.crc64nvme,
            Algorithm::Sha1 => &self.sha1,
            Algorithm::Sha256 => &self.sha256,
        }
        .as_deref()
    }

    /// The algorithms that have a value.
    pub(crate) fn algorithms(&self) -> impl Iterator<Item = Algorithm> + '_ {
        Algorithm::ALL.into_iter().filter(|algorithm| self.get(*algorithm).is_some())
    }

    /// The first algorithm whose value here is not the one `actual` has.
    pub(crate) fn disagreement(&self, actual: &Self) -> Option<Algorithm> {
        self.algorithms().find(|algorithm| self.get(*algorithm) != actual.get(*algorithm))
    }
}

impl From<s3s::dto::Checksum> for Sums {
    fn from(sums: s3s::dto::Checksum) -> Self {
        Self {
            crc32: sums.checksum_crc32,
            crc32c: sums.checksum_crc32c,
            crc64nvme: sums.checksum_crc64nvme,
            sha1: sums.checksum_sha1,
            sha256: sums.checksum_sha256,
        }
    }
}

/// Reads the five checksum fields that many `s3s` structures share.
macro_rules! sums_of {
    ($from:expr) => {
        $crate::digest::Sums {
            crc32: $from.checksum_crc32.clone(),
            crc32c: $from.checksum_crc32c.clone(),
            crc64nvme: $from.checksum_crc64nvme.clone(),
            sha1: $from.checksum_sha1.clone(),
            sha256: $from.checksum_sha256.clone(),
        }
    };
}
/// Writes them.
macro_rules! set_sums {
    ($to:expr, $sums:expr) => {{
        let sums = $sums.clone();
        $to.checksum_crc32 = sums.crc32;
        $to.checksum_crc32c = sums.crc32c;
        $to.checksum_crc64nvme = sums.crc64nvme;
        $to.checksum_sha1 = sums.sha1;
        $to.checksum_sha256 = sums.sha256;
    }};
}
pub(crate) use {set_sums, sums_of};

/// Running digests of a body.
pub(crate) struct Digests {
    md5: Md5,
    sums: ChecksumHasher,
    size: u64,
}

/// Finished digests.
#[derive(Debug, Clone)]
pub(crate) struct Digested {
    pub(crate) size: u64,
    pub(crate) md5: [u8; 16],
    pub(crate) sums: Sums,
}

impl Digests {
    pub(crate) fn new(algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        let mut sums = ChecksumHasher::default();
        for algorithm in algorithms {
            match algorithm {
                Algorithm::Crc32 => sums.crc32 = Some(s3s::crypto::Crc32::new()),
                Algorithm::Crc32c => sums.crc32c = Some(s3s::crypto::Crc32c::new()),
                Algorithm::Crc64nvme => sums.crc64nvme = Some(s3s::crypto::Crc64Nvme::new()),
                Algorithm::Sha1 => sums.sha1 = Some(s3s::crypto::Sha1::new()),
                Algorithm::Sha256 => sums.sha256 = Some(s3s::crypto::Sha256::new()),
            }
        }
        Self { md5: Md5::new(), sums, size: 0 }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.sums.update(bytes);
        self.size += bytes.len() as u64;
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn finish(self) -> Digested {
        Digested { size: self.size, md5: self.md5.finalize(), sums: self.sums.finalize().into() }
    }
}

/// The `COMPOSITE` checksum of a multipart object: the checksum of its parts' checksums, `-` and their
/// number. `None` if a part has no valid checksum of that algorithm.
pub(crate) fn composite<'a>(algorithm: Algorithm, parts: impl Iterator<Item = &'a Sums>) -> Option<String> {
    let (mut digests, mut count) = (Digests::new([algorithm]), 0);
    for sums in parts {
        digests.update(&STANDARD.decode(sums.get(algorithm)?).ok()?);
        count += 1;
    }
    Some(format!("{}-{count}", digests.finish().sums.get(algorithm)?))
}

/// The ETag of a multipart object: the MD5 of its parts' MD5s, `-` and their number.
pub(crate) fn multipart_etag<'a>(etags: impl Iterator<Item = &'a str>) -> Option<String> {
    let (mut md5, mut count) = (Md5::new(), 0);
    for etag in etags {
        md5.update(&unhex(etag)?);
        count += 1;
    }
    Some(format!("{}-{count}", hex(&md5.finalize())))
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Bytes from hex of either case.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|d| u8::try_from(d).ok()))
        .collect::<Option<_>>()?;
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// A `Content-MD5` header as bytes; `None` if it is not the base64 of 16 bytes.
pub(crate) fn content_md5(header: &str) -> Option<[u8; 16]> {
    STANDARD.decode(header).ok()?.try_into().ok()
}
