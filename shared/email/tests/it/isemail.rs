//! The facts of the public isemail suite (dominicsayers/isemail, test/tests.xml, version 3.05) that this product has
//! decided on: each address, the category the suite puts it in, and what is done with it here.

use email::{EmailAddress, SyntaxError};

/// Accepted, with the address as normalised.
const ACCEPT: &[(&str, &str, &str)] = &[
    ("test@iana.org", "VALID", "test@iana.org"),
    ("test@nominet.org.uk", "VALID", "test@nominet.org.uk"),
    ("a@iana.org", "VALID", "a@iana.org"),
    ("test.test@iana.org", "VALID", "test.test@iana.org"),
    ("!#$%&`*+/=?^`{|}~@iana.org", "VALID", "!#$%&`*+/=?^`{|}~@iana.org"),
    ("123@iana.org", "VALID", "123@iana.org"),
    ("test@123.com", "VALID", "test@123.com"),
    ("test@mason-dixon.com", "VALID", "test@mason-dixon.com"),
    ("test@c--n.com", "VALID", "test@c--n.com"),
    ("test@xn--hxajbheg2az3al.xn--jxalpdlp", "VALID", "test@xn--hxajbheg2az3al.xn--jxalpdlp"),
    // The suite's DNS warnings are about records, not syntax.
    ("test@e.com", "DNSWARN", "test@e.com"),
    ("test@iana.a", "DNSWARN", "test@iana.a"),
    ("test@iana.co-uk", "DNSWARN", "test@iana.co-uk"),
    // White space around a cell is not part of the address. A trailing line feed is an error to the suite and trimmed
    // here: every list that was split on line ends has some.
    (" test@iana.org", "CFWS FWS", "test@iana.org"),
    ("test@iana.org\n", "ERR", "test@iana.org"),
];

/// Refused, with the first rule broken.
const REJECT: &[(&str, &str, SyntaxError)] = &[
    ("", "ERR NODOMAIN", SyntaxError::Empty),
    ("test", "ERR NODOMAIN", SyntaxError::MissingAt),
    ("@", "ERR NOLOCALPART", SyntaxError::LocalEmpty),
    ("test@", "ERR NODOMAIN", SyntaxError::DomainEmpty),
    ("@iana.org", "ERR NOLOCALPART", SyntaxError::LocalEmpty),
    ("test@io", "RFC5321 TLD", SyntaxError::DomainNoDot),
    ("test@org", "RFC5321 TLD", SyntaxError::DomainNoDot),
    ("test@iana.123", "RFC5321 TLDNUMERIC", SyntaxError::TldNumeric),
    ("test@255.255.255.255", "RFC5321 TLDNUMERIC", SyntaxError::TldNumeric),
    (".test@iana.org", "ERR DOT_START", SyntaxError::LocalDotStart),
    ("test.@iana.org", "ERR DOT_END", SyntaxError::LocalDotEnd),
    ("test@.iana.org", "ERR DOT_START", SyntaxError::DomainDotStart),
    ("test@iana.org.", "ERR DOT_END", SyntaxError::DomainDotEnd),
    ("test@iana..com", "ERR CONSECUTIVEDOTS", SyntaxError::DomainDotDouble),
    ("test@-iana.org", "ERR DOMAINHYPHENSTART", SyntaxError::DomainHyphenStart),
    ("test@iana-.com", "ERR DOMAINHYPHENEND", SyntaxError::DomainHyphenEnd),
    ("\"test\"@iana.org", "RFC5321 QUOTEDSTRING", SyntaxError::Quoted),
    ("test\"@iana.org", "ERR EXPECTING_ATEXT", SyntaxError::Quoted),
    ("test@[255.255.255.255]", "RFC5321 ADDRESSLITERAL", SyntaxError::AddressLiteral),
    ("test@[255.255.255.256]", "RFC5322 DOMAINLITERAL", SyntaxError::AddressLiteral),
    ("(comment)test@iana.org", "CFWS COMMENT", SyntaxError::Comment),
    ("test@iana/icann.org", "RFC5322 DOMAIN", SyntaxError::DomainCharacter),
];

#[test]
fn the_suites_addresses_that_keep_the_product_rule_are_accepted() {
    for (given, category, normalized) in ACCEPT {
        let address = EmailAddress::parse(given);
        assert_eq!(address.as_ref().map(EmailAddress::normalized), Ok(*normalized), "{given:?} ({category})");
    }
}

#[test]
fn the_suites_other_addresses_are_refused_for_a_named_cause() {
    for (given, category, cause) in REJECT {
        let refused = EmailAddress::parse(given).map_err(|refused| refused.cause);
        assert_eq!(refused, Err(*cause), "{given:?} ({category})");
    }
}
