//! What was probably meant by a text that is no address. Offered, never applied.

use std::borrow::Cow;

use crate::chars;
use crate::syntax::parse_strict;
use crate::syntax_error::SyntaxError;
use crate::{lists, typo};

/// No text longer than this is worth mending.
const MAX_MENDED: usize = 512;

/// `mailto:` at the start, whatever the case (RFC 6068).
pub(crate) fn has_mailto(text: &str) -> bool {
    text.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("mailto:"))
}

/// An address that parses, and that differs from `input` only by what belongs to no address.
pub(crate) fn suggest(input: &str, cause: SyntaxError) -> Option<String> {
    // Quotation marks and comments carry text; leaving it out would be a guess at another person's mailbox.
    if input.len() > MAX_MENDED || matches!(cause, SyntaxError::Empty | SyntaxError::Comment) {
        return None;
    }
    let mut text: String = input
        .chars()
        .filter(|&c| {
            let control = c.is_control() && !c.is_whitespace();
            !(control || chars::is_bidi_control(c) || chars::is_invisible(c))
        })
        .map(|c| if c == '\u{FF20}' { '@' } else { c })
        .collect();
    // `Jane Doe <jane@example.org>`: what stands between the last brackets is the address.
    if let Some((_, inner)) = text.rsplit_once('<') {
        text = inner.split_once('>').map_or(inner, |(address, _)| address).to_owned();
    }
    let mut bare = text.trim();
    if has_mailto(bare) {
        bare = bare[7..].split('?').next().unwrap_or_default();
    }
    let bare = bare.trim_matches(|c: char| c.is_whitespace() || "\"',;:.<>".contains(c));
    let (local, domain) = bare.rsplit_once('@')?;
    // `a@@b.com`, `a @b.com`, `a@b..com`, `a@b,com`.
    let local = local.trim_end_matches('@').trim_end();
    let domain =
        domain.trim_start().replace(',', ".").replace(" .", ".").replace(". ", ".").replace("..", ".");
    let domain = match typo::missing_dot(&domain) {
        Some(meant) => Cow::Borrowed(meant),
        None => Cow::Owned(domain),
    };
    let mended = parse_strict(&format!("{local}@{domain}")).ok()?;
    let slip = if lists::is_free(mended.domain()) { None } else { typo::suggest_address(&mended) };
    Some(slip.unwrap_or_else(|| String::from(mended)))
}
