//! `gmial.com` → `gmail.com`: domains that are one slip away from a big provider, and endings that do not exist.
//!
//! Runs for every address, so all but a few domains are settled by comparing a word or two; only what is left pays for
//! an edit distance.

use std::borrow::Cow;

use crate::syntax::EmailAddress;

/// Endings that no registry has, with what was meant.
const SLIPS: &[(&str, &str)] = &[
    ("con", "com"),
    ("cmo", "com"),
    ("ocm", "com"),
    ("comm", "com"),
    ("coom", "com"),
    ("ccom", "com"),
    ("vom", "com"),
    ("xom", "com"),
    ("cpm", "com"),
    ("cim", "com"),
    ("clm", "com"),
    ("c0m", "com"),
    ("cok", "com"),
    ("conm", "com"),
    ("copm", "com"),
    ("comn", "com"),
    ("cmm", "com"),
    ("ckm", "com"),
    ("comc", "com"),
    ("nte", "net"),
    ("ent", "net"),
    ("nett", "net"),
    ("ner", "net"),
    ("nrt", "net"),
    ("met", "net"),
    ("ogr", "org"),
    ("orgg", "org"),
    ("rog", "org"),
    ("prg", "org"),
    ("irg", "org"),
    ("orh", "org"),
    ("couk", "co.uk"),
    ("co.ku", "co.uk"),
    ("co.u", "co.uk"),
    ("co.k", "co.uk"),
    ("co.ukk", "co.uk"),
];

/// Endings that do exist, but where none of the providers that live at `.com` takes mail.
const PROVIDER_SLIPS: &[&str] = &["co", "cm", "om", "cam", "c"];

/// A provider, split at its first dot.
struct Target {
    domain: &'static str,
    name: &'static str,
    ending: &'static str,
    letters: u32,
    /// Slips allowed in `name`. Short names have neighbours that are real, so they are matched exactly.
    budget: usize,
}

const fn target(domain: &'static str, budget: usize) -> Target {
    let mut dot = 0;
    while domain.as_bytes()[dot] != b'.' {
        dot += 1;
    }
    let (name, rest) = domain.split_at(dot);
    Target { domain, name, ending: rest.split_at(1).1, letters: letters(name), budget }
}

const TARGETS: &[Target] = &[
    target("gmail.com", 1),
    target("yahoo.com", 1),
    target("hotmail.com", 1),
    target("outlook.com", 1),
    target("icloud.com", 1),
    target("googlemail.com", 2),
    target("protonmail.com", 2),
    target("rocketmail.com", 2),
    target("rediffmail.com", 2),
    target("fastmail.com", 1),
    target("yandex.com", 1),
    target("yandex.ru", 1),
    target("proton.me", 1),
    target("comcast.net", 1),
    target("sbcglobal.net", 2),
    target("bellsouth.net", 2),
    target("btinternet.com", 2),
    target("yahoo.co.uk", 1),
    target("hotmail.co.uk", 1),
    target("yahoo.fr", 1),
    target("hotmail.fr", 1),
    target("outlook.fr", 1),
    target("orange.fr", 1),
    target("wanadoo.fr", 1),
    target("laposte.net", 1),
    target("yahoo.de", 1),
    target("hotmail.de", 1),
    target("outlook.de", 1),
    target("freenet.de", 1),
    target("t-online.de", 1),
    target("yahoo.it", 1),
    target("hotmail.it", 1),
    target("libero.it", 1),
    target("yahoo.es", 1),
    target("hotmail.es", 1),
    target("yahoo.co.in", 1),
    target("aol.com", 0),
    target("live.com", 0),
    target("msn.com", 0),
    target("ymail.com", 0),
    target("mail.com", 0),
    target("me.com", 0),
    target("mac.com", 0),
    target("gmx.com", 0),
];

/// Real domains next to a provider's.
const REAL: &[&str] = &["cloud.com", "grail.com", "gail.com", "grange.fr", "mail.com"];

/// Which letters a name has, as bits. One slip changes at most two of them.
const fn letters(name: &str) -> u32 {
    let (mut bits, mut at) = (0, 0);
    while at < name.len() {
        let byte = name.as_bytes()[at];
        bits |= if byte.is_ascii_lowercase() { 1 << (byte - b'a') } else { 1 << 26 };
        at += 1;
    }
    bits
}

/// What was probably meant by `domain` (lower-case A-labels), if not itself. The caller has made sure that it is no known
/// provider: `ymail.com` is one letter from `gmail.com`.
pub(crate) fn suggest(domain: &str) -> Option<Cow<'static, str>> {
    let (name, ending) = domain.split_once('.')?;
    if REAL.contains(&domain) {
        return None;
    }
    let meant = slip(ending);
    let ending = match PROVIDER_SLIPS.contains(&ending) {
        true => "com",
        false => meant.unwrap_or(ending),
    };
    let letters = letters(name);
    let mut best: Option<(usize, &Target)> = None;
    for target in TARGETS {
        if target.name.len().abs_diff(name.len()) > target.budget
            || (target.letters ^ letters).count_ones() as usize > 2 * target.budget
            || target.ending != ending
        {
            continue;
        }
        let distance = match target.budget {
            0 => usize::from(target.name != name),
            _ => strsim::osa_distance(target.name, name),
        };
        if distance <= target.budget
            && best.is_none_or(|(least, _)| distance < least)
            && (distance < 2 || target.name.as_bytes()[0] == name.as_bytes()[0])
            && !another_initial(target.name, name)
        {
            best = Some((distance, target));
        }
    }
    match best {
        Some((_, target)) => (target.domain != domain).then_some(Cow::Borrowed(target.domain)),
        // Google has no mail at gmail.de or gmail.net, and never had at gmail.co.uk.
        None if name == "gmail" => Some(Cow::Borrowed("gmail.com")),
        // Any company's `.con`: the ending is the slip, the name stays.
        None => match meant {
            Some(meant) => Some(Cow::Owned(format!("{name}.{meant}"))),
            None => {
                let (stem, last) = domain.rsplit_once('.')?;
                slip(last).map(|meant| Cow::Owned(format!("{stem}.{meant}")))
            }
        },
    }
}

