//! Identity policies: which action on which resource a function may take.
//!
//! Evaluated as IAM does for one account ("Policy evaluation logic" in the IAM guide): an explicit Deny wins, else an Allow is needed.
//! What is not understood (conditions, `NotAction`, managed policies, SAM policy templates) is an error when the policy is read, and
//! never passed over.

use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use serde_json::Value;

use crate::Ask;

/// One action on one resource, either of which may have `*` and `?` in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Grant {
    /// Such as `dynamodb:GetItem`.
    pub action: String,
    /// An ARN.
    pub resource: String,
}

impl Grant {
    fn covers(&self, ask: &Ask) -> bool {
        // Actions are compared without case, resources with it.
        matches(&self.action.to_ascii_lowercase(), &ask.action.to_ascii_lowercase())
            && matches(&self.resource, &ask.resource)
    }
}

/// A function's policies in one.
#[derive(Debug, Default)]
pub struct Policy {
    allow: Vec<(Grant, AtomicBool)>,
    deny: Vec<Grant>,
}

/// A policy that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("policy: {0}")]
pub struct PolicyError(String);

impl Policy {
    /// Reads SAM's `Policies`: a policy document or a list of them.
    ///
    /// # Errors
    /// If there is anything in it that this does not evaluate.
    pub fn read(policies: &Value) -> Result<Self, PolicyError> {
        let mut policy = Self::default();
        for document in list(policies) {
            let statements = document
                .get("Statement")
                .ok_or_else(|| PolicyError(format!("no statement in {document}")))?;
            for statement in list(statements) {
                policy.add(statement)?;
            }
        }
        Ok(policy)
    }

    fn add(&mut self, statement: &Value) -> Result<(), PolicyError> {
        let members =
            statement.as_object().ok_or_else(|| PolicyError(format!("not a statement: {statement}")))?;
        if let Some(other) =
            members.keys().find(|k| !["Sid", "Effect", "Action", "Resource"].contains(&k.as_str()))
        {
            return Err(PolicyError(format!("{other} is not evaluated, in {statement}")));
        }
        let strings = |name: &str| -> Result<Vec<String>, PolicyError> {
            let found: Option<Vec<String>> =
                list(&statement[name]).iter().map(|v| v.as_str().map(str::to_owned)).collect();
            found.filter(|f| !f.is_empty()).ok_or_else(|| PolicyError(format!("{name} in {statement}")))
        };
        for action in strings("Action")? {
            for resource in strings("Resource")? {
                let grant = Grant { action: action.clone(), resource };
                match statement["Effect"].as_str() {
                    Some("Allow") => self.allow.push((grant, AtomicBool::new(false))),
                    Some("Deny") => self.deny.push(grant),
                    _ => return Err(PolicyError(format!("Effect in {statement}"))),
                }
            }
        }
        Ok(())
    }

    /// Whether it is allowed; the grants that say so count as used.
    pub fn allows(&self, ask: &Ask) -> bool {
        let mut allowed = false;
        for (grant, used) in &self.allow {
            if grant.covers(ask) {
                used.store(true, Ordering::Relaxed);
                allowed = true;
            }
        }
        allowed && !self.deny.iter().any(|grant| grant.covers(ask))
    }

    /// Grants that nothing has needed.
    pub fn unused(&self) -> Vec<Grant> {
        let unused = self.allow.iter().filter(|(_, used)| !used.load(Ordering::Relaxed));
        unused.map(|(grant, _)| grant.clone()).collect()
    }
}

/// One value or a list of them.
fn list(value: &Value) -> &[Value] {
    match value {
        Value::Array(values) => values,
        Value::Null => &[],
        one => std::slice::from_ref(one),
    }
}

/// Whether `text` fits a pattern with `*` for any run of characters and `?` for one.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                // The last star takes one more.
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, t) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ask(action: &str, resource: &str) -> Ask {
        Ask { action: action.into(), resource: resource.into() }
    }

    #[test]
    fn wildcards_match_as_in_iam() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "ac", true),
            ("a*c", "acd", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*/lists/*", "arn:x/lists/y/z", true),
            ("*/lists/*", "arn:x/list/y", false),
            ("a*b*c", "a1b2b3c", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_deny_wins_and_nothing_is_allowed_by_itself() {
        let policy = Policy::read(&json!([
            { "Statement": [{ "Effect": "Allow", "Action": ["s3:Get*", "s3:PutObject"], "Resource": "arn:b/*" }] },
            { "Statement": { "Effect": "Deny", "Action": "s3:*", "Resource": ["arn:b/secret/*"] } },
        ]))
        .unwrap();
        assert!(policy.allows(&ask("s3:GetObject", "arn:b/x")));
        assert!(policy.allows(&ask("S3:getobject", "arn:b/x")));
        assert!(!policy.allows(&ask("s3:GetObject", "arn:B/x")));
        assert!(!policy.allows(&ask("s3:GetObject", "arn:b/secret/x")));
        assert!(!policy.allows(&ask("s3:DeleteObject", "arn:b/x")));
        assert_eq!(policy.unused(), [Grant { action: "s3:PutObject".into(), resource: "arn:b/*".into() }]);
    }

    #[test]
    fn what_is_not_evaluated_is_refused() {
        for policies in [
            json!(["AWSLambdaBasicExecutionRole"]),
            json!([{ "SQSPollerPolicy": { "QueueName": "q" } }]),
            json!({ "Statement": { "Effect": "Allow", "NotAction": "s3:*", "Resource": "*" } }),
            json!({ "Statement": { "Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": {} } }),
            json!({ "Statement": { "Effect": "Allow", "Action": [], "Resource": "*" } }),
            json!({ "Statement": { "Effect": "Perhaps", "Action": "s3:*", "Resource": "*" } }),
        ] {
            assert!(Policy::read(&policies).is_err(), "{policies}");
        }
    }
}
