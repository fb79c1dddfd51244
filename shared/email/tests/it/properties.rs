//! What holds for any text.

use email::route::{MailRoute, MxHost, SmtpOutcome, Unanswered};
use email::{EmailAddress, Status, inspect, verdict};
use proptest::prelude::*;

/// Texts that are nearly addresses, made of the characters that rules are about.
fn nearly() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("a".to_owned()),
        Just("Z9".to_owned()),
        Just(".".to_owned()),
        Just("@".to_owned()),
        Just("-".to_owned()),
        Just("xn--".to_owned()),
        Just("ä".to_owned()),
        Just("u\u{308}".to_owned()),
        Just("ß".to_owned()),
        Just("İ".to_owned()),
        Just("gmail.com".to_owned()),
        Just("info".to_owned()),
        Just("+".to_owned()),
        Just("\u{200D}".to_owned()),
        Just(" ".to_owned()),
        Just("\"".to_owned()),
        Just("<".to_owned()),
        Just("mailto:".to_owned()),
        Just("。".to_owned()),
        Just("例".to_owned()),
        Just("א".to_owned()),
        Just("\n".to_owned()),
        "\\PC",
        "[a-z]{1,40}",
    ];
    prop_oneof![
        4 => prop::collection::vec(piece.clone(), 0..12).prop_map(|pieces| pieces.concat()),
        4 => (prop::collection::vec(piece.clone(), 1..4), prop::collection::vec(piece, 1..6))
            .prop_map(|(local, domain)| format!("{}@{}.org", local.concat(), domain.concat())),
        1 => any::<String>(),
    ]
}

fn outcome() -> impl Strategy<Value = Option<SmtpOutcome>> {
    prop::option::of(prop::sample::select(super::verdict::OUTCOMES.to_vec()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parsing_never_panics_and_what_is_normalised_parses_to_itself(text in nearly()) {
        match EmailAddress::parse(&text) {
            Ok(address) => {
                prop_assert_eq!(EmailAddress::parse(address.normalized()), Ok(address.clone()));
                prop_assert!(address.normalized().len() <= email::MAX_ADDRESS);
                prop_assert!(address.local().len() <= email::MAX_LOCAL);
                prop_assert!(address.domain().is_ascii() && address.domain().contains('.'));
                // The display form leads back to the same domain, and the key of duplicates to itself.
                let shown = format!("{}@{}", address.local(), address.domain_unicode());
                prop_assert_eq!(EmailAddress::parse(&shown).map(|a| a.domain().to_owned()), Ok(address.domain().to_owned()));
                let key = address.canonical().into_owned();
                if let Ok(again) = EmailAddress::parse(&key) {
                    prop_assert_eq!(again.canonical(), key);
                }
                let _ = address.mailbox_key();
            }
            Err(refused) => if let Some(meant) = refused.suggestion {
                prop_assert_eq!(EmailAddress::parse(&meant).map(String::from), Ok(meant));
            }
        }
    }

    #[test]
    fn inspecting_agrees_with_parsing_and_suggests_only_addresses(text in nearly()) {
        let found = inspect(&text);
        prop_assert_eq!(&found.input, &text);
        let parsed = EmailAddress::parse(&text);
        prop_assert_eq!(found.address.clone(), parsed.map_err(|refused| refused.cause));
        if let Some(meant) = &found.suggestion {
            prop_assert!(EmailAddress::parse(meant).is_ok(), "{}", meant);
            prop_assert!(!inspect(meant).is_typo(), "a suggestion for the suggestion {}", meant);
        }
        prop_assert!(!(found.class.free && found.class.disposable));
    }

    #[test]
    fn nothing_unanswered_is_ever_valid(text in nearly(), smtp in outcome(), reason in 0..4) {
        let reason = [Unanswered::Timeout, Unanswered::ServerFailure, Unanswered::Unreachable].get(reason as usize).copied();
        let route = reason.map(|reason| MailRoute::Unanswered { reason });
        let status = verdict(&inspect(&text), route.as_ref(), smtp).status;
        prop_assert!(matches!(status, Status::Unknown | Status::Invalid));
        prop_assert_eq!(status == Status::Invalid, EmailAddress::parse(&text).is_err());
    }

    #[test]
    fn a_failed_probe_is_never_valid_nor_invalid(local in "[a-z]{1,8}", smtp in outcome()) {
        let route = MailRoute::Mx { hosts: vec![MxHost { preference: 1, exchange: "mx.example.net".into() }] };
        let status = verdict(&inspect(&format!("{local}@example.net")), Some(&route), smtp).status;
        let failed = matches!(smtp, Some(SmtpOutcome::Greylisted | SmtpOutcome::SenderBlocked | SmtpOutcome::NoAnswer));
        prop_assert_eq!(status == Status::Unknown, failed);
    }
}
