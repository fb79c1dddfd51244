//! Every rule of the syntax, at its edge.

use email::{EmailAddress, Refused, SYNTAX_ERRORS, SyntaxError};

fn refused(given: &str) -> Refused {
    EmailAddress::parse(given).expect_err(given)
}

fn normalized(given: &str) -> String {
    EmailAddress::parse(given).unwrap_or_else(|e| panic!("{given:?}: {e}")).normalized().to_owned()
}

/// One broken address for every cause, and the suggestion that comes with it.
fn broken() -> Vec<(SyntaxError, String, Option<&'static str>)> {
    use SyntaxError::*;
    let long = |n: usize| "a".repeat(n);
    vec![
        (Empty, " \t\r\n ".into(), None),
        (InvisibleCharacter, "jane\u{200B}@example.org".into(), Some("jane@example.org")),
        (BidiCharacter, "\u{202E}jane@example.org".into(), Some("jane@example.org")),
        (ControlCharacter, "jane\u{0}@example.org".into(), Some("jane@example.org")),
        (Mailto, "MailTo:jane@example.org?subject=hi".into(), Some("jane@example.org")),
        (AngleBrackets, "Jane Doe <jane@example.org>".into(), Some("jane@example.org")),
        (Quoted, "\"jane\"@example.org".into(), None),
        (Comment, "jane(work)@example.org".into(), None),
        (WhiteSpace, "jane @ example.org".into(), Some("jane@example.org")),
        (MissingAt, "jane.example.org".into(), None),
        (MultipleAt, "jane@@example.org".into(), Some("jane@example.org")),
        (LocalEmpty, "@example.org".into(), None),
        (LocalTooLong, format!("{}@example.org", long(65)), None),
        (LocalDotStart, ".jane@example.org".into(), Some("jane@example.org")),
        (LocalDotEnd, "jane.@example.org".into(), None),
        (LocalDotDouble, "jane..doe@example.org".into(), None),
        (LocalCharacter, "jane,doe@example.org".into(), None),
        (DomainEmpty, "jane@".into(), None),
        (AddressLiteral, "jane@[IPv6:::1]".into(), None),
        (DomainDotStart, "jane@.example.org".into(), None),
        (DomainDotEnd, "jane@example.org.".into(), Some("jane@example.org")),
        (DomainDotDouble, "jane@example..org".into(), Some("jane@example.org")),
        (DomainCharacter, "jane@example,org".into(), Some("jane@example.org")),
        (DomainHyphenStart, "jane@-example.org".into(), None),
        (DomainHyphenEnd, "jane@example-.org".into(), None),
        (DomainLabelTooLong, format!("jane@{}.org", long(64)), None),
        (DomainIdn, "jane@xn--a.org".into(), None),
        (DomainTooLong, format!("j@{0}.{0}.{0}.{1}.org", long(63), long(58)), None),
        (DomainNoDot, "jane@gmailcom".into(), Some("jane@gmail.com")),
        (TldNumeric, "jane@example.123".into(), None),
        (AddressTooLong, format!("{}@{1}.{1}.{2}.org", long(64), long(63), long(58)), None),
    ]
}

#[test]
fn every_cause_has_an_address_that_is_refused_for_it() {
    let broken = broken();
    for (cause, given, suggestion) in &broken {
        let refused = refused(given);
        assert_eq!(refused.cause, *cause, "{given:?}");
        assert_eq!(refused.suggestion.as_deref(), *suggestion, "{given:?}");
    }
    let shown: Vec<_> = broken.iter().map(|(cause, ..)| *cause).collect();
    let all: Vec<_> = SYNTAX_ERRORS.iter().map(|(cause, _)| *cause).collect();
    assert_eq!(shown, all);
}

#[test]
fn codes_are_the_serialised_names() {
    for (cause, code) in SYNTAX_ERRORS {
        assert_eq!(cause.code(), code);
        assert_eq!(serde_json::to_value(cause).unwrap(), code);
    }
}

