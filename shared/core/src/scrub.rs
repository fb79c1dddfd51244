//! Taking personal data and secrets out of text that leaves the house (P17).

use std::{net::IpAddr, sync::LazyLock};

use regex_lite::Regex;
use serde_json::Value;

/// What is found by its form, and what stands in its place.
static FORMS: LazyLock<[(Regex, &str); 5]> = LazyLock::new(|| {
    #[expect(clippy::unwrap_used, reason = "the patterns are constants, and a test reads each")]
    let form = |pattern: &str, instead: &'static str| (Regex::new(pattern).unwrap(), instead);
    [
        // Credentials in a field or a link first: what follows them may have any form.
        form(r"(?i)\b(bearer|basic)\s+[^\s,;]+", "$1 [secret]"),
        form(
            r"(?i)\b(x-amz-(?:signature|credential|security-token)|access_token|id_token|code|state)=[^&\s]+",
            "$1=[secret]",
        ),
        form(r"\beyJ[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)+", "[secret]"),
        // Keys of our own, of AWS and of payment providers.
        form(r"\b(?:pwk_|AKIA|ASIA|pdl_|sk_|rk_|whsec_)[A-Za-z0-9_]{12,}", "[secret]"),
        // A person's address, also one in a link or with letters beyond ASCII.
        form(r#"[^\s@<>()\[\]"',;:=/\\&?]*(?:(?:@|%40)[^\s@<>()\[\]"',;:=/\\&?]+)+"#, "[address]"),
    ]
});

/// What may be a machine's address.
#[expect(clippy::unwrap_used, reason = "the pattern is a constant, and a test reads it")]
static MACHINE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"[0-9A-Fa-f:.]*[:.][0-9A-Fa-f:.]+").unwrap());

/// Members whose value is somebody's, whatever its form.
const PRIVATE: [&str; 14] = [
    "email",
    "mail",
    "name",
    "phone",
    "address",
    "ip",
    "source_ip",
    "user_agent",
    "authorization",
    "cookie",
    "token",
    "secret",
    "password",
    "api_key",
];

/// The text without addresses of people and machines, keys, tokens and signatures.
#[must_use]
pub fn scrub(text: &str) -> String {
    let mut text = text.to_owned();
    for (form, instead) in FORMS.iter() {
        text = form.replace_all(&text, *instead).into_owned();
    }
    let mut clean = String::with_capacity(text.len());
    let mut at = 0;
    for found in MACHINE.find_iter(&text) {
        clean.push_str(&text[at..found.start()]);
        at = found.end();
        let part_of_a_word = text[..found.start()].ends_with(char::is_alphanumeric)
            || text[found.end()..].starts_with(char::is_alphanumeric);
        match machine(found.as_str()) {
            Some(rest) if !part_of_a_word => clean.extend(["[ip]", rest]),
            _ => clean.push_str(found.as_str()),
        }
    }
    clean.push_str(&text[at..]);
    clean
}

/// What follows a machine's address, such as its port; `None` for what only looks like one (a time, a version).
fn machine(text: &str) -> Option<&str> {
    let bare = text.trim_end_matches(['.', ':']);
    // What has more than one colon is an address of IPv6 without a port.
    let host = match bare.split_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => host,
        _ => bare,
    };
    host.parse::<IpAddr>().is_ok().then(|| &text[host.len()..])
}

/// JSON with every text in it scrubbed, and `[removed]` in place of members that are private by their name.
#[must_use]
pub fn scrub_json(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(scrub(&text)),
        Value::Array(values) => values.into_iter().map(scrub_json).collect(),
        Value::Object(members) => {
            let clean = members.into_iter().map(|(name, value)| {
                let private = PRIVATE.contains(&name.to_ascii_lowercase().as_str());
                let value = if private { "[removed]".into() } else { scrub_json(value) };
                // A name may be somebody's too.
                (scrub(&name), value)
            });
            Value::Object(clean.collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_private_is_taken_out() {
        let key = format!("pwk_{}", "a1B2".repeat(18));
        for (text, clean) in [
            ("cannot read ada.lovelace+x@gmail.com: timeout", "cannot read [address]: timeout"),
            ("<jörg@exämple.de>, bob@corp.example", "<[address]>, [address]"),
            ("GET /v1/x?email=ada%40gmail.com&page=2", "GET /v1/x?email=[address]&page=2"),
            ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer [secret]"),
            ("basic YWRhOnNlY3JldA==, next", "basic [secret], next"),
            ("token eyJhbGciOiJSUzI1NiJ9.e30.c2ln here", "token [secret] here"),
            (&format!("key {key} refused"), "key [secret] refused"),
            ("by ASIAIOSFODNN7EXAMPLE!", "by [secret]!"),
            (
                "https://b.s3/k?X-Amz-Signature=00ff&X-Amz-Credential=AKID%2Fx&x-id=Put",
                "https://b.s3/k?X-Amz-Signature=[secret]&X-Amz-Credential=[secret]&x-id=Put",
            ),
            ("/callback?code=4/0Ab&state=xyz", "/callback?code=[secret]&state=[secret]"),
            ("peer 192.0.2.7:443 closed", "peer [ip]:443 closed"),
            ("from 2001:db8::7.", "from [ip]."),
            ("to ::1, and 127.0.0.1", "to [ip], and [ip]"),
        ] {
            assert_eq!(scrub(text), clean);
        }
    }

    #[test]
    fn what_is_not_private_stays() {
        for text in [
            "2026-11-20T10:11:12.5Z took 3.25 ms",
            "chunk 12 of tsk_01JD0000000000000000000000: ConditionalCheckFailedException",
            "version 1.2.3, build 1.95.0",
            "std::io::Error at src/run.rs:12:34",
            "",
        ] {
            assert_eq!(scrub(text), text);
        }
    }

    #[test]
    fn members_are_scrubbed_by_form_and_by_name() {
        let line = json!({
            "message": "no answer for ada@gmail.com", "Email": "ada", "n": 3,
            "causes": ["x", { "token": ["a"], "bob@corp.example": null }],
        });
        let clean = json!({
            "message": "no answer for [address]", "Email": "[removed]", "n": 3,
            "causes": ["x", { "token": "[removed]", "[address]": null }],
        });
        assert_eq!(scrub_json(line), clean);
    }

    proptest! {
        #[test]
        fn no_address_survives_whatever_stands_around_it(before in ".{0,20}", after in ".{0,20}", user in "[a-z0-9._+-]{1,12}") {
            let text = format!("{before}{user}@mail.example{after}");
            prop_assert!(!scrub(&text).contains("@mail.example"), "{}", scrub(&text));
        }

        #[test]
        fn scrubbed_once_is_scrubbed(text in ".{0,80}") {
            let once = scrub(&text);
            prop_assert_eq!(scrub(&once), once.clone());
        }
    }
}
