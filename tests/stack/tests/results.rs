//! Tasks and their results: lists, details, pages across chunks, downloads (V3 to V6).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{App, run};

const TASKS: &str = "/v1/verification/tasks";

#[test]
fn tasks_are_listed_newest_first_page_by_page() {
    run(async {
        let app = App::new().await;
        let mut made = Vec::new();
        for n in 0..5 {
            let body = json!({ "emails": ["ada@gmail.com"], "name": format!("list {n}") });
            made.push(app.post(TASKS, &body).await.expect(202)["id"].as_str().unwrap().to_owned());
        }
        made.reverse();
        for id in &made {
            app.finished(id).await;
        }
        for limit in [1, 2, 5, 200] {
            let listed = app.all(TASKS, limit).await;
            let ids: Vec<_> = listed.iter().map(|t| t["id"].as_str().unwrap()).collect();
            assert_eq!(ids, made, "{limit} a page");
        }
        let newest = &app.all(TASKS, 200).await[0];
        assert_eq!(newest["file_name"], "list 4");
        assert_eq!(newest["verification_status"]["valid"], 1);
        assert_eq!(newest["job_status"]["completed"], 1);
        assert_eq!(*newest, app.get(&format!("{TASKS}/{}", made[0])).await.expect(200), "as it is alone");
    });
}

#[test]
fn a_task_before_its_end_shows_its_rows_and_has_no_download() {
    run(async {
        let app = App::new().await;
        let link = app.link(&json!({ "file_name": "a.csv", "size": 23 })).await;
        let id = link["task"]["id"].as_str().unwrap();
        let page = app.get(&format!("{TASKS}/{id}/jobs")).await.expect(200);
        assert_eq!(page, json!({ "data": [], "next_cursor": null }));
        let problem = app.get(&format!("{TASKS}/{id}/download")).await.problem(409, "wrong-state");
        assert_eq!(problem["state"], "awaiting_upload");
    });
}

