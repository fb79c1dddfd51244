//! Listing keys in byte order, folded at a delimiter.

use rusqlite::params;

use super::{Store, require_bucket};
use crate::error::Error;

/// What to list.
pub(crate) struct Listing {
    pub(crate) bucket: String,
    pub(crate) prefix: String,
    pub(crate) delimiter: Option<String>,
    /// The first key to consider, as bytes.
    pub(crate) from: Vec<u8>,
    /// Keys and common prefixes together.
    pub(crate) max: usize,
}

/// An object in a listing.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) size: u64,
    pub(crate) etag: String,
    pub(crate) modified: i64,
}

/// One page of a listing.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) entries: Vec<Entry>,
    pub(crate) prefixes: Vec<String>,
    /// Where the next page starts, if there is more.
    pub(crate) next: Option<Vec<u8>>,
    /// The last key or prefix of this page.
    pub(crate) last: Option<String>,
}

impl Store {
    /// One page. A common prefix costs one look-up however many keys it hides.
    pub(crate) fn list(&self, listing: &Listing) -> Result<Page, Error> {
        let Listing { bucket, prefix, delimiter, from, max } = listing;
        let delimiter = delimiter.as_deref().filter(|delimiter| !delimiter.is_empty());
        let index = self.index();
        require_bucket(&index, bucket)?;
        let end = if prefix.is_empty() { vec![0xff] } else { successor(prefix.as_bytes()) };
        let mut from = from.clone().max(prefix.as_bytes().to_vec());
        let mut page = Page::default();
        if *max == 0 {
            return Ok(page);
        }
        let mut select = index.prepare_cached(
            "SELECT key, size, etag, modified FROM objects
             WHERE bucket = ?1 AND key >= ?2 AND key < ?3 ORDER BY key LIMIT ?4",
        )?;
        'pages: loop {
            let wanted = max - page.entries.len() - page.prefixes.len();
            let mut rows = select.query(params![bucket, from, end, wanted as i64 + 1])?;
            while let Some(row) = rows.next()? {
                let key: Vec<u8> = row.get(0)?;
                if page.entries.len() + page.prefixes.len() == *max {
                    page.next = Some(from);
                    break 'pages;
                }
                let key = String::from_utf8_lossy(&key).into_owned();
                let rest = &key[prefix.len()..];
                if let Some((folded, delimiter)) = delimiter.and_then(|d| rest.find(d).map(|at| (at, d))) {
                    let folded = key[..prefix.len() + folded + delimiter.len()].to_owned();
                    from = successor(folded.as_bytes());
                    page.last = Some(folded.clone());
                    page.prefixes.push(folded);
                    // On to the first key that this prefix does not hide.
                    continue 'pages;
                }
                from = [key.as_bytes(), b"\0"].concat();
                page.last = Some(key.clone());
                page.entries.push(Entry { key, size: row.get(1)?, etag: row.get(2)?, modified: row.get(3)? });
            }
            break;
        }
        Ok(page)
    }
}

/// The least byte string greater than every string that starts with `prefix`, which is UTF-8, not empty, and so
/// never ends in 0xff.
pub(crate) fn successor(prefix: &[u8]) -> Vec<u8> {
    let mut next = prefix.to_vec();
    if let Some(last) = next.last_mut() {
        *last = last.saturating_add(1);
    }
    next
}
