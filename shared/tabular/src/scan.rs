//! One record out of a buffer, by the rules of RFC 4180 read leniently.
//!
//! - A line ends with LF, CRLF or CR. A quote opens a cell only as its first byte; inside, `""` is a quote.
//! - What follows a closing quote on the same line belongs to the cell (`"a"b` is `ab`). But when the cell had spanned
//!   lines, a quote that is not followed by a delimiter or a line end was the opening one of a later cell: the first was
//!   never closed. So one stray quote spoils one record, and each byte is looked at about twice at most: a line that
//!   leaves a quote open needs an odd run of quotes, and an odd run ends the search that an earlier line began.

use memchr::{memchr, memchr_iter, memchr2, memchr2_iter, memchr3};

use crate::row::RawCells;

/// What stands at the start of a buffer. `next` is where reading goes on, `lines` the lines passed until there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Scanned {
    /// Nothing is left.
    End,
    /// A record, its cells filled in.
    Row { next: usize, lines: u64 },
    /// A quote that is not closed, opened `opened` lines below the record's first.
    Unclosed { opened: u64, next: usize, lines: u64 },
    /// `limit` bytes hold no end of the line; the bytes before `next` can be dropped, then the rest of the line.
    TooLong { next: usize, lines: u64 },
}

/// Takes the record at the start of `text`, which either holds at least `limit + 2` bytes or all that is left.
/// Without a delimiter the line is one cell and quotes mean nothing.
pub(crate) fn scan(text: &[u8], delimiter: Option<u8>, limit: usize, cells: &mut RawCells) -> Scanned {
    cells.clear();
    if text.is_empty() {
        return Scanned::End;
    }
    let scan = Scan { text, window: &text[..text.len().min(limit + 1)], whole: text.len() <= limit };
    let found = match delimiter {
        Some(_) => memchr3(b'\n', b'\r', b'"', scan.window),
        None => memchr2(b'\n', b'\r', scan.window),
    };
    let (line, next) = match (found, delimiter) {
        (Some(at), Some(delimiter)) if scan.window[at] == b'"' => return scan.quoted(delimiter, cells),
        (Some(at), _) => (&scan.window[..at], scan.line_end(at)),
        (None, _) if scan.whole => (scan.window, scan.window.len()),
        (None, _) => return Scanned::TooLong { next: scan.window.len(), lines: 0 },
    };
    let mut start = 0;
    cells.bytes.reserve_exact(line.len());
    for at in delimiter.into_iter().flat_map(|delimiter| memchr_iter(delimiter, line)) {
        cells.part(&line[start..at]);
        cells.end();
        start = at + 1;
    }
    cells.part(&line[start..]);
    cells.end();
    Scanned::Row { next, lines: 1 }
}

/// The position after the line end at `at`.
pub(crate) fn line_end(text: &[u8], at: usize) -> usize {
    at + 1 + usize::from(text[at] == b'\r' && text.get(at + 1) == Some(&b'\n'))
}

struct Scan<'a> {
    text: &'a [u8],
    /// As much as a record and the first byte after it may take.
    window: &'a [u8],
    /// Whether the window's end is the list's end.
    whole: bool,
}

impl Scan<'_> {
    fn line_end(&self, at: usize) -> usize {
        line_end(self.text, at)
    }

    fn quoted(&self, delimiter: u8, cells: &mut RawCells) -> Scanned {
        let window = self.window;
        let (mut at, mut lines) = (0, 0);
        loop {
            if window.get(at) == Some(&b'"') {
                let (opened, mut inside) = (at, 0);
                at += 1;
                loop {
                    let Some(run) = memchr(b'"', &window[at..]) else { return self.unclosed(opened, lines) };
                    let part = &window[at..at + run];
                    inside += line_ends(part);
                    cells.part(part);
                    at += run + 1;
                    if window.get(at) != Some(&b'"') {
                        break;
                    }
                    cells.part(b"\"");
                    at += 1;
                }
                let closed = match window.get(at) {
                    Some(&byte) => byte == delimiter || byte == b'\n' || byte == b'\r',
                    None => self.whole,
                };
                if inside > 0 && !closed {
                    return self.unclosed(opened, lines);
                }
                lines += inside;
            }
            match memchr3(delimiter, b'\n', b'\r', &window[at..]) {
                Some(run) => {
                    cells.part(&window[at..at + run]);
                    cells.end();
                    at += run;
                    if window[at] != delimiter {
                        return Scanned::Row { next: self.line_end(at), lines: lines + 1 };
                    }
                    at += 1;
                }
                None if self.whole => {
                    cells.part(&window[at..]);
                    cells.end();
                    return Scanned::Row { next: window.len(), lines: lines + 1 };
                }
                None => return Scanned::TooLong { next: window.len(), lines },
            }
        }
    }

    fn unclosed(&self, opened_byte: usize, opened: u64) -> Scanned {
        match memchr2(b'\n', b'\r', &self.window[opened_byte..]) {
            Some(run) => {
                Scanned::Unclosed { opened, next: self.line_end(opened_byte + run), lines: opened + 1 }
            }
            None if self.whole => Scanned::Unclosed { opened, next: self.window.len(), lines: opened + 1 },
            None => Scanned::TooLong { next: self.window.len(), lines: opened },
        }
    }
}

/// Line ends in a part of a quoted cell. The part is followed by a quote, so its last CR has no LF after it.
fn line_ends(part: &[u8]) -> u64 {
    memchr2_iter(b'\n', b'\r', part)
        .filter(|&at| part[at] == b'\n' || part.get(at + 1) != Some(&b'\n'))
        .count() as u64
}
