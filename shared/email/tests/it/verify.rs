//! `verify` asks what it needs and nothing more, and its result has the promised shape.

use std::cell::RefCell;
use std::future::{Future, ready};
use std::sync::Mutex;

use email::route::{MailRoute, MxHost, Resolver, SmtpOutcome, SmtpProbe, Unanswered};
use email::{NoProbe, Status, SubStatus, Verification, inspect, verify};
use futures::executor::block_on;
use serde_json::json;

/// A zone of one answer, which notes the questions.
struct Zone(MailRoute, Mutex<Vec<String>>);

impl Resolver for Zone {
    fn mail_route(&self, domain: &str) -> impl Future<Output = MailRoute> + Send {
        self.1.lock().unwrap().push(domain.to_owned());
        ready(self.0.clone())
    }
}

struct Server(SmtpOutcome, Mutex<Vec<String>>);

impl SmtpProbe for Server {
    fn probe(&self, address: &str, hosts: &[MxHost]) -> impl Future<Output = SmtpOutcome> + Send {
        self.1.lock().unwrap().push(format!("{address} at {}", hosts[0].exchange));
        ready(self.0)
    }
}

fn ask(address: &str, route: MailRoute, smtp: Option<SmtpOutcome>) -> (Verification, Vec<String>) {
    let asked = RefCell::new(Vec::new());
    let zone = Zone(route, Mutex::default());
    let result = match smtp {
        Some(outcome) => {
            let server = Server(outcome, Mutex::default());
            let result = block_on(verify(inspect(address), &zone, Some(&server)));
            asked.borrow_mut().extend(server.1.into_inner().unwrap());
            result
        }
        None => block_on(verify(inspect(address), &zone, None::<&NoProbe>)),
    };
    let mut questions = zone.1.into_inner().unwrap();
    questions.extend(asked.into_inner());
    (result, questions)
}

fn google() -> MailRoute {
    let host = |preference, exchange: &str| MxHost { preference, exchange: exchange.into() };
    MailRoute::Mx { hosts: vec![host(1, "aspmx.l.google.com"), host(5, "alt1.aspmx.l.google.com")] }
}

#[test]
fn the_result_is_nested_complete_and_reads_back() {
    let (result, questions) = ask(" Jané@EXÄMPLE.de ", google(), None);
    assert_eq!(questions, ["xn--exmple-cua.de"]);
    let json = serde_json::to_value(&result).unwrap();
    assert_eq!(
        json,
        json!({
            "email": " Jané@EXÄMPLE.de ",
            "normalized": "Jané@xn--exmple-cua.de",
            "status": "valid",
            "sub_status": "accepts_mail",
            "suggestion": null,
            "syntax": {
                "valid": true, "error": null, "requires_smtputf8": true, "local": "Jané",
                "domain": "xn--exmple-cua.de", "domain_unicode": "exämple.de",
            },
            "mx": {
                "found": true, "null": false, "host": "aspmx.l.google.com", "hosts": 2, "implicit": false,
                "provider": "google_workspace",
            },
            "server": { "provider": "google_workspace", "smtp": null },
            "role": false,
            "disposable": false,
            "suspected_disposable": false,
            "free": false,
            "catch_all": null,
        })
    );
    assert_eq!(serde_json::from_value::<Verification>(json).unwrap(), result);
}

#[test]
fn nobody_is_asked_about_what_is_no_address() {
    let (result, questions) = ask("jane@@example.org", google(), Some(SmtpOutcome::Deliverable));
    assert!(questions.is_empty());
    assert_eq!((result.status, result.mx.found, result.server.smtp), (Status::Invalid, None, None));
    let json = serde_json::to_value(&result).unwrap();
    assert_eq!(json["syntax"]["error"], "multiple_at");
    assert_eq!(json["suggestion"], "jane@example.org");
}

#[test]
fn a_mail_server_is_asked_only_where_mail_could_go() {
    let (result, questions) = ask("Jane@example.org", google(), Some(SmtpOutcome::CatchAll));
    assert_eq!(questions, ["example.org", "Jane@example.org at aspmx.l.google.com"]);
    assert_eq!((result.sub_status, result.catch_all), (SubStatus::CatchAll, Some(true)));

    let (result, questions) = ask("jane@example.org", MailRoute::ImplicitMx, Some(SmtpOutcome::Deliverable));
    assert_eq!(questions, ["example.org", "jane@example.org at example.org"]);
    assert_eq!((result.sub_status, result.catch_all), (SubStatus::MailboxExists, Some(false)));
    assert!(result.mx.implicit && result.mx.found == Some(false));

    for route in [MailRoute::NxDomain, MailRoute::NullMx, MailRoute::NoRecords, MailRoute::UnusableMx] {
        let (result, questions) = ask("jane@example.org", route, Some(SmtpOutcome::Deliverable));
        assert_eq!(questions, ["example.org"]);
        assert_eq!((result.status, result.mx.found), (Status::Invalid, Some(false)));
    }
}

#[test]
fn without_an_answer_from_dns_nothing_is_claimed() {
    let timeout = MailRoute::Unanswered { reason: Unanswered::Timeout };
    let (result, questions) = ask("info@mailinator.com", timeout, Some(SmtpOutcome::Deliverable));
    assert_eq!(questions, ["mailinator.com"]);
    assert_eq!((result.status, result.sub_status), (Status::Unknown, SubStatus::DnsTimeout));
    assert_eq!((result.mx.found, result.server.smtp, result.catch_all), (None, None, None));
    assert!(result.disposable && result.role);
}
