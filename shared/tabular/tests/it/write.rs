use tabular::{Format, Hints, Layout, ListWriter, csv_safe};

use super::{csv, open, row};

fn layout(text: &str) -> Layout {
    open(text).unwrap().layout().clone()
}

#[test]
fn cells_that_a_spreadsheet_would_run_get_an_apostrophe() {
    for cell in [
        "=1+1",
        "+cmd|' /C calc'!A0",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        "\rx",
        "\nx",
        "  =1",
        "\u{feff}=1",
        "\u{ff1d}1",
        "-",
        "+49 170 1",
        "-inf",
        "+nan",
    ] {
        assert_eq!(csv_safe(cell), format!("'{cell}"), "{cell:?}");
    }
}

#[test]
fn plain_numbers_and_texts_stay() {
    for cell in ["", "-5", "+1.5", "-1e3", "+491701234567", "a=b", "a@x.com", "1-2", "'=1", " text"] {
        assert_eq!(csv_safe(cell), cell);
    }
}

#[test]
fn a_list_is_written_in_its_own_form_with_results_after_its_columns() {
    let text = "name;email;n\r\nAda;a@x.com\r\n";
    let mut writer = ListWriter::new(Vec::new(), &layout(text), true).unwrap();
    writer.row(["name", "email", "n"], ["status"]).unwrap();
    writer.row(["Ada;\"x\"", "a@x.com"], ["valid"]).unwrap();
    writer.row(["=1", "b@x.com", "1", "more"], ["risky"]).unwrap();
    let written = String::from_utf8(writer.finish().unwrap()).unwrap();
    assert_eq!(
        written,
        "\u{feff}name;email;n;status\r\n\"Ada;\"\"x\"\"\";a@x.com;;valid\r\n'=1;b@x.com;1;more;risky\r\n"
    );
    assert_eq!(csv(&written)[0], row(2, &["Ada;\"x\"", "a@x.com", "", "valid"], "a@x.com"));
}

#[test]
fn a_list_of_single_addresses_is_written_with_commas() {
    let list = super::open_with("a@x.com\nb,c@x.com\n", Format::Txt, &Hints::default()).unwrap();
    let mut writer = ListWriter::new(Vec::new(), list.layout(), false).unwrap();
    writer.row(["b,c@x.com"], ["invalid"]).unwrap();
    writer.row([""], []).unwrap();
    assert_eq!(writer.finish().unwrap(), b"\"b,c@x.com\",invalid\n\"\"\n");
}
