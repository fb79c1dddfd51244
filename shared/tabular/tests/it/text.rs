use std::io::Cursor;

use tabular::{BadReason, Format, Hints, Item, Limits, ListError, ListReader};

use super::{Dribble, Got, csv, error, got, open, open_with, row};

const LIMIT: usize = 65_536;

fn utf16(text: &str, little: bool) -> Vec<u8> {
    text.encode_utf16()
        .flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() })
        .collect()
}

fn invalid(encoding: &str) -> BadReason {
    BadReason::InvalidEncoding { encoding: encoding.into() }
}

#[test]
fn lines_end_with_lf_crlf_or_cr_and_blank_ones_are_counted_and_skipped() {
    for end in ["\n", "\r\n", "\r"] {
        let text = ["email", "", "a@x.com", "  ", ",", "b@x.com", "", "c@x.com"].join(end);
        let rows = csv(text);
        assert_eq!(
            rows,
            [
                row(3, &["a@x.com"], "a@x.com"),
                row(6, &["b@x.com"], "b@x.com"),
                row(8, &["c@x.com"], "c@x.com")
            ]
        );
    }
}

#[test]
fn quoted_cells_hold_delimiters_quotes_and_line_ends() {
    let text =
        "email,note\r\na@x.com,\"one, \"\"two\"\"\r\nthree\"\r\nb@x.com,\"\"\r\n\"c@x.com\"x,5\" pipe\r\n";
    assert_eq!(
        csv(text),
        [
            row(2, &["a@x.com", "one, \"two\"\r\nthree"], "a@x.com"),
            row(4, &["b@x.com", ""], "b@x.com"),
            row(5, &["c@x.comx", "5\" pipe"], "c@x.comx"),
        ]
    );
}

#[test]
fn ragged_rows_are_kept_and_only_a_missing_address_is_bad() {
    let text = "name,email,n\nAda,a@x.com\nBob,b@x.com,1,2,3\nCarl\nDan,,4\n";
    assert_eq!(
        csv(text),
        [
            row(2, &["Ada", "a@x.com"], "a@x.com"),
            row(3, &["Bob", "b@x.com", "1", "2", "3"], "b@x.com"),
            Got::Bad(4, BadReason::TooFewColumns { found: 1, needed: 2 }),
            Got::Bad(5, BadReason::EmptyAddress),
        ]
    );
    let cells = open(text).unwrap().filter_map(|item| match item.unwrap() {
        Item::Bad(bad) => Some(bad.cells),
        Item::Row(_) => None,
    });
    assert_eq!(cells.collect::<Vec<_>>(), [vec!["Carl"], vec!["Dan", "", "4"]]);
}

#[test]
fn an_address_is_given_as_found() {
    assert_eq!(csv("email,n\n a@x.com ,1\n"), [row(2, &[" a@x.com ", "1"], " a@x.com ")]);
}

#[test]
fn a_quote_never_closed_spoils_one_line() {
    let mut text = String::from("email,name\na@x.com,\"Ada\nb@x.com,Bob\n");
    let bad = Got::Bad(2, BadReason::UnclosedQuote { opened_at: 2 });
    assert_eq!(csv(&text), [bad, row(3, &["b@x.com", "Bob"], "b@x.com")]);
    for line in 0..20_000 {
        text.push_str(&format!("c{line}@x.com,C\n"));
    }
    let rows = csv(&text);
    assert_eq!(rows.len(), 20_002);
    assert_eq!(rows[0], Got::Bad(2, BadReason::UnclosedQuote { opened_at: 2 }));
    assert_eq!(rows[20_001], row(20_003, &["c19999@x.com", "C"], "c19999@x.com"));
}

#[test]
fn a_quote_that_a_later_cell_closes_by_opening_spoils_one_line() {
    let text = "name,email\nAda,\"a@x.com\n\"Bob\",\"b@x.com\"\n\"Cy\nl\",\"c@x.com\n\"Dan\",\"d@x.com\"\n";
    assert_eq!(
        csv(text),
        [
            Got::Bad(2, BadReason::UnclosedQuote { opened_at: 2 }),
            row(3, &["Bob", "b@x.com"], "b@x.com"),
            Got::Bad(4, BadReason::UnclosedQuote { opened_at: 5 }),
            row(6, &["Dan", "d@x.com"], "d@x.com"),
        ]
    );
}