#[test]
fn every_row_tells_what_was_found_out() {
    run(async {
        let app = App::new().await;
        let id = app.task(&["Info@gmial.com", "ada@mailinator.com", "a b@gmail.com", "ada@slow.test"]).await;
        app.finished(&id).await;
        let jobs = app.all(&format!("{TASKS}/{id}/jobs"), 50).await;
        let members: BTreeSet<_> = jobs[0].as_object().unwrap().keys().map(String::as_str).collect();
        let wanted = "row line state email normalized status sub_status suggestion syntax mx server role disposable \
                      free catch_all duplicate_of error validated_at";
        assert_eq!(members, wanted.split_whitespace().collect());
        assert_eq!(jobs[0]["suggestion"], "Info@gmail.com");
        assert_eq!(jobs[0]["role"], true);
        assert_eq!(jobs[1]["disposable"], true);
        assert_eq!((&jobs[2]["syntax"]["valid"], &jobs[2]["mx"]["found"]), (&json!(false), &Value::Null));
        assert!(jobs[2]["syntax"]["error"].is_string());
        assert_eq!((&jobs[3]["status"], &jobs[3]["mx"]["found"]), (&json!("valid"), &json!(true)));
        for (at, job) in jobs.iter().enumerate() {
            assert_eq!(
                (&job["row"], &job["line"], &job["state"]),
                (&json!(at), &json!(at + 1), &json!("completed"))
            );
            assert!(job["validated_at"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
        }
    });
}

#[test]
fn a_list_of_nine_thousand_rows_keeps_its_order_through_pages_and_in_a_download_by_link() {
    run(async {
        let app = App::new().await;
        let note = "n".repeat(200);
        let mut file = String::from("name,email,note\r\n");
        // Every third row is the one before it again; chunks are 4,000 rows.
        let email =
            |row: usize| format!("user{}@d{}.corp.example", row - usize::from(row % 3 == 2), row % 3 / 2);
        for row in 0..9_000 {
            let email = if row % 3 == 2 { email(row - 1) } else { email(row) };
            file.push_str(&format!("n{row},{email},{note}\r\n"));
        }
        let task = app.finished(&app.upload("large.csv", file.clone()).await).await;
        assert_eq!(task["state"], "completed", "{task}");
        assert_eq!(
            (&task["rows"], &task["addresses"], &task["duplicates"]),
            (&json!(9_000), &json!(6_000), &json!(3_000))
        );
        assert_eq!(task["verification_status"]["valid"], 9_000);
        assert_eq!(task["credits"], json!({ "held": 0, "charged": 6_000 }));
        assert_eq!(app.balance().await["available"], 4_000);
        let id = task["id"].as_str().unwrap();

        // 150 does not divide 4,000: pages end at chunks and go on behind them.
        let jobs = app.all(&format!("{TASKS}/{id}/jobs"), 150).await;
        assert_eq!(jobs.len(), 9_000);
        let lines: Vec<&str> = file.lines().collect();
        for (row, job) in jobs.iter().enumerate() {
            assert_eq!((&job["row"], &job["line"]), (&json!(row), &json!(row + 2)));
            assert_eq!(job["email"], lines[row + 1].split(',').nth(1).unwrap());
            let first = (row % 3 == 2).then(|| row - 1);
            assert_eq!(job["duplicate_of"], json!(first), "{job}");
        }

        let answer = app.get(&format!("{TASKS}/{id}/download")).await;
        assert_eq!(answer.status, 303, "too large to go through the function");
        let csv = app.download(id).await;
        let results: Vec<&str> = csv.lines().collect();
        assert_eq!(results.len(), 9_001);
        for (original, result) in lines.iter().zip(&results) {
            assert!(result.starts_with(&format!("{original},")), "{result}");
        }
    });
}

#[test]
fn a_download_has_the_original_columns_and_defuses_what_a_spreadsheet_would_run() {
    run(async {
        let app = App::new().await;
        let file = "Name;Formula;E-Mail;Amount\r\n\
                    Ada;=1+1;ada@gmail.com;-5\r\n\
                    \"Smith; Bob\";@SUM(A1);bob@gmial.com;+1.5\r\n\
                    Eve;+cmd|' /C calc'!A0;nobody@nowhere.test;\"a \"\"quoted\"\" one\"\r\n";
        let task = app.finished(&app.upload("mixed.csv", file).await).await;
        let answer = app.get(&format!("{TASKS}/{}/download", task["id"].as_str().unwrap())).await;
        assert_eq!(answer.status, 200);
        assert!(answer.header("content-type").unwrap().starts_with("text/csv"));
        let name = format!("attachment; filename=\"{}.csv\"", task["id"].as_str().unwrap());
        assert_eq!(answer.header("content-disposition"), Some(name.as_str()));
        let csv = answer.text();
        let lines: Vec<&str> = csv.split("\r\n").collect();
        assert_eq!(lines.len(), 5, "{csv}");
        assert_eq!(
            lines[0],
            "Name;Formula;E-Mail;Amount;email_status;email_sub_status;did_you_mean;is_disposable;is_role;is_free;\
             mx_found;mx_host;checked_at;row_error"
        );
        assert!(
            lines[1].starts_with("Ada;'=1+1;ada@gmail.com;-5;valid;accepts_mail;;false;false;true;true;"),
            "{csv}"
        );
        let second = "\"Smith; Bob\";'@SUM(A1);bob@gmial.com;+1.5;invalid;domain_not_found;bob@gmail.com;";
        assert!(lines[2].starts_with(second), "{csv}");
        let third =
            "Eve;'+cmd|' /C calc'!A0;nobody@nowhere.test;\"a \"\"quoted\"\" one\";invalid;domain_not_found;;";
        assert!(lines[3].starts_with(third), "{csv}");
    });
}
