//! The committed API description, and what it says of a path.

use std::sync::OnceLock;

use serde_json::Value;

/// `openapi.json`: made from the functions' own fragments by `cargo run -- openapi`.
pub const OPENAPI: &str = include_str!("../../../openapi.json");

/// A path and the methods that it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    segments: Vec<String>,
    methods: Vec<String>,
}

fn routes() -> &'static [Route] {
    static ROUTES: OnceLock<Vec<Route>> = OnceLock::new();
    ROUTES.get_or_init(|| {
        let document: Value = serde_json::from_str(OPENAPI).unwrap_or_default();
        let paths = document.get("paths").and_then(Value::as_object);
        let segments = |path: &str| path.split('/').map(str::to_owned).collect();
        let methods = |item: &Value| {
            let members =
                item.as_object().map(|m| m.keys().map(|k| k.to_ascii_uppercase()).collect::<Vec<_>>());
            members.unwrap_or_default()
        };
        paths
            .into_iter()
            .flatten()
            .map(|(p, item)| Route { segments: segments(p), methods: methods(item) })
            .collect()
    })
}

/// The methods that `path` takes; empty if there is no such path.
pub fn allowed_methods(path: &str) -> Vec<&'static str> {
    let asked: Vec<&str> = path.split('/').collect();
    let fits = |route: &&Route| {
        route.segments.len() == asked.len()
            && route
                .segments
                .iter()
                .zip(&asked)
                .all(|(ours, theirs)| ours == theirs || (ours.starts_with('{') && !theirs.is_empty()))
    };
    routes().iter().filter(fits).flat_map(|r| r.methods.iter().map(String::as_str)).collect()
}
