//! Uploaded lists of email addresses, read row by row in bounded memory, and written back with result columns.
//!
//! A list is delimited text ([`Format::Csv`], [`Format::Tsv`]), one address a line ([`Format::Txt`]) or a workbook
//! ([`Format::Xlsx`]). [`sniff`] holds the first bytes against the file's name; [`ListReader`] finds encoding,
//! delimiter, header and address column, tells them in its [`Layout`], and yields an [`Item`] a row. A row that cannot
//! be used is an [`Item::Bad`] with its line and the reading goes on; a [`ListError`] is about the whole list.
//!
//! Memory does not follow the input: text is read through one buffer of four times [`Limits::max_line_bytes`]
//! (at least 256 KiB), and a workbook's shared strings stay in memory only up to 16 MiB, then go to a temporary file.
//!
//! ```
//! use tabular::{Format, Hints, Item, Limits, ListReader};
//! let file = "Name;E-Mail\r\nAda;ada@example.com\r\nBob;\r\n".as_bytes();
//! let list = ListReader::text(file, Format::Csv, &Hints::default(), &Limits::default())?;
//! assert_eq!(list.layout().delimiter, Some(';'));
//! let items = list.collect::<Result<Vec<_>, _>>()?;
//! assert!(matches!(&items[0], Item::Row(row) if row.line() == 2 && row.address() == "ada@example.com"));
//! assert!(matches!(&items[1], Item::Bad(bad) if bad.line == 3 && bad.reason.code() == "empty_address"));
//! # Ok::<(), tabular::ListError>(())
//! ```

mod delimiter;
mod encoding;
mod error;
mod layout;
mod options;
mod reader;
mod row;
mod scan;
mod sniff;
mod text;
mod write;
mod xlsx;

pub use error::{BadReason, BadRow, ListError};
pub use layout::{FoundBy, Layout, LineEnding};
pub use options::{Column, Hints, Limits};
pub use reader::{Item, ListReader};
pub use row::Row;
pub use sniff::{Format, sniff};
pub use write::{ListWriter, csv_safe};