#[test]
fn more_broken_addresses_are_refused_for_the_right_cause() {
    use SyntaxError::*;
    for (given, cause) in [
        ("jane doe@example.org", WhiteSpace),
        ("jane@example\u{A0}.org", WhiteSpace),
        ("jane\r\n @example.org", WhiteSpace),
        ("<jane@example.org>", AngleBrackets),
        ("\u{FEFF}jane@example.org", InvisibleCharacter),
        ("jane@exam\u{AD}ple.org", InvisibleCharacter),
        ("jane@نامه\u{200C}ای.com", InvisibleCharacter),
        ("jane\u{85}x@example.org", ControlCharacter),
        ("a@b@example.org", MultipleAt),
        ("a\\@b@example.org", LocalCharacter),
        ("ja:ne@example.org", LocalCharacter),
        ("\u{1F600}@example.org", LocalCharacter),
        ("\u{301}jane@example.org", LocalCharacter),
        ("jane@exa_mple.org", DomainCharacter),
        ("jane@exämple_.org", DomainCharacter),
        ("jane@-exämple.org", DomainHyphenStart),
        ("jane@exämple-.org", DomainHyphenEnd),
        ("jane@ä..org", DomainDotDouble),
        ("jane@ä", DomainNoDot),
        ("jane@ä.①②③", TldNumeric),
        ("jane@\u{2603}\u{FE0F}.org", InvisibleCharacter),
        ("jane@אa.org", DomainIdn),
        ("jane@xn--exmple-cua-.de", DomainHyphenEnd),
        ("jane\u{FF20}example.org", MissingAt),
    ] {
        assert_eq!(refused(given).cause, cause, "{given:?}");
    }
}

#[test]
fn suggestions_are_addresses_and_never_guess_at_a_persons_name() {
    for (given, meant) in [
        ("jane@example.org,", "jane@example.org"),
        ("mailto:<jane@example.org>", "jane@example.org"),
        ("<mailto:jane@example.org>", "jane@example.org"),
        ("\"Doe, Jane\" <jane@example.org>;", "jane@example.org"),
        ("jane\u{FF20}example.org", "jane@example.org"),
        ("'jane@example .org'", "jane@example.org"),
        ("<jane@gmial.com>", "jane@gmail.com"),
    ] {
        assert_eq!(refused(given).suggestion.as_deref(), Some(meant), "{given:?}");
    }
    for given in
        ["jane doe@example.org", "jane(doe)@example.org", "a@b@example.org", "jane doe", "j\"d@example.org"]
    {
        assert_eq!(refused(given).suggestion, None, "{given:?}");
    }
    assert_eq!(refused(&"<".repeat(100_000)).suggestion, None);
}

#[test]
fn surrounding_white_space_is_trimmed_and_case_is_kept_before_the_at() {
    assert_eq!(normalized("\u{A0}\t Jane.DOE+Tag@Example.ORG \r\n"), "Jane.DOE+Tag@example.org");
}

#[test]
fn internationalised_domains_become_a_labels_and_are_shown_in_u_labels() {
    for (given, ascii, unicode) in [
        ("jane@exämple.de", "xn--exmple-cua.de", "exämple.de"),
        ("jane@EXÄMPLE.DE", "xn--exmple-cua.de", "exämple.de"),
        ("jane@exa\u{308}mple.de", "xn--exmple-cua.de", "exämple.de"),
        ("jane@XN--EXMPLE-CUA.de", "xn--exmple-cua.de", "exämple.de"),
        ("jane@straße.de", "xn--strae-oqa.de", "straße.de"),
        ("jane@παράδειγμα.δοκιμή", "xn--hxajbheg2az3al.xn--jxalpdlp", "παράδειγμα.δοκιμή"),
        ("jane@例え。テスト", "xn--r8jz45g.xn--zckzah", "例え.テスト"),
        ("jane@example.org", "example.org", "example.org"),
    ] {
        let address = EmailAddress::parse(given).unwrap();
        assert_eq!(address.domain(), ascii, "{given}");
        assert_eq!(address.domain_unicode(), unicode, "{given}");
        assert!(!address.requires_smtputf8(), "{given}");
    }
}

