//! The reader: a source of records, the layout found in its first rows, and the rows.

use std::{collections::VecDeque, fmt, io::Read, path::Path};

use crate::{
    error::{BadReason, BadRow, ListError},
    layout::{self, Layout, LineEnding},
    options::{Hints, Limits},
    row::{Record, Row},
    sniff::Format,
    text::TextSource,
    xlsx::SheetSource,
};

/// Records looked at before the first is handed out, and the bytes they may take.
const SAMPLE_RECORDS: usize = 200;
const SAMPLE_BYTES: usize = 256 << 10;

/// A row, good or bad, in the order of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A row with an address.
    Row(Row),
    /// A row that cannot be used; it counts as one of [`Limits::max_rows`].
    Bad(BadRow),
}

enum Source {
    Text(TextSource),
    Sheet(Box<SheetSource>),
}

impl Source {
    fn next(&mut self) -> Result<Option<Record>, ListError> {
        match self {
            Self::Text(text) => text.next(),
            Self::Sheet(sheet) => sheet.next(),
        }
    }
}

/// The rows of a list, one after the other. After an error there are no more.
pub struct ListReader {
    source: Source,
    layout: Layout,
    /// Records read to find the layout, to be handed out first.
    pending: VecDeque<Record>,
    rows: u64,
    max_rows: u64,
    done: bool,
}

impl ListReader {
    /// Opens a list of text and reads its first rows. Blank lines, and rows whose cells are all blank, are passed over.
    ///
    /// # Errors
    /// Whatever is wrong with the list as a whole: no rows, no address column, hints that do not fit, I/O.
    pub fn text(
        reader: impl Read + Send + 'static,
        format: Format,
        hints: &Hints,
        limits: &Limits,
    ) -> Result<Self, ListError> {
        let text = TextSource::open(Box::new(reader), format, hints, limits)?;
        Self::open(Source::Text(text), format, hints, limits)
    }

    /// Opens the first visible sheet of a workbook. Empty rows are passed over; empty cells at a row's end are not told
    /// from missing ones. Dates are `2026-11-20`, `2026-11-20 08:30:00` or `08:30:00`; formulas are their saved results.
    ///
    /// # Errors
    /// As [`Self::text`]; further [`ListError::NotWhatItSays`], [`ListError::Decompression`],
    /// [`ListError::Encrypted`] and [`ListError::Damaged`].
    pub fn xlsx(path: &Path, hints: &Hints, limits: &Limits) -> Result<Self, ListError> {
        let sheet = SheetSource::open(path, limits)?;
        Self::open(Source::Sheet(Box::new(sheet)), Format::Xlsx, hints, limits)
    }

    fn open(mut source: Source, format: Format, hints: &Hints, limits: &Limits) -> Result<Self, ListError> {
        let (mut pending, mut bytes) = (VecDeque::new(), 0);
        while pending.len() < SAMPLE_RECORDS && bytes < SAMPLE_BYTES {
            let Some(record) = source.next()? else { break };
            if let Record::Row { cells, .. } = &record {
                bytes += cells.bytes();
            }
            pending.push_back(record);
        }
        let rows: Vec<_> = pending
            .iter()
            .filter_map(|record| match record {
                Record::Row { cells, .. } => Some(cells),
                Record::Bad(_) => None,
            })
            .collect();
        if rows.is_empty() && !pending.is_empty() {
            return Err(ListError::NoAddressColumn { columns: Vec::new() });
        }
        let found = layout::find(&rows, hints)?;
        drop(rows);
        let mut header = None;
        if found.header
            && let Some(at) = pending.iter().position(|record| matches!(record, Record::Row { .. }))
            && let Some(Record::Row { cells, .. }) = pending.remove(at)
        {
            header = Some(cells.to_vec());
            if pending.is_empty() {
                return Err(ListError::OnlyHeader);
            }
        }
        let mut layout = Layout {
            format,
            delimiter: None,
            encoding: "UTF-8".into(),
            bom: false,
            line_ending: LineEnding::CrLf,
            header,
            address_column: found.column,
            found_by: found.by,
            columns: found.columns,
            sheet: None,
        };
        match &source {
            Source::Text(text) => {
                layout.delimiter = text.delimiter.map(char::from);
                layout.encoding = text.encoding().into();
                layout.bom = text.bom();
                layout.line_ending = text.line_ending;
            }
            Source::Sheet(sheet) => layout.sheet = Some(sheet.name().into()),
        }
        Ok(Self { source, layout, pending, rows: 0, max_rows: limits.max_rows, done: false })
    }

    /// What was found in the first rows.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    fn item(&mut self) -> Result<Option<Item>, ListError> {
        let record = match self.pending.pop_front() {
            Some(record) => record,
            None => match self.source.next()? {
                Some(record) => record,
                None => return Ok(None),
            },
        };
        self.rows += 1;
        if self.rows > self.max_rows {
            return Err(ListError::TooManyRows { limit: self.max_rows });
        }
        let (line, cells) = match record {
            Record::Row { line, cells } => (line, cells),
            Record::Bad(bad) => return Ok(Some(Item::Bad(bad))),
        };
        let address = self.layout.address_column;
        let reason = match cells.get(address) {
            Some(cell) if !cell.trim().is_empty() => {
                return Ok(Some(Item::Row(Row { line, cells, address })));
            }
            None if self.layout.format != Format::Xlsx => {
                BadReason::TooFewColumns { found: cells.len(), needed: address + 1 }
            }
            _ => BadReason::EmptyAddress,
        };
        Ok(Some(Item::Bad(BadRow { line, reason, cells: cells.to_vec() })))
    }
}

impl fmt::Debug for ListReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListReader")
            .field("layout", &self.layout)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

impl Iterator for ListReader {
    type Item = Result<Item, ListError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let item = self.item().transpose();
        self.done = !matches!(item, Some(Ok(_)));
        item
    }
}
