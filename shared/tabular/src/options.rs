//! What the person says about a list, and how much of it is taken.

use serde::{Deserialize, Serialize};

/// What is known beforehand. Whatever is `None` is found out; a byte order mark wins over `encoding`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hints {
    /// The sign between cells: ASCII, not a letter, digit, quote, `@`, `.` or line end.
    pub delimiter: Option<char>,
    /// Whether the first row names the columns.
    pub has_header: Option<bool>,
    /// The column that holds the addresses.
    pub column: Option<Column>,
    /// A label of the WHATWG Encoding Standard, as `utf-8`, `latin1`, `utf-16le`.
    pub encoding: Option<String>,
}

/// The address column as a person says it. As JSON a string or a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Column {
    /// 1-based.
    Index(usize),
    /// The name in the header; case, spaces and signs do not matter unless two names differ only in them.
    Name(String),
}

/// How much of a list is taken. The defaults keep a reader well below 128 MiB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Rows, bad ones counted, header and blank lines not. 1,000,000.
    pub max_rows: u64,
    /// Bytes of one row as UTF-8, line ends inside quoted cells counted; for a workbook the text of its cells. 64 KiB.
    pub max_line_bytes: usize,
    /// Cells in a row. 512.
    pub max_columns: usize,
    /// Bytes of all the parts of a workbook, unpacked. 2 GiB.
    pub max_uncompressed: u64,
    /// Unpacked bytes for each byte of the workbook's file, once it unpacks to more than 16 MiB. 100.
    pub max_ratio: u32,
    /// Bytes of a workbook's distinct strings, kept on disk beyond the first 16 MiB. 256 MiB.
    pub max_shared_strings_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_rows: 1_000_000,
            max_line_bytes: 64 << 10,
            max_columns: 512,
            max_uncompressed: 2 << 30,
            max_ratio: 100,
            max_shared_strings_bytes: 256 << 20,
        }
    }
}
