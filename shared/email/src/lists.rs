//! The word lists: disposable domains, free providers, role local parts (sources and licences: `lists/README.md`).

use std::sync::LazyLock;

use fst::raw::{Fst, Output};

use crate::flags;

static DOMAINS: LazyLock<Fst<&'static [u8]>> =
    LazyLock::new(|| load(include_bytes!(concat!(env!("OUT_DIR"), "/domains.fst"))));
static FREE: LazyLock<Fst<&'static [u8]>> =
    LazyLock::new(|| load(include_bytes!(concat!(env!("OUT_DIR"), "/free.fst"))));
static ROLES: LazyLock<Fst<&'static [u8]>> =
    LazyLock::new(|| load(include_bytes!(concat!(env!("OUT_DIR"), "/roles.fst"))));

#[expect(clippy::expect_used, reason = "build.rs wrote these bytes with the same version of the same crate")]
fn load(bytes: &'static [u8]) -> Fst<&'static [u8]> {
    Fst::new(bytes).expect("an automaton that build.rs wrote")
}

/// What the lists say of a domain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DomainClass {
    /// The domain, or one above it, gives out throw-away mailboxes (curated list).
    pub disposable: bool,
    /// Two larger, noisier lists agree that it does; a weaker flag. Never set together with `disposable` or `free`.
    pub suspected_disposable: bool,
    /// Anyone can have a mailbox here. Never set together with `disposable`: the providers' lists hold both kinds.
    pub free: bool,
}

/// Looks up `domain` (lower-case A-labels). Parent domains count for disposable (`a.b.mailinator.com`), but an override
/// that allows the domain or one above it wins; free providers match exactly.
pub fn classify(domain: &str) -> DomainClass {
    let fst = &*DOMAINS;
    let bytes = domain.as_bytes();
    let (mut node, mut output, mut seen) = (fst.root(), Output::zero(), 0);
    for (index, byte) in bytes.iter().enumerate().rev() {
        let Some(found) = node.find_input(*byte) else { break };
        let step = node.transition(found);
        output = output.cat(step.out);
        node = fst.node(step.addr);
        if node.is_final() && (index == 0 || bytes[index - 1] == b'.') {
            seen |= output.cat(node.final_output()).value();
        }
    }
    if seen & flags::ALLOWED != 0 {
        seen &= !(flags::DISPOSABLE | flags::SUSPECTED);
    }
    let disposable = seen & flags::DISPOSABLE != 0;
    let free = is_free(domain);
    DomainClass {
        disposable,
        suspected_disposable: seen & flags::SUSPECTED != 0 && !disposable && !free,
        free,
    }
}

/// Whether anyone can have a mailbox at `domain` (lower-case A-labels), as [`DomainClass::free`] says.
pub(crate) fn is_free(domain: &str) -> bool {
    FREE.get(domain).is_some()
}

/// Whether `local` names a function and not a person (`support`, `no-reply`), ignoring case and a `+tag`.
pub fn is_role(local: &str) -> bool {
    let fst = &*ROLES;
    let mut node = fst.root();
    // A tag belongs to whatever stands before it; `+` itself begins no role.
    for byte in local.bytes().take_while(|b| *b != b'+') {
        match node.find_input(byte.to_ascii_lowercase()) {
            Some(found) => node = fst.node(node.transition_addr(found)),
            None => return false,
        }
    }
    node.is_final()
}

/// Bytes that the lists add to a binary.
pub fn compiled_size() -> usize {
    DOMAINS.as_bytes().len() + FREE.as_bytes().len() + ROLES.as_bytes().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disposable(domain: &str) -> bool {
        classify(domain).disposable
    }

    #[test]
    fn a_disposable_domain_is_found_at_any_depth_and_only_on_label_boundaries() {
        for domain in
            ["mailinator.com", "a.mailinator.com", "a.b.mailinator.com", "yopmail.com", "temp-mail.org"]
        {
            assert!(disposable(domain), "{domain}");
        }
        for domain in [
            "xmailinator-x.com",
            "my-mailinator.org",
            "mailinator.com.example.org",
            "com",
            "example.org",
            "mailinator.co",
            "",
        ] {
            assert!(!disposable(domain), "{domain}");
        }
    }

    #[test]
    fn relay_services_are_not_disposable_nor_suspected() {
        for domain in [
            "duck.com",
            "simplelogin.com",
            "mozmail.com",
            "passmail.net",
            "privaterelay.appleid.com",
            "anonaddy.me",
            "someone.anonaddy.com",
            "33mail.com",
            "x.33mail.com",
        ] {
            let class = classify(domain);
            assert!(!class.disposable && !class.suspected_disposable, "{domain}: {class:?}");
        }
    }

    #[test]
    fn free_providers_match_exactly_and_never_what_is_disposable_or_a_placeholder() {
        for domain in ["gmail.com", "yahoo.co.uk", "hotmail.fr", "proton.me", "gmx.de", "qq.com", "seznam.cz"]
        {
            assert_eq!(classify(domain), DomainClass { free: true, ..DomainClass::default() }, "{domain}");
        }
        for domain in
            ["mail.gmail.com", "mailinator.com", "yopmail.com", "example.com", "test.com", "facebook.com"]
        {
            assert!(!classify(domain).free, "{domain}");
        }
    }

    #[test]
    fn no_domain_is_both_free_and_disposable_or_suspected_in_the_shipped_lists() {
        for domain in include_str!("../lists/free.txt").lines() {
            let class = classify(domain);
            assert!(class.free ^ class.disposable, "{domain}: {class:?}");
            assert!(!class.suspected_disposable, "{domain}: {class:?}");
        }
        assert!(include_str!("../lists/suspected.txt").lines().any(|d| classify(d).suspected_disposable));
    }

    #[test]
    fn every_listed_disposable_domain_is_found_unless_an_override_allows_it() {
        let allowed: Vec<_> = include_str!("../lists/overrides.txt")
            .lines()
            .filter_map(|line| line.strip_prefix("allow "))
            .collect();
        for domain in include_str!("../lists/disposable.txt").lines() {
            let under = |parent: &&str| domain == *parent || domain.ends_with(&format!(".{parent}"));
            assert_eq!(disposable(domain), !allowed.iter().any(under), "{domain}");
        }
    }

    #[test]
    fn role_local_parts_are_found_whatever_the_case_or_tag() {
        for local in ["info", "INFO", "support", "no-reply", "noreply", "abuse", "postmaster", "sales+autumn"]
        {
            assert!(is_role(local), "{local}");
        }
        for local in ["jane", "informal", "inf", "", "+info", "alexa", "jane.sales", "müller"] {
            assert!(!is_role(local), "{local}");
        }
    }

    #[test]
    fn the_lists_stay_small_enough_to_ship_in_every_function() {
        assert!(compiled_size() < 400 * 1024, "{} bytes", compiled_size());
    }
}
