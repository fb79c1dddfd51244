//! Workbooks (ECMA-376, Office Open XML), streamed.
//!
//! Why not `calamine`: it holds a workbook's shared strings in one `Vec<String>` without a bound, so that memory follows
//! the input, and it has no limit on what a zip unpacks to. Here a zip's directory is checked before anything is unpacked,
//! parts are inflated as they are read and never beyond their declared size, shared strings go to disk beyond 16 MiB, and
//! one XML event takes about 1 MiB at most. Of a workbook only the relationships, the workbook part, styles, strings and
//! one sheet are read; what else the zip holds, zips in it too, is never unpacked.

mod number;
mod sheet;
mod strings;
mod styles;
mod xml;
mod zip;

pub(crate) use sheet::SheetSource;

use std::collections::HashMap;

use crate::error::ListError;
use xml::{Node, Xml};
use zip::Zip;

/// Where a workbook keeps what is read from it.
struct Workbook {
    sheet: String,
    sheet_name: String,
    strings: Option<String>,
    styles: Option<String>,
    /// Days count from 1904, as on old Macs.
    from_1904: bool,
}

impl Workbook {
    /// Follows the relationships from the package's root. A zip that is no workbook is not what its name says.
    fn find(zip: &Zip) -> Result<Self, ListError> {
        let other = |found| ListError::NotWhatItSays { found };
        if !zip.has("[content_types].xml") {
            let found = if zip.has("mimetype") { "an OpenDocument file" } else { "zip" };
            return Err(other(found));
        }
        let root = relationships(zip, "_rels/.rels", "")?;
        let workbook =
            root.into_values().find(|(kind, _)| kind.ends_with("/officeDocument")).map(|(_, part)| part);
        let workbook = match workbook {
            Some(part) if part.ends_with("workbook.bin") => return Err(other("xlsb (binary workbook)")),
            Some(part) if part.starts_with("word/") => return Err(other("docx")),
            Some(part) if part.starts_with("ppt/") => return Err(other("pptx")),
            Some(part) => part,
            None if zip.has("xl/workbook.xml") => "xl/workbook.xml".into(),
            None => return Err(other("zip")),
        };
        let (folder, file) = workbook.rsplit_once('/').unwrap_or(("", &workbook));
        let parts = relationships(zip, &format!("{folder}/_rels/{file}.rels"), folder)?;
        let of_kind =
            |end: &str| parts.values().find(|(kind, _)| kind.ends_with(end)).map(|(_, part)| part.clone());
        let (strings, styles) = (of_kind("/sharedStrings"), of_kind("/styles"));
        let (mut from_1904, mut sheet) = (false, None);
        let mut xml = Xml::open(zip, &workbook)?;
        let mut buffer = Vec::new();
        loop {
            match xml.next(&mut buffer)? {
                Node::Start(tag) | Node::Empty(tag) => match tag.name() {
                    "workbookPr" => {
                        from_1904 = tag.attribute("date1904").is_some_and(|is| is == "1" || is == "true")
                    }
                    "sheet"
                        if sheet.is_none()
                            && tag.attribute("state").is_none_or(|state| state == "visible") =>
                    {
                        let part = tag.attribute("id").and_then(|id| parts.get(id.as_ref()));
                        if let Some((_, part)) = part.filter(|(kind, _)| kind.ends_with("/worksheet")) {
                            sheet =
                                Some((part.clone(), tag.attribute("name").unwrap_or_default().into_owned()));
                        }
                    }
                    _ => {}
                },
                Node::End => break,
                _ => {}
            }
        }
        let (sheet, sheet_name) = sheet.ok_or_else(|| ListError::damaged("no visible sheet"))?;
        Ok(Self { sheet, sheet_name, strings, styles, from_1904 })
    }
}

/// Relationship ids to kind (a URI) and part.
fn relationships(
    zip: &Zip,
    part: &str,
    folder: &str,
) -> Result<HashMap<String, (String, String)>, ListError> {
    let mut found = HashMap::new();
    if !zip.has(part) {
        return Ok(found);
    }
    let mut xml = Xml::open(zip, part)?;
    let mut buffer = Vec::new();
    loop {
        match xml.next(&mut buffer)? {
            Node::Start(tag) | Node::Empty(tag) if tag.name() == "Relationship" && found.len() < 10_000 => {
                if let (Some(id), Some(kind), Some(target)) =
                    (tag.attribute("Id"), tag.attribute("Type"), tag.attribute("Target"))
                {
                    found.insert(id.into_owned(), (kind.into_owned(), resolve(folder, &target)));
                }
            }
            Node::End => return Ok(found),
            _ => {}
        }
    }
}

/// A relationship's target as a part name: absolute, or relative to the folder of the part it belongs to.
fn resolve(folder: &str, target: &str) -> String {
    let path = match target.strip_prefix('/') {
        Some(absolute) => absolute.to_owned(),
        None => format!("{folder}/{target}"),
    };
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::resolve;

    #[test]
    fn a_target_is_relative_to_its_part_or_absolute() {
        assert_eq!(resolve("xl", "worksheets/sheet1.xml"), "xl/worksheets/sheet1.xml");
        assert_eq!(resolve("xl", "/xl/worksheets/sheet1.xml"), "xl/worksheets/sheet1.xml");
        assert_eq!(resolve("xl/a", "../../../b.xml"), "b.xml");
    }
}
