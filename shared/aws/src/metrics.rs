//! Metrics in CloudWatch's embedded format: a log line whose event has one of these targets carries an `_aws` member, by which
//! CloudWatch makes metrics of the line's own fields (P17; `docs/decisions/metrics.md`). Every field of a set must be in the event.

use std::sync::LazyLock;

use serde_json::json;

/// An answered request: `requests`, `errors` (5xx), `latency` in milliseconds, by function and `status_class`.
pub const REQUEST: &str = "metrics::request";
/// A message or change dealt with: `handled`, `retried`, `rejected`, `latency` in milliseconds, by function.
pub const MESSAGE: &str = "metrics::message";
/// Work done: `tasks`, `checks`, rows `valid`, `risky`, `invalid` and `unknown`, credits `charged`, by function and `outcome`.
pub const WORK: &str = "metrics::work";

/// The `CloudWatchMetrics` member by target, made on first use.
static SETS: LazyLock<[(&str, String); 3]> = LazyLock::new(|| {
    let set = |further: &[&str], counts: &[&str], latency: bool| {
        let mut dimensions = vec![vec!["function"]];
        dimensions.extend(further.iter().map(|name| vec!["function", *name]));
        let mut metrics: Vec<_> =
            counts.iter().map(|name| json!({ "Name": name, "Unit": "Count" })).collect();
        if latency {
            metrics.push(json!({ "Name": "latency", "Unit": "Milliseconds" }));
        }
        json!([{ "Namespace": "Piecework", "Dimensions": dimensions, "Metrics": metrics }]).to_string()
    };
    let work = ["tasks", "checks", "valid", "risky", "invalid", "unknown", "charged"];
    [
        (REQUEST, set(&["status_class"], &["requests", "errors"], true)),
        (MESSAGE, set(&[], &["handled", "retried", "rejected"], true)),
        (WORK, set(&["outcome"], &work, false)),
    ]
});

/// The `CloudWatchMetrics` member for events of this target.
pub(crate) fn directive(target: &str) -> Option<&'static str> {
    // Most lines are no metrics, and need not look further than this.
    if !target.starts_with("metrics::") {
        return None;
    }
    SETS.iter().find(|(name, _)| *name == target).map(|(_, set)| set.as_str())
}
