//! As much of a zip (PKWARE APPNOTE 6.3, with zip64) as a workbook needs: its directory, and parts as streams.
//!
//! The directory is bounded before it is read, and each part is an owned reader with its own place in the file, so that
//! a sheet can be held open for as long as its rows are wanted.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use flate2::{Crc, bufread::DeflateDecoder};

use crate::{error::ListError, options::Limits};

/// Below this a workbook may have any ratio: a small sheet of equal rows packs very well.
const RATIO_FLOOR: u64 = 16 << 20;
const MAX_ENTRIES: u64 = 10_000;
const MAX_DIRECTORY: u64 = 4 << 20;

#[derive(Debug, Clone, Copy)]
struct Entry {
    flags: u16,
    method: u16,
    crc: u32,
    packed: u64,
    unpacked: u64,
    offset: u64,
}

/// A zip's directory.
#[derive(Debug)]
pub(super) struct Zip {
    path: PathBuf,
    /// By name in lower case with forward slashes, as readers of workbooks must compare them.
    entries: HashMap<String, Entry>,
    limit: u64,
}

/// Why the reading of a part stops, carried through `io::Error`.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    #[error("a part unpacks to more than its declared size")]
    Overrun { limit: u64 },
    #[error("an element is too long")]
    TooLong,
    #[error("a part is cut short or its checksum is wrong")]
    Checksum,
}

impl Stop {
    pub(super) fn to_list_error(error: &io::Error) -> ListError {
        match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(Self::Overrun { limit }) => ListError::Decompression { limit: *limit },
            Some(stop) => ListError::damaged(stop.to_string()),
            None => match error.kind() {
                // What inflate says of bytes that are not deflated data, and of their early end.
                io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                    ListError::damaged("compressed data are corrupt")
                }
                kind => ListError::Io(io::Error::new(kind, error.to_string())),
            },
        }
    }
}

impl Zip {
    pub(super) fn open(path: &Path, limits: &Limits) -> Result<Self, ListError> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        if length == 0 {
            return Err(ListError::Empty);
        }
        let (count, size, offset) = directory(&mut file, length)?;
        if count > MAX_ENTRIES || size > MAX_DIRECTORY {
            return Err(ListError::damaged("too many parts"));
        }
        if offset.checked_add(size).is_none_or(|end| end > length) {
            return Err(ListError::damaged("cut short"));
        }
        let mut bytes = vec![0; size as usize];
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(&mut bytes)?;
        let mut entries = HashMap::new();
        let (mut rest, mut total) = (&bytes[..], 0_u64);
        for _ in 0..count {
            let (name, entry, next) = entry(rest).ok_or_else(|| ListError::damaged("directory"))?;
            total = total.saturating_add(entry.unpacked);
            entries.insert(name, entry);
            rest = next;
        }
        let by_ratio = length.saturating_mul(limits.max_ratio.into()).max(RATIO_FLOOR);
        let limit = limits.max_uncompressed.min(by_ratio);
        if total > limit {
            return Err(ListError::Decompression { limit });
        }
        Ok(Self { path: path.into(), entries, limit })
    }

    pub(super) fn has(&self, part: &str) -> bool {
        self.entries.contains_key(&part.to_ascii_lowercase())
    }

    /// Opens a part.
    pub(super) fn part(&self, name: &str) -> Result<Part, ListError> {
        let damaged = || ListError::damaged(format!("no usable part {name}"));
        let entry = *self.entries.get(&name.to_ascii_lowercase()).ok_or_else(damaged)?;
        if entry.flags & 1 != 0 {
            return Err(ListError::Encrypted);
        }
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(entry.offset))?;
        let mut header = [0; 30];
        file.read_exact(&mut header).map_err(|_| damaged())?;
        if !header.starts_with(b"PK\x03\x04") {
            return Err(damaged());
        }
        let skip = i64::from(u16_at(&header, 26)) + i64::from(u16_at(&header, 28));
        file.seek(SeekFrom::Current(skip))?;
        let packed = BufReader::with_capacity(32 << 10, file.take(entry.packed));
        let body = match entry.method {
            0 => Body::Stored(packed),
            8 => Body::Deflated(DeflateDecoder::new(packed)),
            _ => return Err(ListError::damaged("unusual compression")),
        };
        Ok(Part { body, left: entry.unpacked, crc: entry.crc, seen: Crc::new(), limit: self.limit })
    }
}