#[test]
fn utf8_local_parts_are_taken_in_nfc_and_say_that_they_need_smtputf8() {
    let address = EmailAddress::parse("mu\u{308}ller@example.org").unwrap();
    assert_eq!(address.local(), "müller");
    assert!(address.requires_smtputf8());
    for given in ["用户@例子.广告", "अजय@डाटा.भारत", "квіточка@пошта.укр", "Dörte@Sörensen.example.com"]
    {
        assert!(EmailAddress::parse(given).unwrap().requires_smtputf8(), "{given}");
    }
}

#[test]
fn lengths_are_counted_in_octets_after_encoding() {
    let at = |local: &str| EmailAddress::parse(&format!("{local}@example.org")).map_err(|e| e.cause);
    assert!(at(&"a".repeat(64)).is_ok());
    assert_eq!(at(&"a".repeat(65)), Err(SyntaxError::LocalTooLong));
    assert!(at(&"ü".repeat(32)).is_ok());
    assert_eq!(at(&"ü".repeat(33)), Err(SyntaxError::LocalTooLong));
    // 33 letters of two code points each: composed, they are 66 octets.
    assert!(at(&"u\u{308}".repeat(32)).is_ok());
    assert_eq!(at(&"u\u{308}".repeat(33)), Err(SyntaxError::LocalTooLong));

    let of_length = |total: usize| {
        let (label, local) = ("b".repeat(63), "a".repeat(64));
        let given = format!("{local}@{label}.{label}.{}.com", "c".repeat(total - 64 - 1 - 128 - 4));
        assert_eq!(given.len(), total);
        EmailAddress::parse(&given).map_err(|e| e.cause)
    };
    assert!(of_length(254).is_ok());
    assert_eq!(of_length(255), Err(SyntaxError::AddressTooLong));

    // `xn--` and the code count: 57 times ä is 63 octets as an A-label or not, whatever it is in UTF-8.
    let label = |n: usize| EmailAddress::parse(&format!("a@{}.de", "ä".repeat(n))).map_err(|e| e.cause);
    let fits = (1..64).filter(|n| label(*n).is_ok()).count();
    assert!(label(fits).is_ok_and(|a| a.domain().len() <= 63 + 3));
    assert_eq!(label(fits + 1), Err(SyntaxError::DomainLabelTooLong));

    assert_eq!(refused(&format!("a@{}", "b.".repeat(5000))).cause, SyntaxError::AddressTooLong);
}

#[test]
fn duplicates_are_found_whatever_the_case_and_dots_and_tags_stay_apart() {
    let parse = |given: &str| EmailAddress::parse(given).unwrap();
    assert_eq!(parse("Jane@Example.org").canonical(), parse("jane@example.ORG").canonical());
    assert_eq!(parse("MÜLLER@example.org").canonical(), parse("mu\u{308}ller@example.org").canonical());
    assert_ne!(parse("j.doe@gmail.com").canonical(), parse("jdoe@gmail.com").canonical());
    assert_eq!(parse("J.Doe+x@googlemail.com").mailbox_key(), "jdoe@gmail.com");
    assert_eq!(parse("j.doe+x@outlook.com").mailbox_key(), "j.doe@outlook.com");
    assert_eq!(parse("j.doe+x@example.org").mailbox_key(), "j.doe+x@example.org");
    assert_eq!(parse("+x@gmail.com").mailbox_key(), "+x@gmail.com");
}

#[test]
fn an_address_serialises_as_its_text_and_is_checked_when_read() {
    let address: EmailAddress = serde_json::from_str("\" Jane@EXAMPLE.org\"").unwrap();
    assert_eq!(serde_json::to_string(&address).unwrap(), "\"Jane@example.org\"");
    assert!(serde_json::from_str::<EmailAddress>("\"jane\"").unwrap_err().to_string().contains("no @"));
}
