use std::io::Cursor;

use proptest::prelude::*;
use tabular::{Column, Format, Hints, Item, Limits, ListReader, ListWriter, csv_safe, sniff};

use super::{Dribble, Got, got, open};

/// Bytes that matter to a list more often than by chance.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let telling = prop::sample::select(b"\"\",,;;\t|\n\n\r\r@@..aax\0\xff\xfe\xc3\xa9 =".to_vec());
    prop::collection::vec(prop_oneof![4 => telling, 1 => any::<u8>()], 0..600)
}

fn limits() -> Limits {
    Limits { max_line_bytes: 50, max_columns: 6, max_rows: 100, ..Limits::default() }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic_and_no_row_is_longer_than_the_limit(
        bytes in bytes(), format in prop::sample::select(vec![Format::Csv, Format::Tsv, Format::Txt]),
        has_header in any::<Option<bool>>(), encoding in prop::sample::select(vec![None, Some("utf-16le"), Some("shift_jis"), Some("utf-8")]),
    ) {
        let _ = sniff("a.csv", &bytes);
        let hints = Hints { has_header, column: Some(Column::Index(1)), encoding: encoding.map(str::to_owned), delimiter: None };
        let read = |whole: bool| {
            let cursor = Cursor::new(bytes.clone());
            let list = if whole {
                ListReader::text(cursor, format, &hints, &limits())
            } else {
                ListReader::text(Dribble(cursor, 0), format, &hints, &limits())
            };
            list.map(|list| list.collect::<Vec<_>>())
        };
        match (read(true), read(false)) {
            (Ok(items), Ok(dribbled)) => {
                prop_assert_eq!(format!("{items:?}"), format!("{dribbled:?}"));
                let mut before = 0;
                for item in items.into_iter().flatten() {
                    let line = match &item {
                        Item::Row(row) => {
                            prop_assert!(row.cells().map(str::len).sum::<usize>() <= 50 && row.cells().len() <= 6);
                            row.line()
                        }
                        Item::Bad(bad) => bad.line,
                    };
                    prop_assert!(line > before);
                    before = line;
                }
            }
            (Err(one), Err(other)) => prop_assert_eq!(one.to_string(), other.to_string()),
            _ => prop_assert!(false, "the size of the pieces matters"),
        }
    }

    #[test]
    fn rows_written_are_read_back(
        rows in prop::collection::vec(prop::collection::vec("[a-z\"\n\r,; =\u{e9}@'\t-]{0,8}", 1..5), 1..20),
        delimiter in prop::sample::select(vec![',', ';', '\t', '|']), bom in any::<bool>(), windows in any::<bool>(),
    ) {
        let mut layout = open(if windows { "email\r\na@x.com" } else { "email\na@x.com" }).unwrap().layout().clone();
        layout.delimiter = Some(delimiter);
        let mut writer = ListWriter::new(Vec::new(), &layout, bom).unwrap();
        for row in &rows {
            writer.row(["a@x.com"], row.iter().map(String::as_str)).unwrap();
        }
        let hints = Hints { delimiter: Some(delimiter), has_header: Some(false), ..Hints::default() };
        let written = writer.finish().unwrap();
        let list = ListReader::text(Cursor::new(written), Format::Csv, &hints, &Limits::default()).unwrap();
        let read: Vec<Vec<String>> = got(list).unwrap().into_iter().map(|got| match got {
            Got::Row(_, cells, _) => cells[1..].to_vec(),
            Got::Bad(line, reason) => panic!("line {line}: {reason}"),
        }).collect();
        let safe: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| csv_safe(cell).into_owned()).collect()).collect();
        prop_assert_eq!(read, safe);
    }
}
