//! Bad files: each ends with a reason, nothing is held or charged, and good rows of a usable list are not lost.

use std::io::{Cursor, Write as _};

use futures::future::join_all;
use serde_json::{Value, json};
use zip::{ZipWriter, write::SimpleFileOptions};

use super::{uploaded, workbook};
use crate::support::{App, run};

/// A file that is no list: its name, octets, hints, and the code and words of the problem.
struct Bad {
    name: &'static str,
    body: Vec<u8>,
    hints: Value,
    code: &'static str,
    says: &'static str,
}

fn bad(name: &'static str, body: impl AsRef<[u8]>, code: &'static str, says: &'static str) -> Bad {
    Bad { name, body: body.as_ref().to_vec(), hints: json!({}), code, says }
}

/// Uploads each as the same customer, who afterwards has what they had before.
async fn refused(cases: Vec<Bad>) {
    let app = App::new().await;
    join_all(cases.iter().map(|case| refuse(&app, case))).await;
    let balance = app.balance().await;
    assert_eq!((balance["available"], balance["held"], balance["spent"]), (10_000, 0, 0));
    let entries = app.all("/v1/account/credits/history", 200).await;
    assert_eq!(entries.len(), 1, "only the grant: {entries:?}");
}

async fn refuse(app: &App, case: &Bad) {
    let task = uploaded(app, case.name, &case.body, case.hints.clone()).await;
    let seen = format!("{} {} {}: {task}", case.name, case.code, case.says);
    assert_eq!(task["state"], "failed", "{seen}");
    assert_eq!(task["problem"]["code"], case.code, "{seen}");
    assert!(task["problem"]["detail"].as_str().unwrap().contains(case.says), "{seen}");
    assert_eq!(task["credits"], json!({ "held": 0, "charged": 0 }), "{seen}");
    assert!(task["finished_at"].is_string(), "{seen}");
    let path = format!("/v1/verification/tasks/{}", task["id"].as_str().unwrap());
    app.get(&format!("{path}/download")).await.problem(409, "wrong-state");
    assert_eq!(app.all(&format!("{path}/jobs"), 200).await, Vec::<Value>::new(), "{seen}");
    let last = app.all(&format!("{path}/events"), 200).await.pop().unwrap();
    assert_eq!(
        (&last["kind"], &last["data"]["code"]),
        (&"verification.task.failed".into(), &case.code.into())
    );
}

