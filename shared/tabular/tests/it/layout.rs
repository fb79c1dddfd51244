use tabular::{Column, Format, FoundBy, Hints, Layout, LineEnding, ListError};

use super::{Got, csv, error, got, open, open_with, row};

fn layout(bytes: impl AsRef<[u8]>) -> Layout {
    open(bytes).unwrap().layout().clone()
}

fn by_column(column: Column) -> Hints {
    Hints { column: Some(column), ..Hints::default() }
}

#[test]
fn the_delimiter_is_found_with_quotes_respected() {
    for (text, delimiter) in [
        ("name,email\nAda,a@x.com\n", ','),
        ("name;email\n\"Love, Ada\";a@x.com\n", ';'),
        ("Love, Ada;a@x.com\nBabbage, Charles;c@x.com\n", ';'),
        ("a@x.com\tone, two; three\nb@x.com\tfour, five; six\n", '\t'),
        ("a@x.com|x,y|z\nb@x.com|x|z,y\n", '|'),
        ("a@x.com\nb@x.com\n", ','),
        ("id,name,email\n\n1,\"two\nlines; here\",a@x.com\n", ','),
        ("sep=|\nemail|a,b\na@x.com|1,2\n", '|'),
    ] {
        assert_eq!(layout(text).delimiter, Some(delimiter), "{text}");
    }
}

#[test]
fn a_given_delimiter_wins_and_must_be_able_to_be_one() {
    let hints = |delimiter| Hints { delimiter: Some(delimiter), ..Hints::default() };
    let list = open_with("a@x.com^1,2\nb@x.com^3,4\n", Format::Csv, &hints('^')).unwrap();
    assert_eq!(got(list).unwrap()[0], row(1, &["a@x.com", "1,2"], "a@x.com"));
    for delimiter in ['"', '\n', 'a', '@', 'é'] {
        assert!(matches!(
            error(open_with("a", Format::Csv, &hints(delimiter))),
            ListError::UnusableDelimiter { .. }
        ));
    }
}

#[test]
fn excels_line_that_names_the_separator_is_not_a_row() {
    assert_eq!(csv("sep=;\r\nemail;n\r\na@x.com;1\r\n"), [row(3, &["a@x.com", "1"], "a@x.com")]);
}

#[test]
fn a_header_is_told_from_a_first_row() {
    assert_eq!(layout("email\na@x.com").header, Some(vec!["email".into()]));
    assert_eq!(layout("a@x.com\nb@x.com").header, None);
    assert_eq!(layout("Kontakte,Ort\na@x.com,Ulm").header, Some(vec!["Kontakte".into(), "Ort".into()]));
    assert_eq!(layout("email,owner@x.com\na@x.com,b").header.map(|names| names.len()), Some(2));
    let hints = |has_header| Hints { has_header: Some(has_header), ..Hints::default() };
    let list = open_with("a@x.com\nb@x.com", Format::Csv, &hints(true)).unwrap();
    assert_eq!(got(list).unwrap(), [row(2, &["b@x.com"], "b@x.com")]);
    let list = open_with("nobody\nb@x.com", Format::Csv, &hints(false)).unwrap();
    assert_eq!(got(list).unwrap().len(), 2);
}

#[test]
fn the_address_column_is_found_by_many_names() {
    for name in [
        "email",
        "E-Mail",
        "EMAIL_ADDRESS",
        " mail ",
        "E-Mail Address",
        "emailadresse",
        "Correo",
        "courriel",
        "Customer Email",
        "メールアドレス",
    ] {
        let layout = layout(format!("id,{name}\n1,a@x.com\n"));
        assert_eq!((layout.address_column, layout.found_by), (1, FoundBy::Name), "{name}");
    }
    let two = layout("Work Email,Email\na@x.com,b@x.com\n");
    assert_eq!(two.address_column, 1);
}

#[test]
fn a_named_column_without_addresses_gives_way_to_one_with_them() {
    let layout = layout("mail,email opt-in,contact\nno,yes,a@x.com\nyes,no,b@x.com\n");
    assert_eq!((layout.address_column, layout.found_by), (2, FoundBy::Content));
}

