//! Lists as people upload them, made here.

#![expect(clippy::unwrap_used, reason = "a test that cannot make its list has failed")]

mod layout;
mod properties;
mod sniff;
mod text;
mod workbook;
mod workbook_hostile;
mod write;

use std::io::{Cursor, Read};

use tabular::{BadReason, Format, Hints, Item, Limits, ListError, ListReader};

/// A row as a test compares it: line, cells, address; or line and reason.
#[derive(Debug, PartialEq)]
enum Got {
    Row(u64, Vec<String>, String),
    Bad(u64, BadReason),
}

fn row(line: u64, cells: &[&str], address: &str) -> Got {
    Got::Row(line, cells.iter().map(|&cell| cell.into()).collect(), address.into())
}

fn got(list: ListReader) -> Result<Vec<Got>, ListError> {
    list.map(|item| {
        Ok(match item? {
            Item::Row(row) => {
                Got::Row(row.line(), row.cells().map(str::to_owned).collect(), row.address().into())
            }
            Item::Bad(bad) => Got::Bad(bad.line, bad.reason),
        })
    })
    .collect()
}

fn open(bytes: impl AsRef<[u8]>) -> Result<ListReader, ListError> {
    open_with(bytes, Format::Csv, &Hints::default())
}

fn open_with(bytes: impl AsRef<[u8]>, format: Format, hints: &Hints) -> Result<ListReader, ListError> {
    ListReader::text(Cursor::new(bytes.as_ref().to_vec()), format, hints, &Limits::default())
}

fn csv(bytes: impl AsRef<[u8]>) -> Vec<Got> {
    got(open(bytes).unwrap()).unwrap()
}

/// The error of opening or of reading to the end.
fn error(list: Result<ListReader, ListError>) -> ListError {
    list.and_then(got).unwrap_err()
}

/// Gives its bytes in pieces of uneven sizes, as a network does.
struct Dribble(Cursor<Vec<u8>>, usize);

impl Read for Dribble {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        self.1 = self.1 % 13 + 1;
        let wanted = out.len().min(self.1);
        self.0.read(&mut out[..wanted])
    }
}