#[test]
fn a_list_of_nothing_but_stray_quotes_is_read_in_time() {
    let mut text = String::from("email\n");
    for _ in 0..200_000 {
        text.push_str("\"a\n");
    }
    assert_eq!(csv(text).len(), 200_000);
}

#[test]
fn a_line_of_a_megabyte_is_bad_and_the_rows_after_it_are_read() {
    for long in ["x".repeat(1 << 20), format!("a@x.com,\"{}", "x".repeat(1 << 20)), "\0".repeat(1 << 20)] {
        for end in ["\n", "\r\n", "\r"] {
            let text = ["email,n", "a@x.com,1", &long, "", "b@x.com,2"].join(end);
            assert_eq!(
                csv(text),
                [
                    row(2, &["a@x.com", "1"], "a@x.com"),
                    Got::Bad(3, BadReason::LineTooLong { limit: LIMIT }),
                    row(5, &["b@x.com", "2"], "b@x.com"),
                ]
            );
        }
    }
}

#[test]
fn a_line_of_exactly_the_limit_is_read() {
    let line = |length: usize| format!("a@x.com,{}", "x".repeat(length - 8));
    for end in ["", "\n", "\r\n", "\r"] {
        let rows = csv(format!("email,n\n{}{end}", line(LIMIT)));
        assert!(matches!(&rows[..], [Got::Row(2, cells, _)] if cells[1].len() == LIMIT - 8), "{end:?}");
        let rows = csv(format!("email,n\n{}{end}", line(LIMIT + 1)));
        assert_eq!(rows, [Got::Bad(2, BadReason::LineTooLong { limit: LIMIT })]);
    }
}

#[test]
fn too_many_columns_are_a_bad_row() {
    let text = format!("email,n\na@x.com{}\nb@x.com,1\n", ",x".repeat(600));
    let rows = csv(text);
    assert_eq!(rows[0], Got::Bad(2, BadReason::TooManyColumns { limit: 512 }));
    assert_eq!(rows[1], row(3, &["b@x.com", "1"], "b@x.com"));
}

#[test]
fn more_rows_than_the_limit_end_the_list_when_it_is_passed() {
    let limits = Limits { max_rows: 2, ..Limits::default() };
    let text = |rows| format!("email\n{}", "a@x.com\n".repeat(rows));
    let open =
        |rows| ListReader::text(Cursor::new(text(rows)), Format::Csv, &Hints::default(), &limits).unwrap();
    assert_eq!(got(open(2)).unwrap().len(), 2);
    let mut list = open(3);
    assert!(list.by_ref().take(2).all(|item| item.is_ok()));
    assert!(matches!(list.next(), Some(Err(ListError::TooManyRows { limit: 2 }))));
    assert!(list.next().is_none());
}

#[test]
fn utf_8_utf_16_and_latin_1_give_the_same_rows() {
    let text = "Name;E-Mail\r\nJürgen Groß;j@müller.de\r\n";
    let latin: Vec<u8> = text.chars().map(|c| c as u8).collect();
    let with_mark = format!("\u{feff}{text}");
    for (bytes, encoding, bom) in [
        (text.as_bytes().to_vec(), "UTF-8", false),
        (with_mark.as_bytes().to_vec(), "UTF-8", true),
        (utf16(text, true), "UTF-16LE", false),
        (utf16(text, false), "UTF-16BE", false),
        (utf16(&with_mark, true), "UTF-16LE", true),
        (utf16(&with_mark, false), "UTF-16BE", true),
        (latin, "windows-1252", false),
    ] {
        let list = ListReader::text(
            Dribble(Cursor::new(bytes), 0),
            Format::Csv,
            &Hints::default(),
            &Limits::default(),
        );
        let list = list.unwrap();
        assert_eq!((list.layout().encoding.as_str(), list.layout().bom), (encoding, bom));
        assert_eq!(got(list).unwrap(), [row(2, &["Jürgen Groß", "j@müller.de"], "j@müller.de")]);
    }
}

