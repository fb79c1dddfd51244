//! Good files: what was given comes back as it was, in its order, with the results beside it.

use serde_json::{Value, json};

use super::{uploaded, workbook};
use crate::support::{App, run};

const COLUMNS: [&str; 10] = [
    "email_status",
    "email_sub_status",
    "did_you_mean",
    "is_disposable",
    "is_role",
    "is_free",
    "mx_found",
    "mx_host",
    "checked_at",
    "row_error",
];
const GMAIL: &str = "gmail-smtp-in.l.google.com";

/// The lines of a download, each as what was given and the ten results. No result holds a delimiter.
fn taken_apart(csv: &str, delimiter: char, line_end: &str) -> Vec<(String, Vec<String>)> {
    let body = csv.strip_suffix(line_end).unwrap();
    let split = |line: &str| {
        let mut cells: Vec<_> = line.rsplitn(11, delimiter).map(str::to_owned).collect();
        assert_eq!(cells.len(), 11, "{line}");
        let given = cells.pop().unwrap();
        cells.reverse();
        (given, cells)
    };
    body.split(line_end).map(split).collect()
}

/// Uploads four rows in some form and compares what comes back with `expected`, its lines without the results.
async fn comes_back(
    app: &App,
    file_name: &str,
    body: &[u8],
    hints: Value,
    form: (char, &str),
    expected: &[&str],
) {
    let task = uploaded(app, file_name, body, hints).await;
    assert_eq!(task["state"], "completed", "{file_name}: {task}");
    assert_eq!((&task["rows"], &task["file_name"]), (&4.into(), &file_name.into()));
    assert_eq!(task["credits"], json!({ "held": 0, "charged": 3 }), "neither the duplicate twice");
    let csv = app.download(task["id"].as_str().unwrap()).await;
    let lines = taken_apart(&csv, form.0, form.1);
    let given: Vec<_> = lines.iter().map(|(given, _)| given.as_str()).collect();
    assert_eq!(given, expected, "{file_name}");
    assert_eq!(lines[0].1, COLUMNS, "{file_name}");
    let results: Vec<_> = lines[1..].iter().map(|(_, r)| [&r[..8], &r[9..]].concat()).collect();
    let expected = [
        ["valid", "accepts_mail", "", "false", "false", "true", "true", GMAIL, ""],
        ["invalid", "domain_not_found", "bob@gmail.com", "", "", "", "false", "", ""],
        ["valid", "accepts_mail", "", "false", "false", "true", "true", GMAIL, ""],
        ["invalid", "null_mx", "", "false", "false", "false", "false", "", ""],
    ];
    for (row, (found, expected)) in results.iter().zip(expected).enumerate() {
        // Which lists know the mistyped domain is their affair.
        let cells = if row == 1 { 0..3 } else { 0..9 };
        assert_eq!(found[cells.clone()], expected[cells], "{file_name} row {row}");
    }
    assert!(lines[1..].iter().all(|(_, r)| r[8].ends_with('Z')), "{file_name}: every row says when");
}

#[test]
fn every_form_of_text_comes_back_in_its_own_form() {
    run(async {
        let app = App::new().await;
        let plain = [
            "name,mail,note",
            "Ada,ada@gmail.com,x",
            "Bob,bob@gmial.com,y",
            "Cyd,ADA@gmail.com,",
            "Dan,d@example.com,z",
        ];
        for (file_name, delimiter) in [
            ("a.csv", ','),
            ("b.csv", ';'),
            ("c.csv", '\t'),
            ("d.csv", '|'),
            ("e.tsv", '\t'),
            ("f.txt", '\t'),
        ] {
            let lines = plain.map(|line| line.replace(',', &delimiter.to_string()));
            let expected = lines.each_ref().map(String::as_str);
            comes_back(&app, file_name, lines.join("\n").as_bytes(), json!({}), (delimiter, "\n"), &expected)
                .await;
        }
        // A byte order mark, CRLF, quoted cells, cells that a spreadsheet would run, and the column by its number.
        let rich = [
            "\u{feff}name,mail,note",
            "\"Lovelace, Ada\",ada@gmail.com,\"said \"\"hi\"\"\"",
            "Bob,bob@gmial.com,=1+1",
            "Cyd,ADA@gmail.com,-5",
            "Dan,d@example.com,\"=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\"",
            "",
        ];
        let expected = [
            rich[0],
            rich[1],
            "Bob,bob@gmial.com,'=1+1",
            rich[3],
            "Dan,d@example.com,\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\"",
        ];
        comes_back(
            &app,
            "g.csv",
            rich.join("\r\n").as_bytes(),
            json!({ "column": 2 }),
            (',', "\r\n"),
            &expected,
        )
        .await;
        // No header: the columns get names.
        let body = plain[1..].join("\n");
        let expected = ["column_1,email,column_3", plain[1], plain[2], plain[3], plain[4]];
        comes_back(&app, "h.csv", body.as_bytes(), json!({}), (',', "\n"), &expected).await;
        let alone = ["email", "ada@gmail.com", "bob@gmial.com", "ADA@gmail.com", "d@example.com"];
        comes_back(&app, "i.txt", alone[1..].join("\n").as_bytes(), json!({}), (',', "\n"), &alone).await;
        comes_back(&app, "j.txt", alone.join("\n").as_bytes(), json!({}), (',', "\n"), &alone).await;
        let hints = json!({ "delimiter": "|", "has_header": true, "column": "mail", "encoding": "utf-8" });
        let bars = plain.map(|line| line.replace(',', "|"));
        let expected = bars.each_ref().map(String::as_str);
        comes_back(&app, "k.csv", bars.join("\n").as_bytes(), hints, ('|', "\n"), &expected).await;
    });
}

