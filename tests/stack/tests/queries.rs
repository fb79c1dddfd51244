//! Query strings that cannot be used.

use serde_json::json;

use crate::support::{App, run};

#[test]
fn a_page_has_1_to_200_rows_on_every_list() {
    run(async {
        let app = App::new().await;
        let task = app.task(&["ada@gmail.com"]).await;
        app.finished(&task).await;
        let lists = [
            "/v1/verification/tasks".to_owned(),
            "/v1/verification/uploads".to_owned(),
            format!("/v1/verification/tasks/{task}/jobs"),
            format!("/v1/verification/tasks/{task}/events"),
            "/v1/account/credits/history".to_owned(),
            "/v1/api-keys".to_owned(),
        ];
        for list in &lists {
            for wrong in ["0", "201", "-1", "1.5", "abc", "", "99999999999", "5&limit=6"] {
                let answer = app.get(&format!("{list}?limit={wrong}")).await;
                assert_eq!(answer.status, 400, "{list}?limit={wrong}: {}", answer.text());
                answer.problem(400, "invalid-query");
            }
            for fine in ["1", "200"] {
                let answer = app.get(&format!("{list}?limit={fine}")).await;
                assert!(matches!(answer.status, 200 | 204), "{list}: {answer:?}");
            }
            let misspelt = app.get(&format!("{list}?limt=5")).await;
            assert_eq!(misspelt.status, 400, "{list}: {}", misspelt.text());
            misspelt.problem(400, "invalid-query");
        }
        let problem = app.get("/v1/verification/tasks?limit=201").await.problem(400, "invalid-query");
        assert_eq!(problem["errors"], json!([{ "pointer": "query:limit", "detail": "must be 1 to 200" }]));
    });
}

#[test]
fn usage_is_asked_for_days_in_order_and_not_too_many() {
    run(async {
        let app = App::new().await;
        for wrong in [
            "bucket=week",
            "bucket=",
            "from=yesterday",
            "from=2026-02-30",
            "from=2026-11-20&to=2026-11-19",
            "from=2025-01-01&to=2026-11-20",
            "bucket=hour&from=2026-10-01&to=2026-11-20",
            "to=-009999-01-01",
            "form=2026-11-01",
            "from=2026-11-01&from=2026-11-02",
        ] {
            let answer = app.get(&format!("/v1/usage?{wrong}")).await;
            assert_eq!(answer.status, 400, "{wrong}: {}", answer.text());
            answer.problem(400, "invalid-query");
        }
        let problem = app.get("/v1/usage?from=2026-11-20&to=2026-11-19").await.problem(400, "invalid-query");
        assert_eq!(problem["errors"][0]["pointer"], "query:from");
        let longest = app.get("/v1/usage?from=2024-01-01&to=2024-12-31").await.expect(200);
        assert_eq!((&longest["from"], &longest["to"]), (&json!("2024-01-01"), &json!("2024-12-31")));
        app.get("/v1/usage?bucket=hour&from=2026-10-01&to=2026-10-31").await.expect(200);
    });
}
