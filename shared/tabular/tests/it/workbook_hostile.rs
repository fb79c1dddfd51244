//! Zips that are no workbooks, and workbooks that want to do harm.

use std::io::{Read, Write};

use proptest::prelude::*;
use rust_xlsxwriter::Workbook;
use tabular::{Hints, Limits, ListError, ListReader};
use tempfile::NamedTempFile;
use zip::{CompressionMethod, ZipArchive, ZipWriter, write::SimpleFileOptions};

use super::{
    error, got, row,
    workbook::{read, saved},
};

const TYPES: (&str, &str) = ("[Content_Types].xml", "<Types/>");
const ROOT: (&str, &str) = (
    "_rels/.rels",
    r#"<Relationships><Relationship Id="a" Type="http://x/officeDocument" Target="xl/workbook.xml"/></Relationships>"#,
);
const BOOK: (&str, &str) = (
    "xl/workbook.xml",
    r#"<x:workbook><x:sheets><x:sheet name="S" sheetId="1" r:id="r1"/></x:sheets></x:workbook>"#,
);
const RELS: (&str, &str) = (
    "xl/_rels/workbook.xml.rels",
    r#"<Relationships><Relationship Id="r1" Type="http://x/worksheet" Target="worksheets/sheet1.xml"/>
       <Relationship Id="r2" Type="http://x/sharedStrings" Target="/xl/sharedStrings.xml"/></Relationships>"#,
);

fn zipped(parts: &[(&str, &str)]) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    let mut zip = ZipWriter::new(file.reopen().unwrap());
    for (name, content) in parts {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap();
    file
}

fn with_sheet(sheet: &str, strings: &str) -> NamedTempFile {
    zipped(&[TYPES, ROOT, BOOK, RELS, ("xl/worksheets/sheet1.xml", sheet), ("xl/sharedStrings.xml", strings)])
}

