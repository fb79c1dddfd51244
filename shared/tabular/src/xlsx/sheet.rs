//! The rows of a sheet.

use std::{borrow::Cow, path::Path};

use super::{
    Workbook, number,
    strings::{Strings, unescape_controls},
    styles::{self, Shown},
    xml::{Node, Tag, Xml},
    zip::Zip,
};
use crate::{
    error::{BadReason, BadRow, ListError},
    options::Limits,
    row::{Cells, Record},
};

/// A sheet as records. Memory: the strings (see [`Strings`]), the styles, the row at hand and an XML event.
pub(crate) struct SheetSource {
    name: String,
    xml: Xml,
    buffer: Vec<u8>,
    strings: Strings,
    /// Scratch: the shared string at hand.
    shared: Vec<u8>,
    styles: Vec<Shown>,
    from_1904: bool,
    row: Row,
    cell: Cell,
    ended: bool,
    max_line: usize,
    max_columns: usize,
}

/// The row at hand.
#[derive(Default)]
struct Row {
    number: u64,
    cells: Cells,
    /// The column after the last that was seen.
    next: usize,
    bad: Option<BadReason>,
}

/// The cell at hand.
#[derive(Default)]
struct Cell {
    column: usize,
    kind: Kind,
    style: usize,
    text: String,
    /// Within `v`, or within `t` of an inline string.
    inside: bool,
    phonetic: u32,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Kind {
    #[default]
    Number,
    Shared,
    Boolean,
    /// A formula's string, an inline string, an error, an ISO date: shown as it is written.
    Text,
}

impl SheetSource {
    pub(crate) fn open(path: &Path, limits: &Limits) -> Result<Self, ListError> {
        let zip = Zip::open(path, limits)?;
        let workbook = Workbook::find(&zip)?;
        let strings = match workbook.strings.filter(|part| zip.has(part)) {
            Some(part) => Strings::read(&zip, &part, limits)?,
            None => Strings::default(),
        };
        let styles = match workbook.styles.filter(|part| zip.has(part)) {
            Some(part) => styles::read(&zip, &part)?,
            None => Vec::new(),
        };
        Ok(Self {
            name: workbook.sheet_name,
            xml: Xml::open(&zip, &workbook.sheet)?,
            buffer: Vec::new(),
            strings,
            shared: Vec::new(),
            styles,
            from_1904: workbook.from_1904,
            row: Row::default(),
            cell: Cell::default(),
            ended: false,
            max_line: limits.max_line_bytes,
            max_columns: limits.max_columns,
        })
    }

    /// The sheet's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The next row that is not blank.
    pub(crate) fn next(&mut self) -> Result<Option<Record>, ListError> {
        while !self.ended {
            match self.xml.next(&mut self.buffer)? {
                Node::Start(tag) => match tag.name() {
                    "row" => self.row.begin(&tag),
                    "c" => self.cell.begin(&tag, &mut self.row),
                    "v" => self.cell.inside = true,
                    "t" => self.cell.inside = self.cell.phonetic == 0,
                    "rPh" => self.cell.phonetic += 1,
                    _ => {}
                },
                Node::Empty(tag) => match tag.name() {
                    "row" => self.row.begin(&tag),
                    "c" => self.cell.begin(&tag, &mut self.row),
                    "sheetData" => self.drain()?,
                    _ => {}
                },
                Node::Text(text) if self.cell.inside && self.cell.text.len() <= self.max_line => {
                    self.cell.text.push_str(&text);
                }
                Node::Close(name) => match name.as_str() {
                    "v" | "t" => self.cell.inside = false,
                    "rPh" => self.cell.phonetic = self.cell.phonetic.saturating_sub(1),
                    "c" => self.end_cell()?,
                    "row" => {
                        if let Some(record) = self.row.end() {
                            return Ok(Some(record));
                        }
                    }
                    "sheetData" => self.drain()?,
                    _ => {}
                },
                Node::End => return Err(ListError::damaged("a sheet that breaks off")),
                Node::Text(_) | Node::Other => {}
            }
        }
        Ok(None)
    }