#[test]
fn the_column_with_most_addresses_is_taken_without_names() {
    let found = layout("1,a@x.com,\n2,b@x.com,boss@x.com\n3,c@x.com,\n");
    assert_eq!((found.address_column, found.found_by, found.columns), (1, FoundBy::Content, 3));
    assert_eq!(layout("id,who\n1,Ada <a@x.com>\n").address_column, 1);
}

#[test]
fn a_given_column_is_taken_by_name_or_number() {
    let text = "Email,Second E-Mail\na@x.com,b@x.com\n";
    for column in
        [Column::Name("second email".into()), Column::Name("Second E-Mail".into()), Column::Index(2)]
    {
        let list = open_with(text, Format::Csv, &by_column(column)).unwrap();
        assert_eq!((list.layout().address_column, list.layout().found_by), (1, FoundBy::Given));
        assert_eq!(got(list).unwrap()[0], row(2, &["a@x.com", "b@x.com"], "b@x.com"));
    }
}

#[test]
fn a_given_column_that_does_not_exist_is_an_error_that_lists_the_columns() {
    for column in [Column::Name("address".into()), Column::Index(3), Column::Index(0)] {
        match error(open_with("name,email\nAda,a@x.com", Format::Csv, &by_column(column))) {
            ListError::UnknownColumn { columns, .. } => assert_eq!(columns, ["name", "email"]),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_list_without_addresses_is_an_error_that_lists_the_columns() {
    match error(open("name,phone\nAda,1\n")) {
        ListError::NoAddressColumn { columns } => assert_eq!(columns, ["name", "phone"]),
        other => panic!("{other}"),
    }
    assert!(error(open("name,phone\nAda,1\n")).to_string().contains("name, phone"));
}

#[test]
fn nothing_or_a_header_alone_is_refused() {
    for empty in ["", " ", "\n\r\n\t\n", "\u{feff}", "\u{feff}\n", ",,,\n,,\n", "\"\"\n"] {
        assert!(matches!(error(open(empty)), ListError::Empty), "{empty:?}");
    }
    assert!(matches!(error(open([0xff, 0xfe])), ListError::Empty));
    let blanks = format!("email\n{}", "\n".repeat(400_000));
    for header in ["email", "Name,E-Mail\r\n", &blanks] {
        assert!(matches!(error(open(header)), ListError::OnlyHeader));
    }
}

#[test]
fn a_text_list_is_one_address_a_line_unless_all_lines_have_tabs() {
    let list = open_with("a@x.com\n\"b,c\"@x.com\nd@x.com;e\n", Format::Txt, &Hints::default()).unwrap();
    assert_eq!(list.layout().delimiter, None);
    assert_eq!(got(list).unwrap()[1], row(2, &["\"b,c\"@x.com"], "\"b,c\"@x.com"));
    let list = open_with("Name\tEmail\nAda\ta@x.com\n", Format::Txt, &Hints::default()).unwrap();
    assert_eq!(list.layout().delimiter, Some('\t'));
    assert_eq!(got(list).unwrap(), [row(2, &["Ada", "a@x.com"], "a@x.com")]);
}

#[test]
fn the_line_end_and_the_byte_order_mark_are_remembered() {
    let windows = layout("\u{feff}email\r\na@x.com\r\n");
    assert_eq!((windows.line_ending, windows.bom), (LineEnding::CrLf, true));
    let unix = layout("email\na@x.com\r\n");
    assert_eq!((unix.line_ending, unix.bom), (LineEnding::Lf, false));
}

#[test]
fn a_layout_survives_json() {
    let layout = layout("email;n\na@x.com;1");
    assert_eq!(serde_json::from_str::<Layout>(&serde_json::to_string(&layout).unwrap()).unwrap(), layout);
    let hints: Hints = serde_json::from_str(r#"{"column": 2, "delimiter": ";"}"#).unwrap();
    assert_eq!((hints.column, hints.delimiter), (Some(Column::Index(2)), Some(';')));
}

#[test]
fn bad_first_rows_do_not_hide_the_layout() {
    let text = format!("{}\nemail,n\na@x.com,1\n", "x".repeat(70_000));
    let rows = csv(text);
    assert!(matches!(rows[0], Got::Bad(1, _)));
    assert_eq!(rows[1], row(3, &["a@x.com", "1"], "a@x.com"));
}
