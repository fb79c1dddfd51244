//! What a file is, by its first bytes and its name.

use serde::{Deserialize, Serialize};

use crate::{encoding::utf16, error::ListError};

/// The kinds of list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Delimited text, whatever the delimiter.
    Csv,
    /// Text delimited by tabs, unless another sign clearly does it.
    Tsv,
    /// One address a line. Where every line has the same number of tabs, as Excel saves `.txt`, read as [`Self::Tsv`].
    Txt,
    /// An Office Open XML workbook; its first visible sheet is read.
    Xlsx,
}

impl Format {
    /// The kind that a file's name says it is, before there is a file.
    ///
    /// # Errors
    /// [`ListError::UnknownExtension`].
    pub fn of_name(file_name: &str) -> Result<Self, ListError> {
        let extension = file_name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
        match extension.as_deref() {
            Some("csv") => Ok(Self::Csv),
            Some("tsv" | "tab") => Ok(Self::Tsv),
            Some("txt") => Ok(Self::Txt),
            Some("xlsx") => Ok(Self::Xlsx),
            _ => Err(ListError::UnknownExtension { name: file_name.into() }),
        }
    }
}

/// Holds the first bytes (1 KiB is plenty, a few will do) against what the file's name says.
///
/// # Errors
/// [`ListError::Empty`] without a byte, [`ListError::NotWhatItSays`], [`ListError::UnknownExtension`].
/// Whether a zip is a workbook is known only when [`ListReader::xlsx`](crate::ListReader::xlsx) opens it.
pub fn sniff(file_name: &str, head: &[u8]) -> Result<Format, ListError> {
    let format = Format::of_name(file_name)?;
    if head.is_empty() {
        return Err(ListError::Empty);
    }
    match (format, found(head)) {
        (Format::Xlsx, "xlsx" | "zip") | (Format::Csv | Format::Tsv | Format::Txt, "text") => Ok(format),
        (_, found) => Err(ListError::NotWhatItSays { found }),
    }
}

const MAGIC: [(&[u8], &str); 15] = [
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"%PDF-", "pdf"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF8", "gif"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "xls (old Excel) or password-protected"),
    (b"\x1f\x8b", "gzip"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"BZh9", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"{\\rtf", "rtf"),
    (b"\x7fELF", "binary"),
    (b"SQLite format 3\0", "sqlite"),
    (b"PAR1", "parquet"),
];

/// Names what the bytes are; `text` when nothing speaks against it.
fn found(head: &[u8]) -> &'static str {
    if let Some((_, name)) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
        return name;
    }
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        let workbook = memchr::memmem::find(head, b"[Content_Types].xml").is_some()
            || memchr::memmem::find(head, b"xl/").is_some();
        return if workbook { "xlsx" } else { "zip" };
    }
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let starts =
        |with: &str| text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with.as_bytes()));
    if starts("<!doctype html") || starts("<html") {
        return "html";
    }
    if starts("<?xml") {
        return "xml";
    }
    if starts("{\"") || starts("[{") {
        return "json";
    }
    let utf16_bom = head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff");
    // Random bytes have one control character in nine; a text with a few strays in it stays a text.
    let controls =
        head.iter().filter(|&&byte| byte < b' ' && !matches!(byte, b'\t'..=b'\r' | 0x1a | 0x1b)).count();
    if controls >= 3 && controls * 20 > head.len() && !utf16_bom && utf16(head).is_none() {
        "binary"
    } else {
        "text"
    }
}