/// The same mailbox at the domain that was probably meant. The caller has made sure that its domain is no provider's.
pub(crate) fn suggest_address(address: &EmailAddress) -> Option<String> {
    suggest(address.domain()).map(|domain| format!("{}@{domain}", address.local()))
}

/// The provider that `gmailcom` or `hotmailcouk` was meant to be.
pub(crate) fn missing_dot(domain: &str) -> Option<&'static str> {
    let plain = |target: &&Target| {
        let mut rest = domain.as_bytes();
        let letters = target.domain.bytes().filter(|b| *b != b'.');
        letters.into_iter().all(|b| rest.split_off_first().is_some_and(|c| c.eq_ignore_ascii_case(&b)))
            && rest.is_empty()
    };
    match domain.contains('.') {
        true => None,
        false => TARGETS.iter().find(plain).map(|target| target.domain),
    }
}

/// What an ending that does not exist stands for.
fn slip(ending: &str) -> Option<&'static str> {
    match ending {
        "com" | "net" | "org" | "de" | "co.uk" => None,
        _ => SLIPS.iter().find(|(slip, _)| *slip == ending).map(|(_, meant)| *meant),
    }
}

/// A first letter that was swapped for one far away on the keyboard is another name (`email`, `fmail`), not a slip.
fn another_initial(target: &str, name: &str) -> bool {
    let (a, b) = (target.as_bytes(), name.as_bytes());
    a.len() == b.len() && a[0] != b[0] && a[1..] == b[1..] && !adjacent(a[0], b[0])
}

fn adjacent(a: u8, b: u8) -> bool {
    const ROWS: [&[u8]; 3] = [b"qwertyuiop", b"asdfghjkl", b"zxcvbnm"];
    let place = |key: u8| {
        ROWS.iter().enumerate().find_map(|(row, keys)| Some((row, keys.iter().position(|k| *k == key)?)))
    };
    match (place(a), place(b)) {
        (Some((row_a, a)), Some((row_b, b))) => row_a.abs_diff(row_b) <= 1 && a.abs_diff(b) <= 1,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_lead_to_the_provider_that_was_meant() {
        for (typed, meant) in [
            ("gmial.com", "gmail.com"),
            ("gmail.con", "gmail.com"),
            ("gmial.con", "gmail.com"),
            ("gmai.com", "gmail.com"),
            ("gmaill.com", "gmail.com"),
            ("gnail.com", "gmail.com"),
            ("hmail.com", "gmail.com"),
            ("gmail.co", "gmail.com"),
            ("gmail.cm", "gmail.com"),
            ("gmail.net", "gmail.com"),
            ("gmail.co.uk", "gmail.com"),
            ("hotmial.com", "hotmail.com"),
            ("hotmai.com", "hotmail.com"),
            ("hotmal.co", "hotmail.com"),
            ("hitmail.com", "hotmail.com"),
            ("yaho.com", "yahoo.com"),
            ("yahooo.com", "yahoo.com"),
            ("yhaoo.com", "yahoo.com"),
            ("ahoo.com", "yahoo.com"),
            ("yahoo.couk", "yahoo.co.uk"),
            ("yaho.co.uk", "yahoo.co.uk"),
            ("outlok.com", "outlook.com"),
            ("outllok.com", "outlook.com"),
            ("iclud.com", "icloud.com"),
            ("icloud.cmo", "icloud.com"),
            ("protonmial.com", "protonmail.com"),
            ("protnmal.com", "protonmail.com"),
            ("porton.me", "proton.me"),
            ("comcst.net", "comcast.net"),
            ("aol.con", "aol.com"),
            ("live.cm", "live.com"),
            ("acme.con", "acme.com"),
            ("mail.acme.con", "mail.acme.com"),
            ("acme.ogr", "acme.org"),
            ("acme.nte", "acme.net"),
            ("acme.couk", "acme.co.uk"),
        ] {
            assert_eq!(suggest(typed).as_deref(), Some(meant), "{typed}");
        }
    }

    #[test]
    fn real_names_next_to_a_provider_are_left_alone() {
        for domain in [
            "gmail.com",
            "yahoo.com",
            "hotmail.co.uk",
            "cloud.com",
            "grail.com",
            "email.com",
            "hotmart.com",
            "horizon.net",
            "example.org",
            "acme.com",
            "acme.co",
            "acme.cm",
            "love.com",
            "all.com",
            "mac.org",
            "topmail.com",
            "wahoo.com",
            "yahoo.co.jp",
            "a.b",
            "nodot",
            "xn--exmple-cua.de",
            "mail.gmial.com",
        ] {
            assert_eq!(suggest(domain), None, "{domain}");
        }
    }

    #[test]
    fn a_provider_without_its_dot_is_recognised() {
        assert_eq!(missing_dot("gmailcom"), Some("gmail.com"));
        assert_eq!(missing_dot("HotmailCoUk"), Some("hotmail.co.uk"));
        assert_eq!(missing_dot("localhost"), None);
        assert_eq!(missing_dot("gmail.com"), None);
        assert_eq!(missing_dot(""), None);
    }
}
