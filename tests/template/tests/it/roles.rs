//! What each function may do.

use std::collections::BTreeSet;

use local::template::model::{Function, Model, SourceKind};
use serde_json::Value;
use template_tests::model;

/// Grants of more than a named thing, with the reason.
const WIDE: &[(&str, &str, &str)] =
    &[("account-send-invitation", "ses:SendEmail", "the address that mail comes from is a setting")];

/// Resources that a function is told about without using them, because it shares its parts with others.
const TOLD_ONLY: &[(&str, &str)] = &[
    ("account-begin-login", "piecework-dev-billing"),
    ("verify-cancel-task", "piecework-dev-verify-000000000000"),
    ("verify-sweep-tasks", "piecework-dev-billing"),
];

struct Grant {
    actions: Vec<String>,
    resources: Vec<String>,
}

fn grants(function: &Function) -> Vec<Grant> {
    let texts = |v: &Value| match v {
        Value::Array(items) => items.iter().map(|i| i.as_str().unwrap().to_owned()).collect(),
        other => vec![other.as_str().unwrap().to_owned()],
    };
    let policies = function.policies.as_array().map_or(&[][..], Vec::as_slice);
    policies
        .iter()
        .flat_map(|policy| policy["Statement"].as_array().unwrap())
        .map(|s| {
            assert_eq!(s["Effect"], "Allow", "{}", function.name);
            Grant { actions: texts(&s["Action"]), resources: texts(&s["Resource"]) }
        })
        .collect()
}

/// The table, queue or bucket of an ARN.
fn name(arn: &str) -> &str {
    let resource = arn.splitn(6, ':').nth(5).unwrap();
    let resource = resource.strip_prefix("table/").unwrap_or(resource);
    resource.split('/').next().unwrap()
}

/// The tables, queues and buckets that a function knows of: by its environment or by what invokes it.
fn told(model: &Model, function: &Function) -> BTreeSet<String> {
    let all = model.tables.iter().map(|t| &t.name).chain(model.queues.iter().map(|q| &q.name));
    let all = all.chain(model.buckets.iter().map(|b| &b.name));
    let words: BTreeSet<&str> =
        function.env.values().flat_map(|v| v.split(['/', '"', ',', '{', '}', '[', ']'])).collect();
    let mut told: BTreeSet<String> = all.filter(|name| words.contains(name.as_str())).cloned().collect();
    for source in model.sources.iter().filter(|s| s.function == function.name) {
        match &source.kind {
            SourceKind::Sqs(s) => told.extend([s.queue.clone()]),
            SourceKind::Stream(s) => told.extend([s.table.clone()].into_iter().chain(s.on_failure.clone())),
            SourceKind::Schedule(_) => {}
        }
    }
    told
}

#[test]
fn no_function_may_do_anything_to_everything() {
    for function in model("dev").functions {
        for grant in grants(&function) {
            for action in &grant.actions {
                let (service, verb) = action.split_once(':').unwrap();
                let plain = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric());
                assert!(plain(service) && plain(verb), "{}: {action}", function.name);
                for resource in &grant.resources {
                    // A bucket's objects are named by a prefix; nothing else may stand for several things.
                    let prefix = resource.strip_prefix("arn:aws:s3:::").and_then(|r| r.strip_suffix("/*"));
                    let narrow = match prefix {
                        Some(prefix) => prefix.contains('/') && !prefix.contains('*'),
                        None => !resource.contains('*'),
                    };
                    let allowed = WIDE.iter().any(|(f, a, _)| *f == function.name && a == action);
                    assert!(narrow || allowed, "{}: {action} on {resource}", function.name);
                }
            }
        }
    }
}

#[test]
fn a_role_reaches_exactly_what_the_function_is_told_about() {
    let model = model("dev");
    for function in &model.functions {
        // Who sends mail is told from which address, by MAIL.
        let granted: BTreeSet<String> = grants(function)
            .iter()
            .flat_map(|g| &g.resources)
            .filter(|arn| !arn.starts_with("arn:aws:ses:"))
            .map(|arn| name(arn).to_owned())
            .collect();
        let mut told = told(&model, function);
        for (_, resource) in TOLD_ONLY.iter().filter(|(f, _)| *f == function.name) {
            assert!(told.remove(*resource), "{} is not told about {resource} any more", function.name);
        }
        assert_eq!(granted, told, "{}: what its role reaches, and what it is told about", function.name);
    }
}

#[test]
fn no_grant_stands_twice() {
    for function in model("dev").functions {
        let mut seen = BTreeSet::new();
        for grant in grants(&function) {
            for action in &grant.actions {
                for resource in &grant.resources {
                    let new = seen.insert((action.clone(), resource.clone()));
                    assert!(new, "{}: {action} on {resource} twice", function.name);
                }
            }
        }
    }
}

#[test]
fn only_functions_with_a_callers_key_read_accounts_outside_the_account_area() {
    for function in model("dev").functions.iter().filter(|f| !f.name.starts_with("account-")) {
        let on_accounts: BTreeSet<String> = grants(function)
            .into_iter()
            .filter(|g| g.resources.iter().any(|r| name(r) == "piecework-dev-account"))
            .flat_map(|g| g.actions)
            .filter(|a| {
                !matches!(
                    a.as_str(),
                    "dynamodb:DescribeStream"
                        | "dynamodb:GetRecords"
                        | "dynamodb:GetShardIterator"
                        | "dynamodb:ListStreams"
                )
            })
            .collect();
        // The key or identity, the note of its last use, and a user at first sight.
        let expected: BTreeSet<String> = match function.env.contains_key("ACCOUNT_TABLE") {
            true => ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"].map(str::to_owned).into(),
            false => BTreeSet::new(),
        };
        assert_eq!(on_accounts, expected, "{}", function.name);
    }
}
