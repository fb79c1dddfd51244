//! The decision table, over every combination.

use email::route::{MailRoute, MxHost, SmtpOutcome, Unanswered};
use email::{Inspection, Status, SubStatus, inspect, verdict};

pub const OUTCOMES: [SmtpOutcome; 8] = [
    SmtpOutcome::Deliverable,
    SmtpOutcome::CatchAll,
    SmtpOutcome::NoSuchMailbox,
    SmtpOutcome::Disabled,
    SmtpOutcome::FullInbox,
    SmtpOutcome::Greylisted,
    SmtpOutcome::SenderBlocked,
    SmtpOutcome::NoAnswer,
];

fn mx(exchange: &str) -> MailRoute {
    MailRoute::Mx { hosts: vec![MxHost { preference: 10, exchange: exchange.into() }] }
}

fn routes() -> Vec<(Option<MailRoute>, Option<SubStatus>)> {
    use SubStatus::*;
    let unanswered = |reason| Some(MailRoute::Unanswered { reason });
    vec![
        (Some(mx("mx.example.net")), None),
        (Some(mx("gmail-smtp-in.l.google.com")), None),
        (Some(mx("mta5.am0.yahoodns.net")), None),
        (Some(MailRoute::ImplicitMx), None),
        (Some(MailRoute::NxDomain), Some(DomainNotFound)),
        (Some(MailRoute::NullMx), Some(NullMx)),
        (Some(MailRoute::UnusableMx), Some(UnusableMx)),
        (Some(MailRoute::NoRecords), Some(NoMailRecords)),
        (None, Some(NotChecked)),
        (unanswered(Unanswered::Timeout), Some(DnsTimeout)),
        (unanswered(Unanswered::ServerFailure), Some(DnsServerFailure)),
        (unanswered(Unanswered::Unreachable), Some(DnsUnreachable)),
    ]
}

/// Every combination of flags, with the sub-status that the strongest one asks for.
fn inspections() -> Vec<(Inspection, Option<SubStatus>)> {
    let mut all = Vec::new();
    for bits in 0..16 {
        let bit = |n: u8| bits & (1 << n) != 0;
        let mut found = inspect("jane@example.net");
        found.suggestion = bit(0).then(|| "jane@example.com".into());
        found.class.disposable = bit(1);
        found.class.suspected_disposable = bit(2);
        found.role = bit(3);
        let flag =
            [SubStatus::PossibleTypo, SubStatus::Disposable, SubStatus::SuspectedDisposable, SubStatus::Role]
                .into_iter()
                .enumerate()
                .find_map(|(n, flag)| bit(n as u8).then_some(flag));
        all.push((found, flag));
    }
    all
}

/// The table of `verdict`'s documentation, written a second time, row by row.
fn expected(
    route: &Option<MailRoute>,
    settled: Option<SubStatus>,
    flag: Option<SubStatus>,
    smtp: Option<SmtpOutcome>,
) -> SubStatus {
    use SmtpOutcome as S;
    if let Some(settled) = settled {
        return settled;
    }
    match (smtp, flag) {
        (Some(S::NoSuchMailbox), _) => SubStatus::MailboxNotFound,
        (Some(S::Disabled), _) => SubStatus::MailboxDisabled,
        (Some(S::Greylisted), _) => SubStatus::Greylisted,
        (Some(S::SenderBlocked), _) => SubStatus::SenderBlocked,
        (Some(S::NoAnswer), _) => SubStatus::SmtpNoAnswer,
        (Some(S::CatchAll), Some(SubStatus::Role) | None) => SubStatus::CatchAll,
        (Some(S::FullInbox), Some(SubStatus::Role) | None) => SubStatus::FullInbox,
        (_, Some(flag)) => flag,
        (Some(S::Deliverable), None)
            if *route == Some(mx("mx.example.net")) || *route == Some(MailRoute::ImplicitMx) =>
        {
            SubStatus::MailboxExists
        }
        (_, None) if *route == Some(MailRoute::ImplicitMx) => SubStatus::NoMx,
        (_, None) => SubStatus::AcceptsMail,
    }
}

#[test]
fn every_combination_of_route_flags_and_probe_decides_as_the_table_says() {
    let mut combinations = 0;
    for (route, settled) in routes() {
        for (found, flag) in inspections() {
            for smtp in OUTCOMES.into_iter().map(Some).chain([None]) {
                let decided = verdict(&found, route.as_ref(), smtp);
                assert_eq!(
                    decided.sub_status,
                    expected(&route, settled, flag, smtp),
                    "{route:?} {flag:?} {smtp:?}"
                );
                assert_eq!(decided.status, decided.sub_status.status());
                combinations += 1;
            }
        }
    }
    assert_eq!(combinations, 12 * 16 * 9);
}

#[test]
fn bad_syntax_is_invalid_whatever_else_is_known() {
    for (route, _) in routes() {
        for smtp in OUTCOMES.into_iter().map(Some).chain([None]) {
            let decided = verdict(&inspect("jane@gmailcom"), route.as_ref(), smtp);
            assert_eq!((decided.status, decided.sub_status), (Status::Invalid, SubStatus::Syntax));
        }
    }
}

#[test]
fn plain_addresses_come_out_as_a_person_would_say() {
    let route = mx("mx.example.net");
    for (given, status, sub_status) in [
        ("jane@example.net", "valid", "accepts_mail"),
        ("info@example.net", "risky", "role"),
        ("jane@mailinator.com", "risky", "disposable"),
        ("info@a.b.mailinator.com", "risky", "disposable"),
        ("jane@gmial.com", "risky", "possible_typo"),
        ("jane@duck.com", "valid", "accepts_mail"),
        ("jane", "invalid", "syntax"),
    ] {
        let decided = serde_json::to_value(verdict(&inspect(given), Some(&route), None)).unwrap();
        assert_eq!(decided, serde_json::json!({ "status": status, "sub_status": sub_status }), "{given}");
    }
}
