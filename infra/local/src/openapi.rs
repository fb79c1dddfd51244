//! `piecework openapi`: the OpenAPI document, merged from what the functions say of themselves.

use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value};

use crate::Error;
use crate::functions::{Profile, binary_folder};
use crate::template::model::{Site, Templates};

/// Makes a function print its fragment and end.
const ASK: &str = "PIECEWORK_OPENAPI";

/// The document as text, its keys sorted. The function binaries must have been built.
///
/// # Errors
/// If a binary gives no fragment, or two fragments say different things under one name.
pub fn document(root: &Path, profile: Profile) -> Result<String, Error> {
    let site = Site { stack_name: "piecework".to_owned(), ..Site::default() };
    let model = Templates::load(&root.join("template.yaml"), "piecework")?.model(&site)?;
    let folder = binary_folder(root, profile);
    let mut functions: Vec<&str> = model.routes.iter().map(|r| r.function.as_str()).collect();
    functions.sort_unstable();
    functions.dedup();
    let mut merged = Value::Null;
    for function in functions {
        let failed = |reason: String| Error::OpenApi { function: function.to_owned(), reason };
        let output = Command::new(folder.join(function)).env(ASK, "1").output()?;
        if !output.status.success() {
            return Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        let fragment = serde_json::from_slice(&output.stdout).map_err(|e| failed(e.to_string()))?;
        merge(&mut merged, fragment, "").map_err(failed)?;
    }
    Ok(serde_json::to_string_pretty(&sorted(merged))?)
}

/// Maps and lists unite; anything else must be equal.
fn merge(into: &mut Value, from: Value, place: &str) -> Result<(), String> {
    match (into, from) {
        (into @ Value::Null, from) => *into = from,
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(&key).or_insert(Value::Null), value, &format!("{place}/{key}"))?;
            }
        }
        (Value::Array(into), Value::Array(from)) => {
            into.extend(from.into_iter().filter(|v| !into.contains(v)).collect::<Vec<_>>());
        }
        (into, from) if *into == from => {}
        (into, from) => return Err(format!("{place} is {into} in another function and {from} here")),
    }
    Ok(())
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.into_iter().map(|(k, v)| (k, sorted(v))).collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(Map::from_iter(entries))
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        plain => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fragments_unite_and_a_contradiction_is_named() {
        let mut merged = Value::Null;
        merge(&mut merged, json!({"paths": {"/b": {"get": {}}}, "tags": ["x"]}), "").unwrap();
        merge(&mut merged, json!({"paths": {"/a": {"get": {}}, "/b": {"post": {}}}, "tags": ["x", "y"]}), "")
            .unwrap();
        let expected = r#"{"paths":{"/a":{"get":{}},"/b":{"get":{},"post":{}}},"tags":["x","y"]}"#;
        assert_eq!(sorted(merged.clone()).to_string(), expected);
        let error = merge(&mut merged, json!({"paths": {"/a": {"get": 1}}}), "").unwrap_err();
        assert!(error.starts_with("/paths//a/get"), "{error}");
    }
}
