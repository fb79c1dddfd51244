//! The real-time check of one address (V1).

use serde_json::{Value, json};

use crate::support::{App, run};

async fn check(app: &App, email: &str) -> Value {
    app.post("/v1/verify", &json!({ "email": email })).await.expect(200)
}

#[test]
fn each_kind_of_address_gets_its_status_and_only_what_is_known_is_charged() {
    run(async {
        let app = App::new().await;
        let mut spent = 0;
        for (email, status, sub_status) in [
            ("ada@gmail.com", "valid", "accepts_mail"),
            ("ada@acme.corp.example", "valid", "accepts_mail"),
            ("info@acme.corp.example", "risky", "role"),
            ("ada@gmial.com", "invalid", "domain_not_found"),
            ("ada@mailinator.com", "risky", "disposable"),
            ("ada@only-a.test", "risky", "no_mx"),
            ("no address", "invalid", "syntax"),
            ("", "invalid", "syntax"),
            ("ada@nowhere.test", "invalid", "domain_not_found"),
            ("ada@nullmx.test", "invalid", "null_mx"),
            ("ada@empty.test", "invalid", "no_mail_records"),
            ("ada@mx-localhost.test", "invalid", "unusable_mx"),
            ("ada@servfail.test", "unknown", "dns_server_failure"),
        ] {
            let checked = check(&app, email).await;
            assert_eq!(
                (&checked["status"], &checked["sub_status"]),
                (&json!(status), &json!(sub_status)),
                "{checked}"
            );
            assert_eq!(checked["email"], email);
            let charged = i64::from(status != "unknown");
            assert_eq!(checked["credits_charged"], charged, "{checked}");
            spent += charged;
        }
        let balance = app.balance().await;
        assert_eq!((balance["spent"], balance["held"]), (spent, 0));
        assert!(app.all("/v1/verification/tasks", 50).await.is_empty(), "a check is no task");
    });
}

#[test]
fn a_check_tells_everything_that_was_found_out() {
    run(async {
        let app = App::new().await;
        let found = check(&app, "Info@gmial.com").await;
        assert_eq!(found["suggestion"], "Info@gmail.com");
        assert_eq!(found["normalized"], "Info@gmial.com");
        let found = check(&app, "sales@BÜCHER.corp.example").await;
        assert_eq!(found["syntax"]["domain"], "xn--bcher-kva.corp.example");
        assert_eq!(found["syntax"]["domain_unicode"], "bücher.corp.example");
        assert_eq!(
            (&found["role"], &found["free"], &found["disposable"]),
            (&json!(true), &json!(false), &json!(false))
        );
        assert_eq!(found["status"], "risky", "{found}");
        assert_eq!(found["mx"]["host"], "mx1.hosting.example");
        assert_eq!(found["mx"]["hosts"], 2);
        assert_eq!(found["catch_all"], Value::Null, "no mail server was asked");
        let found = check(&app, "ada@gmail.com").await;
        assert_eq!((&found["free"], &found["server"]["provider"]), (&json!(true), &found["mx"]["provider"]));
        assert!(found["validated_at"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    });
}
