//! Lists written back: the original cells, then result columns.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use crate::layout::{Layout, LineEnding};

/// A cell that no spreadsheet will run as a formula: what begins with one of `= + - @`, tab, CR, LF or a full-width
/// form of the four gets an apostrophe before it (OWASP, CSV injection), white space and control characters at the
/// start not counted as a beginning. A plain number (`-5`, `+1.5`, `-1e3`) stays: it runs nothing and people sum it.
pub fn csv_safe(cell: &str) -> Cow<'_, str> {
    let begins = |text: &str| {
        text.starts_with([
            '=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
        ])
    };
    let skipped = |c: char| c.is_whitespace() || c.is_control() || c == '\u{feff}';
    if (begins(cell) || begins(cell.trim_start_matches(skipped))) && !is_number(cell) {
        Cow::Owned(format!("'{cell}"))
    } else {
        Cow::Borrowed(cell)
    }
}

fn is_number(cell: &str) -> bool {
    // `f64` would also take `-inf` and `+nan`.
    cell.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
        && cell.parse::<f64>().is_ok()
}

/// Writes a list as UTF-8 with the delimiter and line ends it came with. Every cell goes through [`csv_safe`] and is
/// quoted where it must be. Rows shorter than the layout's columns are filled up, so that the results stand under
/// their names; a longer row keeps all its cells and its results stand further right.
pub struct ListWriter<W> {
    out: W,
    delimiter: u8,
    line_ending: &'static [u8],
    columns: usize,
    line: Vec<u8>,
}

impl<W: Write> ListWriter<W> {
    /// A writer in the form of `layout`: its delimiter (a comma where it has none), line ends and columns. With
    /// `bom`, it begins with a byte order mark, without which Excel takes UTF-8 for the local encoding.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(mut out: W, layout: &Layout, bom: bool) -> io::Result<Self> {
        if bom {
            out.write_all("\u{feff}".as_bytes())?;
        }
        Ok(Self {
            out,
            delimiter: layout.delimiter.and_then(|delimiter| u8::try_from(delimiter).ok()).unwrap_or(b','),
            line_ending: match layout.line_ending {
                LineEnding::Lf => b"\n",
                LineEnding::CrLf => b"\r\n",
            },
            columns: layout.columns,
            line: Vec::new(),
        })
    }

    /// Writes the original cells, filled up to the list's columns, and the results after them. For a header, `cells`
    /// are its names (of a list without one: nothing, or names of your own) and `results` the result columns' names.
    ///
    /// # Errors
    /// Those of the underlying writer. Each row is one `write_all`: wrap a file in a `BufWriter`.
    pub fn row<'a>(
        &mut self,
        cells: impl IntoIterator<Item = &'a str>,
        results: impl IntoIterator<Item = &'a str>,
    ) -> io::Result<()> {
        self.line.clear();
        let mut written = 0;
        for cell in cells {
            self.cell(cell, written);
            written += 1;
        }
        while written < self.columns {
            self.cell("", written);
            written += 1;
        }
        for cell in results {
            self.cell(cell, written);
            written += 1;
        }
        if self.line.is_empty() {
            // A blank line would be no row.
            self.line.extend_from_slice(b"\"\"");
        }
        self.line.extend_from_slice(self.line_ending);
        self.out.write_all(&self.line)
    }

    fn cell(&mut self, cell: &str, before: usize) {
        if before > 0 {
            self.line.push(self.delimiter);
        }
        let cell = csv_safe(cell);
        let special = |byte: u8| byte == self.delimiter || matches!(byte, b'"' | b'\r' | b'\n');
        // Unquoted, a mark at the start of a file would be taken for its byte order mark, `sep=` for Excel's line.
        let first = before == 0
            && (cell.starts_with('\u{feff}')
                || cell.get(..4).is_some_and(|s| s.eq_ignore_ascii_case("sep=")));
        if !first && !cell.bytes().any(special) {
            self.line.extend_from_slice(cell.as_bytes());
            return;
        }
        self.line.push(b'"');
        for byte in cell.bytes() {
            if byte == b'"' {
                self.line.push(b'"');
            }
            self.line.push(byte);
        }
        self.line.push(b'"');
    }

    /// The underlying writer, flushed.
    ///
    /// # Errors
    /// Those of the flush.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}
