use rust_xlsxwriter::{ExcelDateTime, Format as Style, Formula, Workbook};
use tabular::{BadReason, Column, FoundBy, Hints, Limits, ListError, ListReader};
use tempfile::NamedTempFile;

use super::{Got, got, row};

pub(crate) fn saved(workbook: &mut Workbook) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    workbook.save(file.path()).unwrap();
    file
}

pub(crate) fn read(file: &NamedTempFile) -> Result<ListReader, ListError> {
    ListReader::xlsx(file.path(), &Hints::default(), &Limits::default())
}

#[test]
fn strings_numbers_booleans_dates_and_formulas_are_read_as_shown() {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    for (column, name) in ["Email", "n", "ok", "day", "at", "sum", "time"].into_iter().enumerate() {
        sheet.write(0, column as u16, name).unwrap();
    }
    let day = ExcelDateTime::from_ymd(2026, 11, 20).unwrap();
    let at = ExcelDateTime::from_ymd(2026, 11, 20).unwrap().and_hms(8, 30, 0).unwrap();
    let time = ExcelDateTime::from_hms(8, 30, 15).unwrap();
    sheet.write(1, 0, "ada&co@exämple.com").unwrap();
    sheet.write(1, 1, 0.1 + 0.2).unwrap();
    sheet.write(1, 2, true).unwrap();
    sheet.write_with_format(1, 3, &day, &Style::new().set_num_format("dd.mm.yyyy")).unwrap();
    sheet.write_with_format(1, 4, &at, &Style::new().set_num_format("yyyy-mm-dd hh:mm")).unwrap();
    sheet.write_formula(1, 5, Formula::new("=1+2").set_result("3")).unwrap();
    sheet.write_with_format(1, 6, &time, &Style::new().set_num_format("hh:mm:ss")).unwrap();
    let list = read(&saved(&mut workbook)).unwrap();
    assert_eq!(list.layout().sheet.as_deref(), Some("Sheet1"));
    assert_eq!(list.layout().found_by, FoundBy::Name);
    let address = "ada&co@exämple.com";
    let cells = [address, "0.3", "TRUE", "2026-11-20", "2026-11-20 08:30:00", "3", "08:30:15"];
    assert_eq!(got(list).unwrap(), [row(2, &cells, address)]);
}

#[test]
fn sparse_cells_stand_in_their_columns_and_empty_rows_are_skipped() {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    sheet.write(2, 2, "email").unwrap();
    sheet.write(4, 2, "a@x.com").unwrap();
    sheet.write_blank(5, 2, &Style::new().set_bold()).unwrap();
    sheet.write(7, 0, "no address").unwrap();
    sheet.write(8, 2, "b@x.com").unwrap();
    sheet.write(8, 600, "far").unwrap();
    sheet.write(9, 0, " kept ").unwrap();
    sheet.write(9, 2, "c@x.com").unwrap();
    let rows = got(read(&saved(&mut workbook)).unwrap()).unwrap();
    assert_eq!(
        rows,
        [
            row(5, &["", "", "a@x.com"], "a@x.com"),
            Got::Bad(8, BadReason::EmptyAddress),
            Got::Bad(9, BadReason::TooManyColumns { limit: 512 }),
            row(10, &[" kept ", "", "c@x.com"], "c@x.com"),
        ]
    );
}

#[test]
fn runs_of_rich_text_are_joined_and_inline_strings_read() {
    for inline in [false, true] {
        let mut workbook = Workbook::new();
        let sheet = if inline {
            workbook.add_worksheet_with_constant_memory().unwrap()
        } else {
            workbook.add_worksheet()
        };
        let (bold, plain) = (Style::new().set_bold(), Style::new());
        sheet.write(0, 0, "a\"<b>&c\u{1}\n_x000D_").unwrap();
        sheet.write_rich_string(0, 1, &[(&plain, "ada"), (&bold, "@x"), (&plain, ".com ")]).unwrap();
        let rows = got(read(&saved(&mut workbook)).unwrap()).unwrap();
        assert_eq!(
            rows,
            [row(1, &["a\"<b>&c\u{1}\n_x000D_", "ada@x.com "], "ada@x.com ")],
            "inline: {inline}"
        );
    }
}

#[test]
fn the_first_visible_sheet_is_read() {
    let mut workbook = Workbook::new();
    workbook.add_worksheet().set_hidden(true).write(0, 0, "hidden@x.com").unwrap();
    let sheet = workbook.add_worksheet().set_name("Kontakte").unwrap().set_active(true);
    sheet.write(0, 0, "seen@x.com").unwrap();
    workbook.add_worksheet().write(0, 0, "later@x.com").unwrap();
    let list = read(&saved(&mut workbook)).unwrap();
    assert_eq!(list.layout().sheet.as_deref(), Some("Kontakte"));
    assert_eq!(got(list).unwrap(), [row(1, &["seen@x.com"], "seen@x.com")]);
}

#[test]
fn a_row_of_long_cells_is_bad_and_the_next_is_read() {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    sheet.write(0, 0, "email").unwrap();
    for column in 0..3 {
        sheet.write(1, column, "x".repeat(32_767)).unwrap();
    }
    sheet.write(2, 0, "a@x.com").unwrap();
    let rows = got(read(&saved(&mut workbook)).unwrap()).unwrap();
    assert_eq!(
        rows,
        [Got::Bad(2, BadReason::LineTooLong { limit: 65_536 }), row(3, &["a@x.com"], "a@x.com")]
    );
}

#[test]
fn an_empty_sheet_a_header_alone_and_columns_without_addresses_are_refused() {
    let refused = |cells: &[&str]| {
        let mut workbook = Workbook::new();
        let sheet = workbook.add_worksheet();
        for (column, cell) in cells.iter().enumerate() {
            sheet.write(0, column as u16, *cell).unwrap();
        }
        read(&saved(&mut workbook)).err().unwrap()
    };
    assert!(matches!(refused(&[]), ListError::Empty));
    assert!(matches!(refused(&["Name", "E-Mail"]), ListError::OnlyHeader));
    assert!(
        matches!(refused(&["Name", "Phone"]), ListError::NoAddressColumn { columns } if columns == ["Name", "Phone"])
    );
}

#[test]
fn a_given_column_and_the_limit_of_rows_hold_for_workbooks_too() {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    for line in 0..4 {
        sheet.write(line, 0, format!("a{line}@x.com")).unwrap();
        sheet.write(line, 1, format!("b{line}@x.com")).unwrap();
    }
    let file = saved(&mut workbook);
    let hints = Hints { column: Some(Column::Index(2)), ..Hints::default() };
    let limits = Limits { max_rows: 3, ..Limits::default() };
    let mut list = ListReader::xlsx(file.path(), &hints, &limits).unwrap();
    assert!(matches!(list.next(), Some(Ok(tabular::Item::Row(row))) if row.address() == "b0@x.com"));
    assert!(matches!(list.last(), Some(Err(ListError::TooManyRows { limit: 3 }))));
}
