//! `FilterCriteria`: which records a mapping hands on (Lambda developer guide, event filtering). The part of the pattern language
//! that a stream needs: nested members, and per member a list of values, `exists` and `prefix`.

use serde_json::Value;

/// The patterns of a mapping; a record passes if any of them fits, or if there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters(Vec<Value>);

impl Filters {
    /// Reads patterns; says what it cannot do with one.
    pub fn parse(patterns: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let patterns = patterns.into_iter().map(|text| {
            let pattern: Value =
                serde_json::from_str(&text).map_err(|e| format!("filter pattern {text}: {e}"))?;
            check(&pattern)?;
            Ok(pattern)
        });
        patterns.collect::<Result<_, String>>().map(Self)
    }

    /// Whether a record passes.
    pub fn pass(&self, record: &Value) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| fits(pattern, Some(record)))
    }
}

fn check(pattern: &Value) -> Result<(), String> {
    let members = pattern.as_object().ok_or_else(|| format!("filter pattern {pattern} is not an object"))?;
    for value in members.values() {
        match value {
            Value::Object(_) => check(value)?,
            Value::Array(rules) => {
                for rule in rules {
                    let known = match rule {
                        Value::Object(rule) => {
                            rule.len() == 1 && (rule.contains_key("exists") || rule.contains_key("prefix"))
                        }
                        Value::Array(_) => false,
                        _ => true,
                    };
                    if !known {
                        return Err(format!("filter rule {rule} is not supported"));
                    }
                }
            }
            other => return Err(format!("filter pattern has {other} where a list belongs")),
        }
    }
    Ok(())
}

fn fits(pattern: &Value, actual: Option<&Value>) -> bool {
    match pattern {
        Value::Object(members) => {
            members.iter().all(|(name, inner)| fits(inner, actual.and_then(|a| a.get(name))))
        }
        Value::Array(rules) => rules.iter().any(|rule| matches(rule, actual)),
        _ => false,
    }
}

fn matches(rule: &Value, actual: Option<&Value>) -> bool {
    if let Some(exists) = rule.get("exists").and_then(Value::as_bool) {
        return actual.is_some() == exists;
    }
    if let Some(prefix) = rule.get("prefix").and_then(Value::as_str) {
        return actual.and_then(Value::as_str).is_some_and(|text| text.starts_with(prefix));
    }
    actual == Some(rule)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_a_pattern_fits_passes() {
        let pattern = r#"{"eventName":["INSERT"],"dynamodb":{"NewImage":{"type":{"S":["event"]}}}}"#;
        let filters = Filters::parse([pattern.to_owned()]).unwrap();
        let record = |name: &str, kind: &str| json!({"eventName": name, "dynamodb": {"NewImage": {"type": {"S": kind}}}});
        assert!(filters.pass(&record("INSERT", "event")));
        assert!(!filters.pass(&record("MODIFY", "event")));
        assert!(!filters.pass(&record("INSERT", "other")));
        assert!(!filters.pass(&json!({"eventName": "INSERT", "dynamodb": {"NewImage": {}}})));
        assert!(Filters::default().pass(&json!({})));
        let filters = Filters::parse([
            r#"{"a":[{"exists":false}]}"#.to_owned(),
            r#"{"a":[{"prefix":"x"}]}"#.to_owned(),
        ])
        .unwrap();
        assert!(
            filters.pass(&json!({}))
                && filters.pass(&json!({"a": "xy"}))
                && !filters.pass(&json!({"a": "y"}))
        );
    }

    #[test]
    fn what_is_not_supported_is_said() {
        for wrong in ["[]", r#"{"a":"b"}"#, r#"{"a":[{"numeric":[">",1]}]}"#, "{"] {
            assert!(Filters::parse([wrong.to_owned()]).is_err(), "{wrong}");
        }
    }
}
