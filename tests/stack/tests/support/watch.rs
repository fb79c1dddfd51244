//! Reads along what the functions of every stack log: no address of a person, no key (P11). What is found fails the test that runs
//! then or ends next.

use std::sync::{Mutex, PoisonError};

use local_lambda::{InvocationReport, LogSink};

static LEAKS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// A log that is looked through and then forgotten; with `PIECEWORK_SHOW_LOGS` set it is shown too.
pub struct Watch;

#[expect(clippy::print_stderr, reason = "it is asked for, for somebody who looks for a fault")]
impl LogSink for Watch {
    fn line(&self, function: &str, _: u64, line: &str) {
        if std::env::var_os("PIECEWORK_SHOW_LOGS").is_some() {
            eprintln!("{function}: {line}");
        }
        if let Some(found) = private(line) {
            let mut leaks = LEAKS.lock().unwrap_or_else(PoisonError::into_inner);
            leaks.push(format!("{function} logs {found}: {line}"));
        }
    }
    fn report(&self, _: &InvocationReport) {}
}

/// Fails if something private was logged since the tests began.
pub fn nothing_leaked() {
    let leaks = LEAKS.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
}

/// An address, an API key or a bearer token in a line.
fn private(line: &str) -> Option<&str> {
    let address = line.match_indices('@').find_map(|(at, _)| {
        let local =
            line[..at].rfind(|c: char| !(c.is_alphanumeric() || "._%+-'".contains(c))).map_or(0, |i| i + 1);
        let local = line.get(local..at)?;
        let rest = &line[at + 1..];
        let end = rest.find(|c: char| !(c.is_alphanumeric() || ".-".contains(c))).unwrap_or(rest.len());
        let domain = &rest[..end];
        (!local.is_empty() && domain.split_once('.').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty()))
            .then(|| &line[at - local.len()..at + 1 + end])
    });
    let secret = |prefix: &str| {
        line.match_indices(prefix).find_map(|(at, _)| {
            let token = &line[at + prefix.len()..];
            let end = token
                .find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)))
                .unwrap_or(token.len());
            (end >= 20).then(|| &line[at..at + prefix.len() + end])
        })
    };
    let ours = ["pwk_", "pws_", "pwr_"].into_iter().find_map(&secret);
    address.or(ours).or_else(|| secret("Bearer ")).or_else(|| secret("X-Amz-Signature="))
}

#[test]
fn a_private_word_in_a_line_is_found_and_others_are_not() {
    let key = format!("pwk_{}", "a1".repeat(30));
    for line in [
        "checked ada.lovelace@gmail.com",
        r#"{"email":"ü@exämple.de"}"#,
        &format!("key={key}"),
        "authorization: Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln",
        "PUT /x?X-Amz-Signature=0123456789abcdef0123456789abcdef",
    ] {
        assert!(private(line).is_some(), "{line}");
    }
    for line in ["key=key_01kahd8z2v", "a @ b", "x@y", "pwk_put-a-key-here", "request @2026-11-20.5"] {
        assert_eq!(private(line), None, "{line}");
    }
}