fn zipped(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn a_file_that_is_not_what_its_name_says_is_named() {
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x01\0\0\0\x01\0\x08\x06\0\0\0\\r\xa8f";
    let random: Vec<u8> = (0..4096_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let book = workbook(&[&["email"], &["ada@gmail.com"]]);
    let cases = vec![
        bad("contacts.csv", png, "not_what_it_says", "png"),
        bad("contacts.xlsx", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "not_what_it_says", "pdf"),
        bad("contacts.xlsx", zipped(&[("photo.txt", b"hello")]), "not_what_it_says", "zip"),
        bad("contacts.xlsx", "email\nada@gmail.com\n", "not_what_it_says", "text"),
        bad("contacts.csv", "<!DOCTYPE html><html><body>Sign in</body></html>", "not_what_it_says", "html"),
        bad("contacts.csv", &book, "not_what_it_says", "xlsx"),
        bad("contacts.csv", b"\x1f\x8b\x08\0\0\0\0\0\0\x03", "not_what_it_says", "gzip"),
        bad("contacts.txt", r#"[{"email":"ada@gmail.com"}]"#, "not_what_it_says", "json"),
        bad("contacts.tsv", random, "not_what_it_says", "binary"),
        bad("contacts.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0\0\0", "not_what_it_says", "password"),
    ];
    run(refused(cases));
}

#[test]
fn a_list_without_rows_or_addresses_says_so() {
    let hinted = |name, body: &str, hints, code, says| Bad { hints, ..bad(name, body, code, says) };
    let columns = "name,mail\nAda,ada@gmail.com\n";
    let cases = vec![
        bad("blank.csv", "\n\r\n  \n\t\n", "empty", "empty"),
        bad("blank.txt", " ", "empty", "empty"),
        bad("mark.csv", "\u{feff}", "empty", "empty"),
        bad("header.csv", "name,email\n", "only_header", "no rows"),
        bad("header.xlsx", workbook(&[&["name", "email"]]), "only_header", "no rows"),
        bad("empty.xlsx", workbook(&[]), "empty", "empty"),
        bad("cities.csv", "name,city\nAda,Bern\nBob,Rome\n", "no_address_column", "name, city"),
        bad("cities.xlsx", workbook(&[&["name"], &["Ada"]]), "no_address_column", "name"),
        hinted("column.csv", columns, json!({ "column": "Mail 2" }), "unknown_column", "`Mail 2`"),
        hinted("column.csv", columns, json!({ "column": 9 }), "unknown_column", "name, mail"),
        hinted("encoding.csv", columns, json!({ "encoding": "klingon" }), "unknown_encoding", "klingon"),
        hinted("delimiter.csv", columns, json!({ "delimiter": "a" }), "unusable_delimiter", "'a'"),
    ];
    run(refused(cases));
}

#[test]
fn a_workbook_that_is_a_bomb_or_damaged_or_locked_is_refused() {
    let book = workbook(&[&["email"], &["ada@gmail.com"], &["bob@gmail.com"]]);
    let bomb = zipped(&[
        ("[Content_Types].xml", b"<Types/>"),
        ("xl/workbook.xml", b"<workbook/>"),
        ("xl/worksheets/sheet1.xml", &vec![b'0'; 300 << 20]),
    ]);
    assert!(bomb.len() < 500_000, "300 MiB in {} octets", bomb.len());
    // The flag of encryption in every local header and in the directory (APPNOTE 4.4.4, bit 0).
    let mut locked = book.clone();
    for (magic, flags) in [(b"PK\x03\x04", 6), (b"PK\x01\x02", 8)] {
        let starts: Vec<_> = (0..book.len() - 4).filter(|&at| &book[at..at + 4] == magic).collect();
        starts.iter().for_each(|at| locked[at + flags] |= 1);
    }
    let mut scratched = book.clone();
    let sheet = book.windows(24).position(|w| w == b"xl/worksheets/sheet1.xml").unwrap();
    scratched[sheet + 40..sheet + 60].fill(0xff);
    let cases = vec![
        bad("bomb.xlsx", bomb, "decompression", "unpacks to more than"),
        bad("cut.xlsx", &book[..book.len() / 2], "damaged", "damaged"),
        bad("scratched.xlsx", scratched, "damaged", "damaged"),
        bad("locked.xlsx", locked, "encrypted", "password"),
    ];
    run(refused(cases));
}

#[test]
fn what_can_be_refused_before_the_upload_is() {
    run(async {
        let app = App::new().await;
        let wish = async |file_name: &str, size: u64| {
            app.post("/v1/verification/uploads", &json!({ "file_name": file_name, "size": size })).await
        };
        for name in ["contacts.pdf", "contacts", "contacts.csv.exe", ".csv/"] {
            let problem = wish(name, 10).await.problem(422, "unreadable-file");
            assert_eq!(problem["reason"], "unknown_extension", "{name}");
        }
        let problem = wish("contacts.csv", 0).await.problem(422, "unreadable-file");
        assert_eq!(problem["reason"], "empty");
        for (name, limit) in [("contacts.csv", 256 << 20), ("contacts.xlsx", 100 << 20)] {
            let problem = wish(name, limit + 1).await.problem(422, "file-too-large");
            assert_eq!(problem["limit"], limit, "{name}");
            wish(name, limit).await.expect(201);
        }
        for name in ["", "a\nb.csv", &"x".repeat(201)] {
            wish(name, 10).await.problem(400, "invalid-body");
        }
        assert_eq!(
            app.all("/v1/verification/tasks", 200).await.len(),
            2,
            "nothing is left of what was refused"
        );
    });
}

#[test]
fn a_million_and_one_rows_are_too_many() {
    run(async {
        let app = App::new().await;
        let hints = json!({ "column": 1, "has_header": false });
        let task = uploaded(&app, "many.txt", &b"a\n".repeat(1_000_001), hints).await;
        assert_eq!(task["state"], "failed", "{task}");
        assert_eq!(task["problem"]["code"], "too_many_rows", "{task}");
        assert!(task["problem"]["detail"].as_str().unwrap().contains("1000000"), "{task}");
        assert_eq!(task["credits"], json!({ "held": 0, "charged": 0 }));
        assert_eq!(app.balance().await["available"], 10_000);
    });
}

/// `line code` of the reported rows, and `address status` of each row of the download.
async fn outcome(app: &App, task: &Value) -> (Vec<String>, Vec<String>) {
    assert_eq!(task["state"], "completed", "{task}");
    let errors = task["errors"].as_array().unwrap().iter();
    let errors = errors.map(|e| format!("{} {}", e["line"], e["code"].as_str().unwrap())).collect();
    let jobs = app.all(&format!("/v1/verification/tasks/{}/jobs", task["id"].as_str().unwrap()), 200).await;
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let jobs = jobs.iter().map(|j| format!("{} {}", word(&j["email"]), word(&j["status"]))).collect();
    (errors, jobs)
}

#[test]
fn bad_rows_are_reported_by_line_and_the_good_ones_are_verified() {
    run(async {
        let app = App::new().await;
        let long = "x".repeat(1 << 20);
        let body = [
            "name,email,note",
            "Ada,ada@gmail.com,first",
            &long,
            "Bob,bob@gmail.com,after a line of a MiB",
            "short",
            "Cyd,,no address",
            "Dan,dan@gmail.com",
            "Eve,eve@gmail.com,one,two,three",
            "\"Fay,fay@gmail.com,a quote that is never closed",
            "Guy,guy@gmail.com,after it",
            "Hal,h\0al@gmail.com,a NUL",
            "Ivy,ivy@gmail.com,last",
            "",
        ];
        let task = uploaded(&app, "rows.csv", body.join("\n").as_bytes(), json!({})).await;
        let (errors, jobs) = outcome(&app, &task).await;
        assert_eq!(
            errors,
            ["3 line_too_long", "5 too_few_columns", "6 empty_address", "9 unclosed_quote"],
            "{task}"
        );
        let expected = [
            "ada@gmail.com valid",
            " -",
            "bob@gmail.com valid",
            " -",
            " -",
            "dan@gmail.com valid",
            "eve@gmail.com valid",
            " -",
            "guy@gmail.com valid",
            "h\0al@gmail.com invalid",
            "ivy@gmail.com valid",
        ];
        assert_eq!(jobs, expected);
        assert_eq!(task["job_status"], json!({ "queued": 0, "completed": 7, "failed": 4, "cancelled": 0 }));
        assert_eq!(task["credits"], json!({ "held": 0, "charged": 7 }), "bad rows cost nothing");
        assert_eq!(app.balance().await["spent"], 7);
        let csv = app.download(task["id"].as_str().unwrap()).await;
        let lines: Vec<_> = csv.lines().collect();
        assert_eq!(lines.len(), 12, "a line for each row");
        assert!(lines[2].ends_with(",line_too_long"), "{}", lines[2]);
        assert!(lines[4].starts_with("short,,,") && lines[4].ends_with(",too_few_columns"), "{}", lines[4]);
        assert!(lines[7].starts_with("Eve,eve@gmail.com,one,two,three,valid,"), "{}", lines[7]);
    });
}

#[test]
fn a_list_that_is_one_line_of_a_mebibyte_has_no_addresses() {
    let line = "x".repeat(1 << 20);
    run(refused(vec![bad("line.csv", line, "no_address_column", "No column")]));
}

#[test]
fn every_common_encoding_comes_back_as_utf_8() {
    run(async {
        let app = App::new().await;
        let text =
            "name,email\nJosé Muñoz,jose@gmail.com\nFrançois Lefèvre,f@gmail.com\nGünther,g@gmail.com\n";
        let latin: Vec<u8> = text.chars().map(|c| u8::try_from(c).unwrap()).collect();
        let little: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_be_bytes).collect();
        let lone: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (what, body, mark) in [
            ("UTF-8", text.as_bytes().to_vec(), ""),
            ("Latin-1", latin, ""),
            ("UTF-16 LE", little, "\u{feff}"),
            ("UTF-16 BE", big, "\u{feff}"),
            ("UTF-16 LE without a mark", lone, ""),
        ] {
            let task = uploaded(&app, "names.csv", &body, json!({})).await;
            assert_eq!((&task["state"], &task["rows"]), (&"completed".into(), &3.into()), "{what}: {task}");
            let csv = app.download(task["id"].as_str().unwrap()).await;
            let given: Vec<_> =
                csv.lines().map(|l| l.splitn(3, ',').take(2).collect::<Vec<_>>().join(",")).collect();
            let expected: Vec<_> = format!("{mark}{text}").lines().map(str::to_owned).collect();
            assert_eq!(given, expected, "{what}");
        }
    });
}

#[test]
fn a_stray_octet_in_a_utf_8_list_spoils_its_row_alone() {
    run(async {
        let app = App::new().await;
        let mut body = "name,email\nÄnne Øster-Åström,a@gmail.com\nÖzgür Çağrı Şahin,b@gmail.com\n"
            .to_owned()
            .into_bytes();
        body.extend_from_slice(b"Jos\xe9,c@gmail.com\nZo");
        body.extend_from_slice("ë,d@gmail.com\n".as_bytes());
        let task = uploaded(&app, "names.csv", &body, json!({})).await;
        let (errors, jobs) = outcome(&app, &task).await;
        assert_eq!(errors, ["4 invalid_encoding"]);
        assert_eq!(jobs, ["a@gmail.com valid", "b@gmail.com valid", " -", "d@gmail.com valid"]);
        assert_eq!(task["credits"]["charged"], 3);
    });
}
