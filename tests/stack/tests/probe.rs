//! Asking mail servers: switched on, with a stand-in that has a mailbox of every kind (V1, V2).

use account::Scope;
use local::Stack;
use serde_json::{Value, json};

use crate::support::{App, run, start};

/// What `Behaviour::demo` does with a local part at any domain, and all of `@catchall.test`: the address, then status,
/// reason, `catch_all` and credits.
const MAILBOXES: [(&str, &str, &str, Option<bool>, i64); 10] = [
    ("deliverable@deliverable.test", "valid", "mailbox_exists", Some(false), 1),
    ("nobody@deliverable.test", "invalid", "mailbox_not_found", Some(false), 1),
    ("disabled@deliverable.test", "invalid", "mailbox_disabled", None, 1),
    ("full@deliverable.test", "risky", "full_inbox", None, 1),
    ("full-for-now@deliverable.test", "risky", "full_inbox", None, 1),
    ("anyone@catchall.test", "risky", "catch_all", Some(true), 1),
    ("greylisted@deliverable.test", "unknown", "greylisted", None, 0),
    ("blocked@deliverable.test", "unknown", "sender_blocked", None, 0),
    ("closes@deliverable.test", "unknown", "smtp_no_answer", None, 0),
    // Gmail says yes to anything and returns it later, so its yes is none.
    ("deliverable@gmail.com", "valid", "accepts_mail", Some(false), 1),
];
/// Addresses about which no mail server is asked.
const UNASKED: [(&str, &str, &str); 4] = [
    ("deliverable@example.com", "invalid", "null_mx"),
    ("deliverable@nowhere.test", "invalid", "domain_not_found"),
    ("deliverable@a.down.example", "unknown", "dns_server_failure"),
    ("deliverable@@deliverable.test", "invalid", "syntax"),
];

async fn probing() -> (Stack, App) {
    let stack = start(|options| {
        let on = [
            ("SMTP_PROBE", "on"),
            ("SMTP_HELLO", "probe.piecework.test"),
            ("SMTP_FROM", "probe@piecework.test"),
        ];
        options.env.extend(on.map(|(name, value)| (name.to_owned(), value.to_owned())));
    })
    .await;
    let app = App::on(&stack, &[Scope::Verify, Scope::Read, Scope::Credits]).await;
    (stack, app)
}

/// How often the stand-in was asked about each address, random mailboxes left out; and that every client was polite.
fn asked(stack: &Stack, address: &str) -> usize {
    let sessions = stack.smtp().unwrap().sessions();
    for session in &sessions {
        assert_eq!(session.count("DATA"), 0, "{session:?}");
        assert!(!session.pipelined, "{session:?}");
        assert_eq!(session.commands[0], "EHLO probe.piecework.test");
        assert_eq!(session.commands[1], "MAIL FROM:<probe@piecework.test>");
        let closed = session.commands.iter().any(|c| c.contains("<closes@"));
        assert!(session.quit || closed, "{session:?}");
    }
    let command = format!("RCPT TO:<{address}>");
    sessions.iter().filter(|s| s.commands.contains(&command)).count()
}

#[test]
fn a_single_check_tells_what_the_mail_server_says() {
    run(async {
        let (stack, app) = probing().await;
        let check = async |email: &str| app.post("/v1/verify", &json!({ "email": email })).await.expect(200);
        for (email, status, reason, catch_all, credits) in MAILBOXES {
            let found = check(email).await;
            assert_eq!((&found["status"], &found["sub_status"]), (&status.into(), &reason.into()), "{found}");
            assert_eq!(found["catch_all"], json!(catch_all), "{found}");
            assert_eq!(found["credits_charged"], credits, "{found}");
            assert_eq!(asked(&stack, email), 1, "{email}");
        }
        let so_far = stack.smtp().unwrap().sessions().len();
        for (email, status, reason) in UNASKED {
            let found = check(email).await;
            assert_eq!((&found["status"], &found["sub_status"]), (&status.into(), &reason.into()), "{found}");
            assert_eq!(
                (&found["catch_all"], &found["server"]["smtp"]),
                (&Value::Null, &Value::Null),
                "{found}"
            );
        }
        assert_eq!(
            stack.smtp().unwrap().sessions().len(),
            so_far,
            "nobody is asked where the DNS settles it"
        );
        let spent: i64 = MAILBOXES.iter().map(|m| m.4).sum::<i64>() + 3;
        assert_eq!(app.balance().await["spent"], spent, "unknown costs nothing");

        // Greylisting passes: the same question later has an answer, and costs.
        let found = check("greylisted@deliverable.test").await;
        assert_eq!((&found["sub_status"], &found["credits_charged"]), (&"mailbox_exists".into(), &1.into()));
        stack.stop().await;
    });
}

