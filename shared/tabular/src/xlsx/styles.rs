//! Which number formats make a number a date.

use std::collections::HashMap;

use super::{
    xml::{Node, Xml},
    zip::Zip,
};
use crate::error::ListError;

/// A workbook may define 65,490 cell styles.
const MAX_STYLES: usize = 65_536;

/// How a number is shown, as far as a list needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Shown {
    #[default]
    Number,
    Date,
    Time,
    DateTime,
}

/// What each style (attribute `s` of a cell) shows, in order.
pub(super) fn read(zip: &Zip, part: &str) -> Result<Vec<Shown>, ListError> {
    let (mut own, mut shown) = (HashMap::new(), Vec::new());
    let mut xml = Xml::open(zip, part)?;
    let (mut buffer, mut inside) = (Vec::new(), false);
    loop {
        match xml.next(&mut buffer)? {
            Node::Start(tag) | Node::Empty(tag) => match tag.name() {
                "cellXfs" => inside = true,
                "numFmt" if own.len() < MAX_STYLES => {
                    let id = tag.attribute("numFmtId").and_then(|id| id.parse::<u32>().ok());
                    if let (Some(id), Some(code)) = (id, tag.attribute("formatCode")) {
                        own.insert(id, of_code(&code));
                    }
                }
                "xf" if inside && shown.len() < MAX_STYLES => {
                    let id = tag.attribute("numFmtId").and_then(|id| id.parse::<u32>().ok()).unwrap_or(0);
                    shown.push(own.get(&id).copied().unwrap_or_else(|| of_builtin(id)));
                }
                _ => {}
            },
            Node::Close(name) if name.as_str() == "cellXfs" => inside = false,
            Node::End => return Ok(shown),
            _ => {}
        }
    }
}

/// ECMA-376 part 1, 18.8.30, with the dates of East Asian locales.
fn of_builtin(id: u32) -> Shown {
    match id {
        14..=17 | 27..=31 | 36 | 50..=54 | 57 | 58 => Shown::Date,
        18..=21 | 32..=35 | 45..=47 | 55 | 56 => Shown::Time,
        22 => Shown::DateTime,
        _ => Shown::Number,
    }
}

/// By the letters of a format code that are neither quoted, escaped nor a colour or locale.
fn of_code(code: &str) -> Shown {
    let (mut date, mut time, mut month) = (false, false, false);
    let mut chars = code.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => drop(chars.by_ref().find(|&c| c == '"')),
            '\\' | '_' | '*' => drop(chars.next()),
            '[' => {
                let inside: String = chars.by_ref().take_while(|&c| c != ']').take(32).collect();
                time |= !inside.is_empty()
                    && inside.chars().all(|c| matches!(c, 'h' | 'H' | 'm' | 'M' | 's' | 'S'));
            }
            // The sections after the first are for negative numbers, zero and text.
            ';' => break,
            'y' | 'Y' | 'd' | 'D' => date = true,
            'h' | 'H' | 's' | 'S' => time = true,
            'm' | 'M' => month = true,
            // `General` and the like have other letters.
            'G' | 'g' | 'E' | 'e' | '0' | '#' | '?' if !(date || time) => return Shown::Number,
            _ => {}
        }
    }
    match (date, time) {
        (true, true) => Shown::DateTime,
        (true, false) => Shown::Date,
        (false, true) => Shown::Time,
        (false, false) if month => Shown::Date,
        (false, false) => Shown::Number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_codes_are_told_apart() {
        for (code, shown) in [
            ("General", Shown::Number),
            ("0.00", Shown::Number),
            ("#,##0\\ \"d\"", Shown::Number),
            ("[Red]0", Shown::Number),
            ("yyyy-mm-dd", Shown::Date),
            ("[$-407]d. mmmm yyyy", Shown::Date),
            ("mmm", Shown::Date),
            ("h:mm AM/PM", Shown::Time),
            ("[h]:mm", Shown::Time),
            ("dd/mm/yy hh:mm:ss.000", Shown::DateTime),
        ] {
            assert_eq!(of_code(code), shown, "{code}");
        }
    }
}
