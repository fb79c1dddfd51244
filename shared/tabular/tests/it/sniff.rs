use tabular::{Format, ListError, sniff};

fn found(name: &str, head: &[u8]) -> &'static str {
    match sniff(name, head) {
        Err(ListError::NotWhatItSays { found }) => found,
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_and_bytes_that_agree_give_the_format() {
    assert_eq!(sniff("a.csv", b"a@x.com").unwrap(), Format::Csv);
    assert_eq!(sniff("my.list.TSV", b"a@x.com\tb").unwrap(), Format::Tsv);
    assert_eq!(sniff("a.txt", b"\xff\xfea\0@\0").unwrap(), Format::Txt);
    assert_eq!(sniff("a.txt", b"a\0@\0x\0.\0c\0o\0m\0").unwrap(), Format::Txt);
    assert_eq!(sniff("a.csv", b"M\xfcller,a@x.com\n\0\n").unwrap(), Format::Csv);
    assert_eq!(sniff("a.xlsx", b"PK\x03\x04").unwrap(), Format::Xlsx);
}

#[test]
fn bytes_that_are_not_what_the_name_says_are_named() {
    assert_eq!(found("a.csv", b"\x89PNG\r\n\x1a\n\0\0"), "png");
    assert_eq!(found("a.csv", b"%PDF-1.7"), "pdf");
    assert_eq!(found("a.txt", b"PK\x03\x04rest"), "zip");
    assert_eq!(found("a.csv", b"PK\x03\x04....[Content_Types].xml"), "xlsx");
    assert_eq!(found("a.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), "xls (old Excel) or password-protected");
    assert_eq!(found("a.csv", b"\xef\xbb\xbf\n<!DOCTYPE html><p>"), "html");
    assert_eq!(found("a.csv", b"[{\"email\":1}]"), "json");
    assert_eq!(found("a.csv", &(0..=255).collect::<Vec<u8>>()), "binary");
    assert_eq!(found("a.xlsx", b"a@x.com"), "text");
}

#[test]
fn an_unknown_extension_and_an_empty_file_are_refused() {
    for name in ["list", "a.xls", "a.ods", ".", ""] {
        assert!(matches!(sniff(name, b"a@x.com"), Err(ListError::UnknownExtension { .. })), "{name}");
    }
    assert!(matches!(sniff("a.csv", b""), Err(ListError::Empty)));
}
