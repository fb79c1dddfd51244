//! Rows: one string and the ends of the cells in it, two allocations a row whatever its columns.

use crate::error::BadRow;

/// A row with an address in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub(crate) line: u64,
    pub(crate) cells: Cells,
    pub(crate) address: usize,
}

impl Row {
    /// The 1-based line (text) or row (workbook) where the row begins.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The cell of the address column as found: not trimmed.
    pub fn address(&self) -> &str {
        self.cells.get(self.address).unwrap_or_default()
    }

    /// All the cells in their order, as many as the row has.
    pub fn cells(&self) -> impl ExactSizeIterator<Item = &str> {
        self.cells.iter()
    }

    /// The cell at a 0-based index.
    pub fn cell(&self, index: usize) -> Option<&str> {
        self.cells.get(index)
    }
}

/// A row as it comes from a source, before its address is looked for.
pub(crate) enum Record {
    Row { line: u64, cells: Cells },
    Bad(BadRow),
}

/// The cells of a row, end to end in one string.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cells {
    text: String,
    ends: Vec<u32>,
}

impl Cells {
    /// `None` when the bytes, or any one cell, are not UTF-8.
    pub(crate) fn from_raw(raw: RawCells) -> Option<Self> {
        let text = String::from_utf8(raw.bytes).ok()?;
        // Halves of a character on both sides of a delimiter would join to a valid whole.
        raw.ends
            .iter()
            .all(|&end| text.is_char_boundary(end as usize))
            .then_some(Self { text, ends: raw.ends })
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.text.len()
    }

    pub(crate) fn push(&mut self, cell: &str) {
        self.text.push_str(cell);
        self.ends.push(self.text.len() as u32);
    }

    pub(crate) fn get(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)? as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        Some(&self.text[start..end])
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.len()).map(|index| self.get(index).unwrap_or_default())
    }

    pub(crate) fn to_vec(&self) -> Vec<String> {
        self.iter().map(str::to_owned).collect()
    }

    /// Whether no cell holds more than white space and control characters.
    pub(crate) fn is_blank(&self) -> bool {
        blank(self.text.as_bytes())
    }
}

/// The cells of a row before it is known whether they are UTF-8.
#[derive(Debug, Default)]
pub(crate) struct RawCells {
    pub(crate) bytes: Vec<u8>,
    pub(crate) ends: Vec<u32>,
}

impl RawCells {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Adds to the cell at hand.
    pub(crate) fn part(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Ends the cell at hand.
    pub(crate) fn end(&mut self) {
        self.ends.push(self.bytes.len() as u32);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.ends.iter().scan(0, |start, &end| {
            let cell = &self.bytes[*start..end as usize];
            *start = end as usize;
            Some(cell)
        })
    }

    pub(crate) fn is_blank(&self) -> bool {
        blank(&self.bytes)
    }
}

/// White space, NULs a disk left behind, and the end-of-file sign of DOS.
fn blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte <= b' ')
}