#[test]
fn a_workbook_comes_back_as_csv_with_its_columns_in_order() {
    run(async {
        let app = App::new().await;
        let book = workbook(&[
            &["name", "mail", "note"],
            &["Lovelace, Ada", "ada@gmail.com", "ü"],
            &["Bob", "bob@gmial.com", "+1+1"],
            &["Cyd", "ADA@gmail.com", ""],
            &["Dan", "d@example.com", "two\nlines"],
        ]);
        let task = uploaded(&app, "book.xlsx", &book, json!({})).await;
        let csv = app.download(task["id"].as_str().unwrap()).await;
        let begins = [
            "name,mail,note,",
            "\"Lovelace, Ada\",ada@gmail.com,ü,valid,",
            "Bob,bob@gmial.com,'+1+1,invalid,",
        ];
        let at: Vec<_> =
            begins.iter().map(|b| csv.find(b).unwrap_or_else(|| panic!("{b} in {csv}"))).collect();
        assert!(at.is_sorted() && at[0] == 0, "{csv}");
        assert!(csv.contains("Cyd,ADA@gmail.com,,valid,"), "{csv}");
        assert!(csv.contains("Dan,d@example.com,\"two\nlines\",invalid,null_mx,"), "{csv}");
        assert_eq!(task["credits"], json!({ "held": 0, "charged": 3 }));
    });
}

#[test]
fn an_address_is_verified_once_however_far_apart_its_rows_stand() {
    run(async {
        let app = App::new().await;
        let domains = ["gmail.com", "a.corp.example", "b.down.example", "example.com"];
        let address = |row: usize| {
            let n = row % 3000;
            let text = format!("user{n}@{}", domains[n % 4]);
            if row < 6000 { text } else { text.to_uppercase() }
        };
        let mut body = "no,email\n".to_owned();
        (0..9000).for_each(|row| body.push_str(&format!("{row},{}\n", address(row))));
        let task = uploaded(&app, "far.csv", body.as_bytes(), json!({})).await;
        assert_eq!(task["state"], "completed", "{task}");
        let counts = ["rows", "addresses", "duplicates"].map(|name| task[name].as_u64().unwrap());
        assert_eq!(counts, [9000, 3000, 6000]);
        // A quarter of the addresses is at a domain whose name server fails: unknown, and so not charged.
        assert_eq!(task["credits"], json!({ "held": 0, "charged": 2250 }));
        assert_eq!(
            task["verification_status"],
            json!({ "valid": 4500, "risky": 0, "invalid": 2250, "unknown": 2250 })
        );
        assert_eq!(app.balance().await["spent"], 2250);
        let csv = app.download(task["id"].as_str().unwrap()).await;
        let lines = taken_apart(&csv, ',', "\n");
        assert_eq!(lines.len(), 9001);
        for (row, (given, results)) in lines[1..].iter().enumerate() {
            assert_eq!(*given, format!("{row},{}", address(row)));
            let first = &lines[1 + row % 3000].1;
            assert_eq!((&results[..8], &results[9]), (&first[..8], &first[9]), "row {row}");
        }
        let jobs =
            app.all(&format!("/v1/verification/tasks/{}/jobs", task["id"].as_str().unwrap()), 200).await;
        for (row, job) in jobs.iter().enumerate() {
            let first = (row >= 3000).then_some(row % 3000);
            assert_eq!((&job["row"], &job["duplicate_of"]), (&row.into(), &json!(first)));
        }
        assert_eq!(jobs.len(), 9000);
    });
}
