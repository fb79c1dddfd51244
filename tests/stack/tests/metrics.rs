//! Metrics in the log lines, read as CloudWatch reads its embedded format (P17).

use std::collections::BTreeMap;
use std::sync::Arc;

use account::Scope;
use serde_json::{Value, json};

use crate::support::{App, Kept, run, start, until};

/// Adds up what the lines say: metric, dimensions' values → sum. Fails on a line that is not of the format.
fn sums(lines: &[(String, String)]) -> BTreeMap<(String, String), f64> {
    let mut sums = BTreeMap::new();
    for (_, line) in lines {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        if line.get("_aws").is_none() {
            continue;
        }
        assert!(line["_aws"]["Timestamp"].as_u64().is_some_and(|at| at > 1_600_000_000_000), "{line}");
        for set in line["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
            assert_eq!(set["Namespace"], "Piecework");
            for dimensions in set["Dimensions"].as_array().unwrap() {
                let values = dimensions.as_array().unwrap().iter().map(|name| {
                    line[name.as_str().unwrap()]
                        .as_str()
                        .unwrap_or_else(|| panic!("{name} in {line}"))
                        .to_owned()
                });
                let values = values.collect::<Vec<_>>().join(" ");
                for metric in set["Metrics"].as_array().unwrap() {
                    let name = metric["Name"].as_str().unwrap();
                    let value = line[name].as_f64().unwrap_or_else(|| panic!("{name} in {line}"));
                    *sums.entry((values.clone(), name.to_owned())).or_default() += value;
                }
            }
        }
    }
    sums
}

#[test]
fn requests_messages_and_work_are_counted_in_the_log() {
    run(async {
        let kept = Arc::new(Kept::default());
        let sink = Arc::clone(&kept);
        let stack = start(|options| {
            options.log = sink;
            options.env.insert("LOG_FORMAT".to_owned(), "json".to_owned());
        })
        .await;
        let app = App::on(&stack, Scope::EVERYDAY).await;
        let task = app.task(&["ada@gmail.com", "nobody", "bob@gmail.com"]).await;
        app.finished(&task).await;
        app.post("/v1/verify", &json!({ "email": "ada@gmail.com" })).await.expect(200);
        app.get("/v1/account/credits").await.expect(200);
        app.get("/v1/account/credits").await.expect(200);
        app.holding("bad").get("/v1/account/credits").await.problem(401, "unauthenticated");
        let body = json!({ "no": "event of ours" }).to_string();
        let queue = stack.queue_url("UsageQueue").unwrap();
        stack.sqs().send(&queue, &body).await.unwrap();
        let sums = until("all metrics", || async {
            let sums = sums(&kept.lines());
            let there = |name: &str, metric: &str| sums.contains_key(&(name.to_owned(), metric.to_owned()));
            let rejected = sums.get(&("verify-record-usage".to_owned(), "rejected".to_owned())) == Some(&1.0);
            let all = rejected && there("verify-finish-task completed", "tasks");
            (all && sums.get(&("verify-record-usage".to_owned(), "handled".to_owned())) == Some(&2.0))
                .then_some(sums)
        })
        .await;
        stack.stop().await;

        let of = |dimensions: &str, metric: &str| sums[&(dimensions.to_owned(), metric.to_owned())];
        assert_eq!(of("billing-get-credits", "requests"), 3.0);
        assert_eq!(of("billing-get-credits 2xx", "requests"), 2.0);
        assert_eq!(of("billing-get-credits 4xx", "requests"), 1.0);
        assert_eq!(of("billing-get-credits", "errors"), 0.0);
        assert!(of("billing-get-credits", "latency") > 0.0);
        assert_eq!(of("verify-split-list", "handled"), 1.0);
        assert_eq!(of("verify-check-chunk", "handled"), 1.0);
        let finished = |metric: &str| of("verify-finish-task completed", metric);
        assert_eq!([finished("tasks"), finished("valid"), finished("invalid")], [1.0, 2.0, 1.0]);
        assert_eq!(finished("charged"), 3.0);
        let checked = |metric: &str| of("verify-check-address checked", metric);
        assert_eq!([checked("checks"), checked("valid"), checked("charged")], [1.0, 1.0, 1.0]);
    });
}