    /// Passes over what follows the rows, so that the part's length and checksum are checked too.
    fn drain(&mut self) -> Result<(), ListError> {
        self.ended = true;
        while !matches!(self.xml.next(&mut self.buffer)?, Node::End) {}
        Ok(())
    }

    fn end_cell(&mut self) -> Result<(), ListError> {
        let (text, column) = (self.cell.text.as_str(), self.cell.column);
        if text.is_empty() || self.row.bad.is_some() {
            return Ok(());
        }
        let shown: Cow<'_, str> = match self.cell.kind {
            Kind::Text => unescape_controls(text),
            Kind::Boolean => if text.trim() == "0" { "FALSE" } else { "TRUE" }.into(),
            Kind::Number => {
                let style = self.styles.get(self.cell.style).copied().unwrap_or_default();
                number::text(text, style, self.from_1904).into()
            }
            Kind::Shared => {
                self.shared.clear();
                let found = match text.trim().parse() {
                    Ok(index) => self.strings.get(index, &mut self.shared)?,
                    Err(_) => false,
                };
                if !found {
                    return Err(ListError::damaged("a string that is not there"));
                }
                str::from_utf8(&self.shared)
                    .map_err(|_| ListError::damaged("a string that is not UTF-8"))?
                    .into()
            }
        };
        if shown.is_empty() {
            return Ok(());
        }
        if column >= self.max_columns {
            self.row.bad = Some(BadReason::TooManyColumns { limit: self.max_columns });
        } else if self.row.cells.bytes() + shown.len() > self.max_line {
            self.row.bad = Some(BadReason::LineTooLong { limit: self.max_line });
        } else if column >= self.row.cells.len() {
            while self.row.cells.len() < column {
                self.row.cells.push("");
            }
            self.row.cells.push(&shown);
        } else {
            return Err(ListError::damaged("cells out of order"));
        }
        Ok(())
    }
}

impl Row {
    fn begin(&mut self, tag: &Tag<'_>) {
        let given = tag.attribute("r").and_then(|number| number.parse().ok());
        self.number = given.unwrap_or(0).max(self.number + 1);
        self.cells = Cells::default();
        self.next = 0;
        self.bad = None;
    }

    fn end(&mut self) -> Option<Record> {
        let cells = std::mem::take(&mut self.cells);
        match self.bad.take() {
            Some(reason) => Some(Record::Bad(BadRow { line: self.number, reason, cells: Vec::new() })),
            None if cells.is_blank() => None,
            None => Some(Record::Row { line: self.number, cells }),
        }
    }
}

impl Cell {
    fn begin(&mut self, tag: &Tag<'_>, row: &mut Row) {
        (self.column, self.kind, self.style) = (row.next, Kind::Number, 0);
        for (name, value) in tag.attributes() {
            match name {
                "r" => self.column = column(&value).unwrap_or(row.next),
                "s" => self.style = value.parse().unwrap_or(0),
                "t" => {
                    self.kind = match &*value {
                        "s" => Kind::Shared,
                        "b" => Kind::Boolean,
                        "str" | "inlineStr" | "e" | "d" => Kind::Text,
                        _ => Kind::Number,
                    }
                }
                _ => {}
            }
        }
        row.next = self.column + 1;
        self.text.clear();
        self.inside = false;
        self.phonetic = 0;
    }
}

/// The 0-based column of a reference such as `C5`; a sheet ends at `XFD`.
fn column(reference: &str) -> Option<usize> {
    let mut column = 0;
    for byte in reference.bytes().take_while(u8::is_ascii_alphabetic) {
        column = column * 26 + usize::from(byte.to_ascii_uppercase() - b'A') + 1;
        if column > 16_384 {
            return None;
        }
    }
    column.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::column;

    #[test]
    fn a_reference_names_its_column() {
        for (reference, expected) in [
            ("A1", Some(0)),
            ("C5", Some(2)),
            ("AA10", Some(26)),
            ("XFD1", Some(16_383)),
            ("XFE1", None),
            ("7", None),
        ] {
            assert_eq!(column(reference), expected, "{reference}");
        }
    }
}
