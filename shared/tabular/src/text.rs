//! Delimited text as records, through one buffer.

use std::io::Read;

use memchr::memchr2;

use crate::{
    delimiter,
    encoding::Feed,
    error::{BadReason, BadRow, ListError},
    layout::LineEnding,
    options::{Hints, Limits},
    row::{Cells, RawCells, Record},
    scan::{Scanned, line_end, scan},
    sniff::Format,
};

/// A list of text. Memory: the buffer, the decoder's 64 KiB, and the row at hand.
pub(crate) struct TextSource {
    feed: Feed,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    ended: bool,
    /// The number of the line at `start`.
    line: u64,
    pub(crate) delimiter: Option<u8>,
    pub(crate) line_ending: LineEnding,
    max_line: usize,
    max_columns: usize,
}

impl TextSource {
    pub(crate) fn open(
        reader: Box<dyn Read + Send>,
        format: Format,
        hints: &Hints,
        limits: &Limits,
    ) -> Result<Self, ListError> {
        if let Some(asked) = hints.delimiter.filter(|&asked| !delimiter::usable(asked)) {
            return Err(ListError::UnusableDelimiter { asked });
        }
        let feed = Feed::open(reader, hints.encoding.as_deref())?;
        let mut source = Self {
            feed,
            buffer: vec![0; limits.max_line_bytes.saturating_mul(4).max(256 << 10)],
            start: 0,
            end: 0,
            ended: false,
            line: 1,
            delimiter: None,
            line_ending: LineEnding::Lf,
            max_line: limits.max_line_bytes,
            max_columns: limits.max_columns,
        };
        source.refill()?;
        let sample = &source.buffer[..source.end];
        let declared = delimiter::declared(sample).filter(|_| format != Format::Txt);
        let given = hints.delimiter.map(|given| given as u8);
        source.delimiter = given.or(declared.map(|(delimiter, _)| delimiter)).or_else(|| match format {
            Format::Txt => delimiter::regular(sample, source.ended, b'\t').then_some(b'\t'),
            Format::Tsv => Some(delimiter::detect(sample, source.ended).unwrap_or(b'\t')),
            Format::Csv | Format::Xlsx => Some(delimiter::detect(sample, source.ended).unwrap_or(b',')),
        });
        if let Some(at) = memchr2(b'\n', b'\r', sample) {
            source.line_ending = match (sample[at], sample.get(at + 1)) {
                (b'\r', Some(b'\n')) => LineEnding::CrLf,
                _ => LineEnding::Lf,
            };
        }
        if let Some((_, length)) = declared {
            source.start = length;
            source.line = 2;
        }
        Ok(source)
    }

    pub(crate) fn encoding(&self) -> &'static str {
        self.feed.encoding.name()
    }

    pub(crate) fn bom(&self) -> bool {
        self.feed.bom
    }

    /// The next record that is not blank.
    pub(crate) fn next(&mut self) -> Result<Option<Record>, ListError> {
        loop {
            // One byte more than the limit shows that a line is too long, one more that a CR has no LF.
            if self.end - self.start < self.max_line + 2 && !self.ended {
                self.refill()?;
            }
            let mut raw = RawCells::default();
            let text = &self.buffer[self.start..self.end];
            let line = self.line;
            let bad = |reason| Ok(Some(Record::Bad(BadRow { line, reason, cells: Vec::new() })));
            match scan(text, self.delimiter, self.max_line, &mut raw) {
                Scanned::End => return Ok(None),
                Scanned::Row { next, lines } => {
                    self.start += next;
                    self.line += lines;
                    if raw.is_blank() {
                        continue;
                    }
                    if raw.ends.len() > self.max_columns {
                        return bad(BadReason::TooManyColumns { limit: self.max_columns });
                    }
                    let Some(cells) = Cells::from_raw(raw) else {
                        return bad(BadReason::InvalidEncoding { encoding: self.encoding().into() });
                    };
                    return Ok(Some(Record::Row { line, cells }));
                }
                Scanned::Unclosed { opened, next, lines } => {
                    self.start += next;
                    self.line += lines;
                    return bad(BadReason::UnclosedQuote { opened_at: line + opened });
                }
                Scanned::TooLong { next, lines } => {
                    self.start += next;
                    self.line += lines;
                    self.skip_line()?;
                    return bad(BadReason::LineTooLong { limit: self.max_line });
                }
            }
        }
    }

    /// Drops the rest of a line, of whatever length.
    fn skip_line(&mut self) -> Result<(), ListError> {
        self.line += 1;
        loop {
            let text = &self.buffer[self.start..self.end];
            match memchr2(b'\n', b'\r', text) {
                Some(at) if at + 1 < text.len() || self.ended => {
                    self.start += line_end(text, at);
                    return Ok(());
                }
                // A CR at the buffer's end: whether an LF follows is not known yet.
                Some(at) => self.start += at,
                None if self.ended => {
                    self.start = self.end;
                    return Ok(());
                }
                None => self.start = self.end,
            }
            self.refill()?;
        }
    }

    /// Moves what is left to the front and fills the rest.
    fn refill(&mut self) -> Result<(), ListError> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while !self.ended && self.buffer.len() - self.end >= 16 {
            let got = self.feed.read(&mut self.buffer[self.end..])?;
            self.ended = got == 0;
            self.end += got;
        }
        Ok(())
    }
}
