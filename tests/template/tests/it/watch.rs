//! `cargo lambda watch` serves the templates' routes.

use std::collections::BTreeSet;

use template_tests::{METADATA, model};

#[test]
fn cargo_lambda_watch_serves_the_templates_routes_and_no_others() {
    let router = METADATA.workspace_metadata["lambda"]["watch"]["router"].as_array().unwrap();
    let served: Vec<(String, String)> = router
        .iter()
        .map(|route| {
            let text = |v: &serde_json::Value| v.as_str().unwrap().to_owned();
            let (path, function) = (text(&route["path"]), text(&route["function"]));
            let methods: Vec<String> = route["methods"].as_array().into_iter().flatten().map(text).collect();
            match (path.as_str(), methods.as_slice()) {
                // `watch` knows no default route; a path that takes the rest, with any method, is one.
                ("/{*rest}", []) => ("$default".to_owned(), function),
                (path, [method]) => (format!("{method} {path}"), function),
                _ => panic!("{path}: one method is wanted, not {methods:?}"),
            }
        })
        .collect();
    let routed: BTreeSet<(String, String)> = model("dev")
        .routes
        .into_iter()
        .map(|r| {
            if r.path == "$default" {
                (r.path, r.function)
            } else {
                (format!("{} {}", r.method, r.path), r.function)
            }
        })
        .collect();
    assert_eq!(served.len(), routed.len(), "a route stands twice in Cargo.toml, or is not there");
    assert_eq!(BTreeSet::from_iter(served), routed, "Cargo.toml, and the templates' routes");
}

#[test]
fn cargo_finds_every_function_where_watch_looks() {
    // `cargo run --bin <function>` looks at the default members, and bare `cargo run` at the one that says what it runs.
    let default: BTreeSet<&str> =
        METADATA.workspace_default_packages().iter().map(|p| p.name.as_str()).collect();
    for function in model("dev").functions {
        assert!(default.contains(function.name.as_str()), "{} is no default member", function.name);
    }
    let runs: Vec<_> =
        METADATA.workspace_default_packages().iter().filter_map(|p| p.default_run.clone()).collect();
    assert_eq!(runs, ["piecework"]);
}