#[test]
fn a_task_asks_about_a_mailbox_once_however_often_it_stands_in_the_list() {
    run(async {
        let (stack, app) = probing().await;
        let mut list: Vec<String> = MAILBOXES.iter().map(|m| m.0.to_owned()).collect();
        list.extend(UNASKED.iter().map(|u| u.0.to_owned()));
        let once = list.len();
        list.extend(MAILBOXES.iter().map(|m| m.0.to_uppercase()));
        list.extend(MAILBOXES.iter().map(|m| format!(" {} ", m.0)));
        let emails: Vec<_> = list.iter().map(String::as_str).collect();
        let id = app.task(&emails).await;
        let task = app.finished(&id).await;
        assert_eq!((&task["state"], &task["duplicates"]), (&"completed".into(), &20.into()), "{task}");
        let charged = MAILBOXES.iter().map(|m| m.4).sum::<i64>() + 3;
        assert_eq!(task["credits"], json!({ "held": 0, "charged": charged }));
        assert_eq!(app.balance().await["spent"], charged);

        let jobs = app.all(&format!("/v1/verification/tasks/{id}/jobs"), 200).await;
        assert_eq!(jobs.len(), list.len());
        for (row, job) in jobs.iter().enumerate() {
            let n = if row < once { row } else { (row - once) % MAILBOXES.len() };
            let Some((email, status, reason, catch_all, _)) = MAILBOXES.get(n) else {
                let (_, status, reason) = UNASKED[n - MAILBOXES.len()];
                assert_eq!((&job["status"], &job["sub_status"]), (&status.into(), &reason.into()), "{job}");
                continue;
            };
            assert_eq!((&job["status"], &job["sub_status"]), (&(*status).into(), &(*reason).into()), "{job}");
            assert_eq!(job["catch_all"], json!(catch_all), "{job}");
            assert_eq!(asked(&stack, email), 1, "{email}");
        }
        let sessions = stack.smtp().unwrap().sessions().len();
        assert_eq!(sessions, MAILBOXES.len(), "and about nothing else");
        stack.stop().await;
    });
}

#[test]
fn a_mailbox_that_stands_in_two_chunks_has_one_answer() {
    run(async {
        let (stack, app) = probing().await;
        // A greylisted mailbox answers differently the second time; rows of no address fill the first chunk.
        let mut list =
            vec!["greylisted@deliverable.test".to_owned(), "deliverable@deliverable.test".to_owned()];
        list.extend((0..4_000).map(|n| format!("nothing {n}")));
        list.extend(list[..2].to_vec());
        let emails: Vec<_> = list.iter().map(String::as_str).collect();
        let id = app.task(&emails).await;
        let task = app.finished(&id).await;
        assert_eq!((&task["state"], &task["duplicates"]), (&"completed".into(), &2.into()), "{task}");
        let jobs = app.all(&format!("/v1/verification/tasks/{id}/jobs"), 200).await;
        for row in [0, 1] {
            let [first, second] =
                [&jobs[row], &jobs[4_002 + row]].map(|j| (&j["status"], &j["sub_status"], &j["catch_all"]));
            assert_eq!(first, second, "row {row}");
        }
        stack.stop().await;
    });
}