fn bytes_file(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

const SHEET: &str = r#"<x:worksheet><x:sheetData><x:row><x:c t="s"><x:v>0</x:v></x:c><x:c t="inlineStr"><x:is><x:t>b</x:t>
    <x:rPh><x:t>dropped</x:t></x:rPh></x:is></x:c></x:row></x:sheetData></x:worksheet>"#;

#[test]
fn prefixes_missing_references_and_phonetic_runs_are_understood() {
    let strings =
        r#"<sst><si><t xml:space="preserve"> a&#64;</t><rPh sb="0" eb="1"><t>dropped</t></rPh></si></sst>"#;
    let rows = got(read(&with_sheet(SHEET, &strings.replace("&#64;", "&#64;x.com"))).unwrap()).unwrap();
    assert_eq!(rows, [row(1, &[" a@x.com", "b"], " a@x.com")]);
}

#[test]
fn a_zip_that_is_no_workbook_is_not_what_it_says() {
    let found = |parts: &[(&str, &str)]| match error(read(&zipped(parts))) {
        ListError::NotWhatItSays { found } => found,
        other => panic!("{other}"),
    };
    assert_eq!(found(&[("photo.txt", "hello")]), "zip");
    assert_eq!(found(&[TYPES]), "zip");
    assert_eq!(
        found(&[("mimetype", "application/vnd.oasis.opendocument.spreadsheet")]),
        "an OpenDocument file"
    );
    let word = ROOT.1.replace("xl/workbook.xml", "word/document.xml");
    assert_eq!(found(&[TYPES, (ROOT.0, &word)]), "docx");
    let binary = ROOT.1.replace("workbook.xml", "workbook.bin");
    assert_eq!(found(&[TYPES, (ROOT.0, &binary)]), "xlsb (binary workbook)");
}

#[test]
fn a_zip_bomb_is_refused_by_its_directory_alone() {
    let zeros = "0".repeat(40 << 20);
    let file = with_sheet(&format!("<worksheet><sheetData>{zeros}"), "<sst/>");
    assert!(file.as_file().metadata().unwrap().len() < 100_000);
    assert!(matches!(error(read(&file)), ListError::Decompression { limit } if limit == 16 << 20));
    let limits = Limits { max_uncompressed: 1 << 20, max_ratio: 1_000_000, ..Limits::default() };
    let list = ListReader::xlsx(file.path(), &Hints::default(), &limits);
    assert!(matches!(error(list), ListError::Decompression { limit } if limit == 1 << 20));
}

#[test]
fn a_part_that_unpacks_to_more_than_it_declares_is_refused() {
    let file = with_sheet(SHEET, &format!("<sst>{}</sst>", " ".repeat(30 << 20)));
    let mut bytes = Vec::new();
    file.reopen().unwrap().read_to_end(&mut bytes).unwrap();
    // The size in the directory's entry.
    let declared = (30_u32 << 20) + 11;
    let at = bytes.windows(4).rposition(|window| window == declared.to_le_bytes()).unwrap();
    bytes[at..at + 4].copy_from_slice(&1000_u32.to_le_bytes());
    assert!(matches!(error(read(&bytes_file(&bytes))), ListError::Decompression { .. }));
}

#[test]
fn a_directory_of_many_parts_is_refused() {
    // The second needs a zip64 directory.
    for count in [10_001, 66_000] {
        let names: Vec<_> = (0..count).map(|part| part.to_string()).collect();
        let parts: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
        let error = error(read(&zipped(&parts))).to_string();
        assert!(error.contains("too many parts"), "{error}");
    }
}

#[test]
fn zips_inside_a_workbook_are_left_alone() {
    let mut inner = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    inner.start_file("bomb", SimpleFileOptions::default()).unwrap();
    inner.write_all(&vec![0; 20 << 20]).unwrap();
    let inner = inner.finish().unwrap().into_inner();
    let file = NamedTempFile::new().unwrap();
    let mut zip = ZipWriter::new(file.reopen().unwrap());
    for (name, content) in [
        (TYPES.0, TYPES.1.as_bytes()),
        (ROOT.0, ROOT.1.as_bytes()),
        (BOOK.0, BOOK.1.as_bytes()),
        (RELS.0, RELS.1.as_bytes()),
        ("xl/worksheets/sheet1.xml", SHEET.as_bytes()),
        ("xl/sharedStrings.xml", b"<sst><si><t>a@x.com</t></si></sst>"),
        ("xl/embeddings/inner.zip", &inner),
    ] {
        zip.start_file(name, SimpleFileOptions::default().compression_method(CompressionMethod::Stored))
            .unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap();
    assert_eq!(got(read(&file).unwrap()).unwrap(), [row(1, &["a@x.com", "b"], "a@x.com")]);
}

#[test]
fn too_many_bytes_of_shared_strings_are_refused() {
    let strings = format!("<sst>{}</sst>", "<si><t>a@x.com</t></si>".repeat(1000));
    let limits = Limits { max_shared_strings_bytes: 5000, ..Limits::default() };
    let list = ListReader::xlsx(with_sheet(SHEET, &strings).path(), &Hints::default(), &limits);
    assert!(matches!(error(list), ListError::Decompression { limit: 5000 }));
}

#[test]
fn endless_elements_deep_nesting_document_types_and_missing_strings_are_damage() {
    let cell = |text: &str| {
        format!(r#"<worksheet><sheetData><row><c t="str"><v>{text}</v></c></row></sheetData></worksheet>"#)
    };
    for sheet in [
        cell(&"x".repeat(3 << 20)),
        cell(&"<a>".repeat(100)),
        format!("<!DOCTYPE x [<!ENTITY a \"b\">]>{}", cell("&a;")),
        cell("&a;"),
        cell("a@x.com").replace("</row>", "").replace("</sheetData></worksheet>", ""),
        SHEET.replace(">0<", ">7<"),
        SHEET.replace(">0<", ">-1<"),
    ] {
        let error = error(read(&with_sheet(&sheet, "<sst><si><t>a@x.com</t></si></sst>")));
        assert!(matches!(error, ListError::Damaged { .. }), "{error}");
    }
}

#[test]
fn an_encrypted_part_and_a_file_cut_short_are_refused() {
    let file = with_sheet(SHEET, "<sst/>");
    let mut bytes = Vec::new();
    file.reopen().unwrap().read_to_end(&mut bytes).unwrap();
    let mut encrypted = bytes.clone();
    let entries: Vec<_> =
        bytes.windows(4).enumerate().filter(|(_, w)| *w == b"PK\x01\x02").map(|(at, _)| at).collect();
    entries.iter().for_each(|at| encrypted[at + 8] |= 1);
    assert!(matches!(error(read(&bytes_file(&encrypted))), ListError::Encrypted));
    assert!(matches!(error(read(&bytes_file(&bytes[..bytes.len() / 2]))), ListError::Damaged { .. }));
    assert!(matches!(error(read(&bytes_file(b""))), ListError::Empty));
}

fn small_workbook() -> Vec<u8> {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    for line in 0..50 {
        sheet.write(line, 0, format!("a{line}@x.com")).unwrap();
        sheet.write(line, 1, f64::from(line)).unwrap();
    }
    let file = saved(&mut workbook);
    // Stored, so that a changed byte reaches the XML.
    let mut archive = ZipArchive::new(file.reopen().unwrap()).unwrap();
    let mut stored = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for index in 0..archive.len() {
        let mut part = archive.by_index(index).unwrap();
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        stored.start_file(part.name().unwrap().into_owned(), options).unwrap();
        std::io::copy(&mut part, &mut stored).unwrap();
    }
    stored.finish().unwrap().into_inner()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_workbook_with_changed_bytes_is_read_or_refused_without_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        static WHOLE: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(small_workbook);
        let mut bytes = WHOLE.clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(list) = read(&bytes_file(&bytes)) {
            prop_assert!(list.count() <= 60);
        }
    }
}
