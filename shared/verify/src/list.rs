//! The rows of a list between splitting and checking, and what makes two rows the same address.

use std::collections::HashMap;

use email::EmailAddress;
use piecework_core::sha256;
use serde::{Deserialize, Serialize};
use tabular::{BadReason, Layout};

use crate::{Job, JobState, RowError};

/// Rows that a list can have.
pub const MAX_ROWS: u64 = 1_000_000;
/// Rows of a chunk. A thousand fit into seconds of work; a million rows are 250 chunks.
pub(crate) const CHUNK_ROWS: usize = 4_000;
/// Octets of a chunk's cells, so that wide rows make smaller chunks.
pub(crate) const CHUNK_BYTES: usize = 2 << 20;

/// A row as a chunk object has it, one JSON object a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ListRow {
    /// Its line in the file.
    #[serde(rename = "n")]
    pub line: u64,
    /// Its cells.
    #[serde(rename = "c")]
    pub cells: Vec<String>,
    /// The row where the same address stood first.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub duplicate_of: Option<u64>,
    /// Why it cannot be read.
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    pub bad: Option<BadReason>,
}

impl ListRow {
    /// The address, as found.
    pub fn address(&self, layout: &Layout) -> &str {
        self.cells.get(layout.address_column).map_or("", String::as_str)
    }

    /// The row without a result: not readable, or else in this state.
    pub fn open_job(&self, n: u64, state: JobState, layout: &Layout) -> Job {
        let error = self.bad.as_ref().map(|reason| RowError::new(self.line, reason));
        let state = if error.is_some() { JobState::Failed } else { state };
        let mut job = Job::open(n, self.line, state, self.address(layout));
        job.duplicate_of = self.duplicate_of;
        job.error = error;
        job
    }
}

/// The key by which two texts are the same address: canonical where the syntax holds, else the text without case and the space
/// around it, so that nobody pays twice for one wrong address.
pub(crate) fn same(text: &str) -> [u8; 12] {
    let digest = match EmailAddress::parse(text) {
        Ok(address) => sha256(&[b"a", address.canonical().as_bytes()]),
        Err(_) => sha256(&[b"t", text.trim().to_lowercase().as_bytes()]),
    };
    let mut key = [0; 12];
    key.copy_from_slice(&digest[..12]);
    key
}

/// Remembers where each address stood first. A million addresses take about 50 MB at the most; at 96 bits the chance that two
/// different addresses of such a list meet is below 10⁻¹⁶.
#[derive(Default)]
pub(crate) struct Seen(HashMap<[u8; 12], u32>);

impl Seen {
    /// The earlier row with the same address, or `None` if `row` is the first.
    pub fn first(&mut self, address: &str, row: u64) -> Option<u64> {
        use std::collections::hash_map::Entry;
        match self.0.entry(same(address)) {
            Entry::Occupied(first) => Some(u64::from(*first.get())),
            Entry::Vacant(place) => {
                place.insert(u32::try_from(row).unwrap_or(u32::MAX));
                None
            }
        }
    }
}

/// How many different addresses there are.
pub(crate) fn count_different<'a>(addresses: impl IntoIterator<Item = &'a str>) -> u64 {
    let mut seen = Seen::default();
    addresses.into_iter().filter(|a| seen.first(a, 0).is_none()).count() as u64
}

/// The rows of a chunk object.
pub(crate) fn parse_rows(object: &[u8]) -> Result<Vec<ListRow>, aws::Error> {
    object
        .split(|&b| b == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).map_err(|e| aws::Error::Shape(format!("chunk row: {e}"))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_address_in_other_clothes_is_the_same() {
        let list = [
            "Ann@Example.org",
            "ann@example.org",
            " ann@EXAMPLE.ORG ",
            "bob@example.org",
            "nonsense",
            "nonsense ",
            "Nonsense",
        ];
        assert_eq!(count_different(list), 3);
        let mut seen = Seen::default();
        assert_eq!(seen.first("ann@example.org", 7), None);
        assert_eq!(seen.first("ANN@example.org", 9), Some(7));
    }
}
