//! Which sign separates the cells.

use crate::{
    layout::looks_like_address,
    row::RawCells,
    scan::{Scanned, scan},
};

const CANDIDATES: [u8; 4] = [b',', b';', b'\t', b'|'];
const SAMPLE_ROWS: usize = 100;

/// Excel's first line `sep=;`: the delimiter and the bytes of the line.
pub(crate) fn declared(sample: &[u8]) -> Option<(u8, usize)> {
    let (head, &delimiter) = (sample.get(..4)?, sample.get(4)?);
    if !head.eq_ignore_ascii_case(b"sep=") || !usable(delimiter as char) {
        return None;
    }
    match sample.get(5) {
        None => Some((delimiter, 5)),
        Some(b'\n' | b'\r') => Some((delimiter, crate::scan::line_end(sample, 5))),
        Some(_) => None,
    }
}

/// Whether a character can separate cells.
pub(crate) fn usable(delimiter: char) -> bool {
    delimiter.is_ascii()
        && !delimiter.is_ascii_alphanumeric()
        && !matches!(delimiter, '"' | '\r' | '\n' | '@' | '.' | '\0')
}

/// The candidate that sets most addresses free, then gives most rows the same number of cells, then most cells.
/// `None` when no candidate separates anything. `whole` says that the sample is all of the list.
pub(crate) fn detect(sample: &[u8], whole: bool) -> Option<u8> {
    CANDIDATES
        .into_iter()
        .filter_map(|delimiter| Some((score(sample, whole, delimiter)?, delimiter)))
        // Of equals the first: `max_by_key` would take the last.
        .reduce(|best, other| if other.0 > best.0 { other } else { best })
        .map(|(_, delimiter)| delimiter)
}

/// Whether every row has the same number of cells, two or more.
pub(crate) fn regular(sample: &[u8], whole: bool, delimiter: u8) -> bool {
    score(sample, whole, delimiter).is_some_and(|(_, same, _)| same == 1000)
}

/// Rows with an address and rows with the usual number of cells, in thousandths, and that number.
fn score(sample: &[u8], whole: bool, delimiter: u8) -> Option<(usize, usize, usize)> {
    let (mut rest, mut cells) = (sample, RawCells::default());
    let (mut widths, mut addresses) = (Vec::new(), Vec::new());
    while widths.len() <= SAMPLE_ROWS {
        let (next, row) = match scan(rest, Some(delimiter), usize::MAX - 1, &mut cells) {
            Scanned::End => break,
            Scanned::Row { next, .. } => (next, true),
            Scanned::Unclosed { next, .. } | Scanned::TooLong { next, .. } => (next, false),
        };
        rest = &rest[next..];
        if row && !cells.is_blank() {
            widths.push(cells.ends.len());
            addresses.push(cells.iter().any(|cell| str::from_utf8(cell).is_ok_and(looks_like_address)));
        }
    }
    if !whole && widths.len() > 1 {
        // The sample may end in the middle of it.
        widths.pop();
        addresses.pop();
    }
    let count = |width: usize| widths.iter().filter(|&&other| other == width).count();
    let usual = widths.iter().copied().max_by_key(|&width| (count(width), width))?;
    if widths.iter().all(|&width| width == 1) {
        return None;
    }
    let thousandths = |part: usize| part * 1000 / widths.len();
    let same = if usual == 1 { 0 } else { thousandths(count(usual)) };
    Some((thousandths(addresses.iter().filter(|&&found| found).count()), same, usual))
}
