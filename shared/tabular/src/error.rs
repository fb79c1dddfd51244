//! What can be wrong with a list as a whole, and with one of its rows.

use std::io;

use serde::{Deserialize, Serialize};

/// Why a list cannot be read, or not further. The texts are shown to the person who uploaded it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// No bytes, or nothing but white space.
    #[error("The file is empty.")]
    Empty,
    /// A header and no row after it.
    #[error("The file has a header and no rows.")]
    OnlyHeader,
    /// The content is of another kind than the name's extension.
    #[error(
        "The file's content is {found}, not what its name says. Upload a real .csv, .tsv, .txt or .xlsx file."
    )]
    NotWhatItSays {
        /// What was found: `png`, `pdf`, `zip`, `xls (old Excel) or password-protected`, `html`, `binary`, …
        found: &'static str,
    },
    /// The name does not end in `.csv`, `.tsv`, `.tab`, `.txt` or `.xlsx`.
    #[error("`{name}` is not of a known kind. Upload a .csv, .tsv, .txt or .xlsx file.")]
    UnknownExtension {
        /// The file's name as given.
        name: String,
    },
    /// No column is named like an address and none holds addresses.
    #[error("No column with email addresses was found among: {}. Say which column holds them.", list(.columns))]
    NoAddressColumn {
        /// The first row, shortened to 32 cells of 64 characters.
        columns: Vec<String>,
    },
    /// The column that was asked for does not exist.
    #[error("There is no column `{asked}`; there are: {}.", list(.columns))]
    UnknownColumn {
        /// The name or the 1-based number that was given.
        asked: String,
        /// The first row, shortened to 32 cells of 64 characters.
        columns: Vec<String>,
    },
    /// The encoding that was asked for is not in the WHATWG Encoding Standard.
    #[error("The encoding `{asked}` is not known. Use for example utf-8, utf-16le or windows-1252.")]
    UnknownEncoding {
        /// The label that was given.
        asked: String,
    },
    /// The delimiter that was asked for cannot be one.
    #[error("{asked:?} cannot be a delimiter. Use a comma, semicolon, tab, bar or another ASCII sign.")]
    UnusableDelimiter {
        /// The character that was given.
        asked: char,
    },
    /// The list goes on after its last permitted row.
    #[error("The list has more than {limit} rows. Split it.")]
    TooManyRows {
        /// [`Limits::max_rows`](crate::Limits::max_rows).
        limit: u64,
    },
    /// The workbook unpacks to more than is permitted, for its own size or at all.
    #[error("The workbook unpacks to more than {limit} bytes. Save the sheet alone, or as .csv.")]
    Decompression {
        /// The bound that was passed, in bytes.
        limit: u64,
    },
    /// A part of the workbook is encrypted.
    #[error("The workbook is protected by a password. Save it without one.")]
    Encrypted,
    /// The workbook is damaged or does not follow its format.
    #[error("The workbook is damaged ({what}). Open it and save it again.")]
    Damaged {
        /// What was found wrong, in a few words.
        what: String,
    },
    /// The bytes could not be read, or the temporary file not written.
    #[error("The list could not be read.")]
    Io(#[from] io::Error),
}

impl ListError {
    /// A stable identifier in snake case.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::OnlyHeader => "only_header",
            Self::NotWhatItSays { .. } => "not_what_it_says",
            Self::UnknownExtension { .. } => "unknown_extension",
            Self::NoAddressColumn { .. } => "no_address_column",
            Self::UnknownColumn { .. } => "unknown_column",
            Self::UnknownEncoding { .. } => "unknown_encoding",
            Self::UnusableDelimiter { .. } => "unusable_delimiter",
            Self::TooManyRows { .. } => "too_many_rows",
            Self::Decompression { .. } => "decompression",
            Self::Encrypted => "encrypted",
            Self::Damaged { .. } => "damaged",
            Self::Io(_) => "io",
        }
    }

    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into() }
    }
}

fn list(columns: &[String]) -> String {
    if columns.is_empty() { "none".into() } else { columns.join(", ") }
}

/// A row that cannot be used. The rows after it are read all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadRow {
    /// The 1-based line (text) or row (workbook) where the row begins.
    pub line: u64,
    /// What is wrong with it.
    pub reason: BadReason,
    /// The row's cells where it could be taken apart (no address cell, or an empty one); otherwise none.
    pub cells: Vec<String>,
}

/// What is wrong with a row. As JSON: `{"code": "line_too_long", "limit": 65536}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "snake_case")]
#[non_exhaustive]
pub enum BadReason {
    /// The line, or the workbook row's text, is longer than permitted.
    #[error("The line is longer than {limit} bytes.")]
    LineTooLong {
        /// Bytes of UTF-8.
        limit: usize,
    },
    /// A quote opens a cell and is not closed within the permitted length of a line, or is closed in the middle of a
    /// later line's cell. Reading resumes on the line after the one where it opened.
    #[error("The quote opened on line {opened_at} is never closed.")]
    UnclosedQuote {
        /// The 1-based line with the opening quote.
        opened_at: u64,
    },
    /// More cells than permitted.
    #[error("The row has more than {limit} columns.")]
    TooManyColumns {
        /// Cells.
        limit: usize,
    },
    /// The row ends before the address column.
    #[error("The row has {found} columns; the address should be in column {needed}.")]
    TooFewColumns {
        /// Cells in the row.
        found: usize,
        /// The address column, 1-based.
        needed: usize,
    },
    /// The address cell is empty or white space.
    #[error("The row has no address.")]
    EmptyAddress,
    /// Bytes that are not of the list's encoding.
    #[error("The row is not valid {encoding}.")]
    InvalidEncoding {
        /// The encoding's name, as `UTF-8`.
        encoding: String,
    },
}

impl BadReason {
    /// A stable identifier in snake case.
    pub fn code(&self) -> &'static str {
        match self {
            Self::LineTooLong { .. } => "line_too_long",
            Self::UnclosedQuote { .. } => "unclosed_quote",
            Self::TooManyColumns { .. } => "too_many_columns",
            Self::TooFewColumns { .. } => "too_few_columns",
            Self::EmptyAddress => "empty_address",
            Self::InvalidEncoding { .. } => "invalid_encoding",
        }
    }
}