/// A part, unpacked as it is read.
pub(super) struct Part {
    body: Body,
    left: u64,
    crc: u32,
    seen: Crc,
    limit: u64,
}

enum Body {
    Stored(BufReader<io::Take<File>>),
    Deflated(DeflateDecoder<BufReader<io::Take<File>>>),
}

impl Read for Part {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let got = match &mut self.body {
            Body::Stored(body) => body.read(out),
            Body::Deflated(body) => body.read(out),
        }?;
        self.seen.update(&out[..got]);
        match self.left.checked_sub(got as u64) {
            Some(left) => self.left = left,
            None => return Err(io::Error::other(Stop::Overrun { limit: self.limit })),
        }
        if got == 0 && !out.is_empty() && (self.left > 0 || self.seen.sum() != self.crc) {
            return Err(io::Error::other(Stop::Checksum));
        }
        Ok(got)
    }
}

/// Entries, size and offset of the directory, from the record at the file's end.
fn directory(file: &mut File, length: u64) -> Result<(u64, u64, u64), ListError> {
    let tail_length = length.min(22 + 65_535);
    let mut tail = vec![0; tail_length as usize];
    file.seek(SeekFrom::Start(length - tail_length))?;
    file.read_exact(&mut tail)?;
    let at = memchr::memmem::rfind(&tail, b"PK\x05\x06").filter(|at| tail.len() - at >= 22);
    let at = at.ok_or_else(|| ListError::damaged("not a zip, or cut short"))?;
    let end = &tail[at..];
    let (count, size, offset) = (u16_at(end, 10), u32_at(end, 12), u32_at(end, 16));
    if count != u16::MAX && size != u32::MAX && offset != u32::MAX {
        return Ok((count.into(), size.into(), offset.into()));
    }
    let damaged = || ListError::damaged("zip64 directory");
    let locator = at.checked_sub(20).map(|at| &tail[at..]).filter(|bytes| bytes.starts_with(b"PK\x06\x07"));
    let Some(locator) = locator else {
        // 65,535 entries may also mean just that.
        return Ok((count.into(), size.into(), offset.into()));
    };
    file.seek(SeekFrom::Start(u64_at(locator, 8)))?;
    let mut record = [0; 56];
    file.read_exact(&mut record).map_err(|_| damaged())?;
    if !record.starts_with(b"PK\x06\x06") {
        return Err(damaged());
    }
    Ok((u64_at(&record, 32), u64_at(&record, 40), u64_at(&record, 48)))
}

/// The first entry of a directory, and the rest of it.
fn entry(bytes: &[u8]) -> Option<(String, Entry, &[u8])> {
    let (fixed, rest) = bytes.split_at_checked(46)?;
    if !fixed.starts_with(b"PK\x01\x02") {
        return None;
    }
    let (name, rest) = rest.split_at_checked(u16_at(fixed, 28).into())?;
    let (extra, rest) = rest.split_at_checked(u16_at(fixed, 30).into())?;
    let (_, rest) = rest.split_at_checked(u16_at(fixed, 32).into())?;
    let mut wide = zip64(extra).chunks_exact(8).map(|bytes| u64_at(bytes, 0));
    // The extra field holds, in this order, only those that do not fit.
    let mut value = |at| match u32_at(fixed, at) {
        u32::MAX => wide.next(),
        value => Some(value.into()),
    };
    let (unpacked, packed, offset) = (value(24)?, value(20)?, value(42)?);
    let name = String::from_utf8_lossy(name).replace('\\', "/").to_ascii_lowercase();
    let entry = Entry {
        flags: u16_at(fixed, 8),
        method: u16_at(fixed, 10),
        crc: u32_at(fixed, 16),
        packed,
        unpacked,
        offset,
    };
    Some((name, entry, rest))
}

/// The body of extra field 1, or nothing.
fn zip64(mut extra: &[u8]) -> &[u8] {
    while let Some((head, rest)) = extra.split_at_checked(4) {
        let Some((body, next)) = rest.split_at_checked(u16_at(head, 2).into()) else { break };
        if u16_at(head, 0) == 1 {
            return body;
        }
        extra = next;
    }
    &[]
}

fn at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut value = [0; N];
    if let Some(found) = bytes.get(at..at + N) {
        value.copy_from_slice(found);
    }
    value
}

fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes(at(bytes, offset))
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(at(bytes, offset))
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(at(bytes, offset))
}
