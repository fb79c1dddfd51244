//! What was verified, by day and by hour (V10).

use serde_json::{Value, json};

use crate::support::{App, run, until};

#[test]
fn usage_by_day_and_by_hour_equals_what_the_tasks_and_checks_say() {
    run(async {
        let app = App::new().await;
        assert_eq!(app.get("/v1/usage").await.expect(200)["series"], json!([]));
        let begun = jiff::Timestamp::now();
        let mut want = json!({ "valid": 0, "risky": 0, "invalid": 0, "unknown": 0, "charged": 0 });
        let mut add = |counts: &Value, charged: &Value| {
            for status in ["valid", "risky", "invalid", "unknown"] {
                want[status] = json!(want[status].as_u64().unwrap() + counts[status].as_u64().unwrap_or(0));
            }
            want["charged"] = json!(want["charged"].as_u64().unwrap() + charged.as_u64().unwrap());
        };
        for list in [
            ["ada@gmail.com", "info@acme.corp.example", "x@a.down.example", "Ada@gmail.com"],
            ["bob@gmail.com", "no address", "x@nowhere.test", "eve@gmail.com"],
        ] {
            let task = app.finished(&app.task(&list).await).await;
            add(&task["verification_status"], &task["credits"]["charged"]);
        }
        for email in ["ada@gmail.com", "x@a.down.example"] {
            let checked = app.post("/v1/verify", &json!({ "email": email })).await.expect(200);
            add(&json!({ checked["status"].as_str().unwrap(): 1 }), &checked["credits_charged"]);
        }
        let today = begun.strftime("%Y-%m-%d").to_string();
        for query in [format!("from={today}"), format!("from={today}&bucket=hour"), String::new()] {
            let usage = until("all events are counted", || async {
                let usage = app.get(&format!("/v1/usage?{query}")).await.expect(200);
                (usage["charged"] == want["charged"] && usage["total"]["unknown"] == want["unknown"])
                    .then_some(usage)
            })
            .await;
            let mut of_series = json!({ "valid": 0, "risky": 0, "invalid": 0, "unknown": 0, "charged": 0 });
            for point in usage["series"].as_array().unwrap() {
                let start: jiff::Timestamp = point["start"].as_str().unwrap().parse().unwrap();
                assert!(start <= jiff::Timestamp::now(), "{point}");
                for name in ["valid", "risky", "invalid", "unknown", "charged"] {
                    of_series[name] =
                        json!(of_series[name].as_u64().unwrap() + point[name].as_u64().unwrap());
                }
            }
            assert_eq!(of_series, want, "the points add up: {usage}");
            let mut total = usage["total"].clone();
            total["charged"] = usage["charged"].clone();
            assert_eq!(total, want);
        }
        assert_eq!(
            app.balance().await["spent"],
            want["charged"].as_i64().unwrap(),
            "and so does the balance"
        );
        let past = app.get("/v1/usage?from=2026-01-01&to=2026-01-31").await.expect(200);
        assert_eq!((&past["charged"], &past["series"]), (&json!(0), &json!([])));
    });
}