#[test]
fn a_given_encoding_is_used_unless_a_byte_order_mark_says_otherwise() {
    let hints = |label: &str| Hints { encoding: Some(label.into()), ..Hints::default() };
    let list = open_with(b"email,n\na@x.com,\xb1\n", Format::Csv, &hints("iso-8859-2")).unwrap();
    assert_eq!(got(list).unwrap(), [row(2, &["a@x.com", "ą"], "a@x.com")]);
    let list = open_with("\u{feff}email,n\na@x.com,ą\n", Format::Csv, &hints("iso-8859-2")).unwrap();
    assert_eq!(list.layout().encoding, "UTF-8");
    assert!(matches!(
        error(open_with("a", Format::Csv, &hints("klingon"))),
        ListError::UnknownEncoding { .. }
    ));
}

#[test]
fn a_late_byte_that_is_not_utf_8_is_a_bad_row_and_nothing_is_mangled() {
    let mut bytes = "email,n\né@x.com,é\n".as_bytes().to_vec();
    bytes.extend("a@x.com,1\n".repeat(10_000).bytes());
    bytes.extend(b"b@x.com,\xe9t\xe9\nc@x.com,\xc3\xa9\n");
    // Halves of one character on both sides of a delimiter.
    bytes.extend(b"d@x.com\xc3,\xa9\ne@x.com,5\n");
    let rows = csv(bytes);
    assert_eq!(rows[10_001], Got::Bad(10_003, invalid("UTF-8")));
    assert_eq!(rows[10_002], row(10_004, &["c@x.com", "é"], "c@x.com"));
    assert_eq!(rows[10_003], Got::Bad(10_005, invalid("UTF-8")));
    assert_eq!(rows[10_004], row(10_006, &["e@x.com", "5"], "e@x.com"));
}

#[test]
fn one_wrong_byte_among_many_good_characters_does_not_change_the_encoding() {
    let mut bytes = b"email,n\nz@x.com,\xff\n".to_vec();
    bytes.extend("a@x.com,größer\n".repeat(20).bytes());
    let rows = csv(bytes);
    assert_eq!(rows[0], Got::Bad(2, invalid("UTF-8")));
    assert_eq!(rows[1], row(3, &["a@x.com", "größer"], "a@x.com"));
}

#[test]
fn utf_16_with_a_broken_pair_or_an_odd_end_is_a_bad_row() {
    let mut bytes = utf16("\u{feff}email,n\na@x.com,1\nb@x.com,", true);
    bytes.extend([0x00, 0xd8]);
    bytes.extend(utf16("\nc@x.com,2\nd@x.com,3", true));
    bytes.push(b'x');
    assert_eq!(
        csv(bytes),
        [
            row(2, &["a@x.com", "1"], "a@x.com"),
            Got::Bad(3, invalid("UTF-16LE")),
            row(4, &["c@x.com", "2"], "c@x.com"),
            Got::Bad(5, invalid("UTF-16LE")),
        ]
    );
}

#[test]
fn nuls_are_kept_in_a_cell_and_skipped_as_a_line() {
    let text = "email,n\na@x.com,\0\n\0\0\0\nb@x.com,1\n\x1a";
    assert_eq!(csv(text), [row(2, &["a@x.com", "\0"], "a@x.com"), row(4, &["b@x.com", "1"], "b@x.com")]);
}

#[test]
fn a_reader_that_fails_is_an_error() {
    struct Fails(usize);
    impl std::io::Read for Fails {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            self.0 += 1;
            if self.0 > 40 {
                return Err(std::io::Error::other("connection reset"));
            }
            out.iter_mut().zip(b"aa@x.com\n".iter().cycle()).for_each(|(to, from)| *to = *from);
            Ok(out.len() / 9 * 9)
        }
    }
    let list = ListReader::text(Fails(0), Format::Csv, &Hints::default(), &Limits::default());
    assert!(matches!(error(list), ListError::Io(_)));
}
