//! What an address is here: RFC 5321's dot-atom form with a host name, RFC 6531 letters allowed, and nothing else.
//!
//! Refused although some RFC has a form for it: quoted local parts, address literals, comments, folding white space
//! and obsolete forms. People who type those into a list mean something else, and hardly a provider takes them.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::chars::{self, Class};
use crate::repair;
use crate::syntax_error::{Refused, SyntaxError};

/// Octets in a local part (RFC 5321 section 4.5.3.1.1).
pub const MAX_LOCAL: usize = 64;
/// Octets in a domain in text form: 255 on the wire (RFC 1035 section 2.3.4), less the lengths at both ends.
pub const MAX_DOMAIN: usize = 253;
/// Octets in an address: a path of 256 (RFC 5321 section 4.5.3.1.3), less its `<` and `>`.
pub const MAX_ADDRESS: usize = 254;
/// Octets in a label (RFC 1035 section 2.3.4).
pub const MAX_LABEL: usize = 63;
/// Bytes looked at before encoding. No address of 254 octets has a longer Unicode form worth reading.
const MAX_INPUT: usize = 2048;

/// A mail address that keeps the product rule, normalised: local part as given (NFC), domain in lower-case A-labels.
///
/// Made only by parsing, so nothing behind the door needs to check again. Equality is that of [`Self::normalized`].
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EmailAddress {
    text: Box<str>,
    /// Where the `@` is: a local part has at most 64 octets.
    at: u8,
}

impl EmailAddress {
    /// Reads an address. Surrounding white space (Unicode `White_Space`, so a trailing LF or CR LF too) is trimmed;
    /// anything else that does not belong is refused, with a suggestion where what was meant is plain.
    pub fn parse(input: &str) -> Result<Self, Refused> {
        parse_strict(input).map_err(|cause| Refused { cause, suggestion: repair::suggest(input, cause) })
    }

    /// The part before the `@`: case kept, NFC.
    pub fn local(&self) -> &str {
        &self.text[..usize::from(self.at)]
    }

    /// The part after the `@`: lower-case A-labels, no trailing dot. The key for DNS.
    pub fn domain(&self) -> &str {
        &self.text[usize::from(self.at) + 1..]
    }

    /// The domain for display: A-labels decoded to U-labels.
    pub fn domain_unicode(&self) -> Cow<'_, str> {
        match has_alabel(self.domain()) {
            true => Uts46::new().to_unicode(self.domain().as_bytes(), AsciiDenyList::STD3, Hyphens::Allow).0,
            false => Cow::Borrowed(self.domain()),
        }
    }

    /// `local@domain` as it goes into SMTP. Parsing it again gives the same address.
    pub fn normalized(&self) -> &str {
        &self.text
    }

    /// The key by which a list finds duplicates: as normalised, the local part in lower case. RFC 5321 lets a server
    /// tell `Jane@` from `jane@`; none that a list meets does. Dots and tags are kept: see [`Self::mailbox_key`].
    pub fn canonical(&self) -> Cow<'_, str> {
        let local = self.local();
        match local.is_ascii() {
            true if !local.bytes().any(|b| b.is_ascii_uppercase()) => Cow::Borrowed(&self.text),
            true => Cow::Owned(format!("{}@{}", local.to_ascii_lowercase(), self.domain())),
            false => Cow::Owned(format!("{}@{}", local.to_lowercase().nfc(), self.domain())),
        }
    }

    /// The mailbox behind the address at providers that are known to ignore a `+tag` (and Gmail, dots).
    ///
    /// A hint for reports only. Not for finding duplicates: `j.doe@gmail.com` and `jdoe@gmail.com` are two rows that
    /// somebody paid to have answered, and each must come back with its own text.
    pub fn mailbox_key(&self) -> String {
        let key = self.canonical();
        let Some((local, domain)) = key.rsplit_once('@') else { return key.into_owned() };
        let untagged = match local.split_once('+') {
            Some((before, _)) if !before.is_empty() => before,
            _ => local,
        };
        match domain {
            "gmail.com" | "googlemail.com" => format!("{}@gmail.com", untagged.replace('.', "")),
            "outlook.com" | "hotmail.com" | "live.com" | "icloud.com" | "me.com" | "mac.com"
            | "proton.me" | "protonmail.com" | "pm.me" | "fastmail.com" => format!("{untagged}@{domain}"),
            _ => key.into_owned(),
        }
    }

    /// Whether the receiving server must offer SMTPUTF8 (RFC 6531): the local part is not ASCII.
    pub fn requires_smtputf8(&self) -> bool {
        !self.local().is_ascii()
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmailAddress({:?})", self.text)
    }
}

impl FromStr for EmailAddress {
    type Err = Refused;
    fn from_str(input: &str) -> Result<Self, Refused> {
        Self::parse(input)
    }
}

impl TryFrom<String> for EmailAddress {
    type Error = Refused;
    fn try_from(input: String) -> Result<Self, Refused> {
        Self::parse(&input)
    }
}

impl From<EmailAddress> for String {
    fn from(address: EmailAddress) -> Self {
        address.text.into_string()
    }
}

/// The rule itself, without looking for a suggestion.
pub(crate) fn parse_strict(input: &str) -> Result<EmailAddress, SyntaxError> {
    let text = input.trim();
    if text.is_empty() {
        return Err(SyntaxError::Empty);
    }
    if text.len() > MAX_INPUT {
        return Err(SyntaxError::AddressTooLong);
    }
    let class = chars::classes(text);
    if class.is_suspicious() {
        refuse_foreign(text, class)?;
    }
    let at = text.rfind('@').ok_or(SyntaxError::MissingAt)?;
    let local = check_local(&text[..at])?;
    let domain = check_domain(&text[at + 1..])?;
    let length = local.len() + 1 + domain.len();
    if length > MAX_ADDRESS {
        return Err(SyntaxError::AddressTooLong);
    }
    let mut text = String::with_capacity(length);
    text.push_str(&local);
    text.push('@');
    text.push_str(&domain);
    text[local.len()..].make_ascii_lowercase();
    Ok(EmailAddress { text: text.into_boxed_str(), at: u8::try_from(local.len()).unwrap_or(u8::MAX) })
}

/// Refuses what stands around or inside an address and belongs to none, before anything is split.
fn refuse_foreign(text: &str, class: Class) -> Result<(), SyntaxError> {
    if class.has(Class::NON_ASCII) {
        for c in text.chars().filter(|c| !c.is_ascii()) {
            if chars::is_bidi_control(c) {
                return Err(SyntaxError::BidiCharacter);
            } else if chars::is_invisible(c) {
                return Err(SyntaxError::InvisibleCharacter);
            } else if c.is_control() {
                return Err(SyntaxError::ControlCharacter);
            } else if c.is_whitespace() {
                return Err(SyntaxError::WhiteSpace);
            }
        }
    }
    let refused = [
        (class.has(Class::CONTROL), SyntaxError::ControlCharacter),
        (class.has(Class::COLON) && repair::has_mailto(text), SyntaxError::Mailto),
        (class.has(Class::ANGLE), SyntaxError::AngleBrackets),
        (class.has(Class::QUOTE), SyntaxError::Quoted),
        (class.has(Class::PAREN), SyntaxError::Comment),
        (class.has(Class::SPACE), SyntaxError::WhiteSpace),
    ];
    match refused.into_iter().find(|(is, _)| *is) {
        Some((_, cause)) => Err(cause),
        None => Ok(()),
    }
}

fn check_local(given: &str) -> Result<Cow<'_, str>, SyntaxError> {
    let local: Cow<'_, str> = match given.is_ascii() || unicode_normalization::is_nfc(given) {
        true => given.into(),
        false => given.nfc().collect::<String>().into(),
    };
    let bytes = local.as_bytes();
    match bytes {
        [] => return Err(SyntaxError::LocalEmpty),
        [b'.', ..] => return Err(SyntaxError::LocalDotStart),
        [.., b'.'] => return Err(SyntaxError::LocalDotEnd),
        _ => {}
    }
    let mut previous = 0;
    for &byte in bytes {
        match byte {
            b'.' if previous == b'.' => return Err(SyntaxError::LocalDotDouble),
            b'@' => return Err(SyntaxError::MultipleAt),
            b'.' | 0x80.. => {}
            _ if chars::is_atext(byte) => {}
            _ => return Err(SyntaxError::LocalCharacter),
        }
        previous = byte;
    }
    if !local.is_ascii() {
        // A mark needs a letter to sit on; one at the start would join the character before the address.
        if local.starts_with(is_combining_mark)
            || !local.chars().all(|c| c.is_ascii() || c.is_alphanumeric() || is_combining_mark(c))
        {
            return Err(SyntaxError::LocalCharacter);
        }
    }
    if bytes.len() > MAX_LOCAL {
        return Err(SyntaxError::LocalTooLong);
    }
    Ok(local)
}

fn check_domain(given: &str) -> Result<Cow<'_, str>, SyntaxError> {
    if given.starts_with('[') {
        return Err(SyntaxError::AddressLiteral);
    }
    if given.is_ascii() && !has_alabel(given) {
        check_host_name(given)?;
        return Ok(given.into());
    }
    if given.bytes().any(|b| b.is_ascii() && b != b'.' && !chars::is_ldh(b)) {
        return Err(SyntaxError::DomainCharacter);
    }
    if given.is_ascii() {
        // Lengths, dots and hyphens before the decoder calls them all one thing.
        check_host_name(given)?;
    }
    let uts46 = Uts46::new();
    let ascii = uts46
        .to_ascii(given.as_bytes(), AsciiDenyList::STD3, Hyphens::Allow, DnsLength::Ignore)
        .map_err(|_| SyntaxError::DomainIdn)?;
    check_host_name(&ascii)?;
    // `-ä` becomes `xn-----…`, so the hyphen rule is looked at in U-labels as well.
    for label in uts46.to_unicode(ascii.as_bytes(), AsciiDenyList::STD3, Hyphens::Allow).0.split('.') {
        if label.starts_with('-') {
            return Err(SyntaxError::DomainHyphenStart);
        } else if label.ends_with('-') {
            return Err(SyntaxError::DomainHyphenEnd);
        }
    }
    Ok(Cow::Owned(ascii.into_owned()))
}

/// RFC 1123 section 2.1 and RFC 1035 section 2.3.4, plus: a dot somewhere, and letters in the last label.
fn check_host_name(domain: &str) -> Result<(), SyntaxError> {
    let bytes = domain.as_bytes();
    match bytes {
        [] => return Err(SyntaxError::DomainEmpty),
        [b'.', ..] => return Err(SyntaxError::DomainDotStart),
        [.., b'.'] => return Err(SyntaxError::DomainDotEnd),
        _ => {}
    }
    let (mut label, mut dots, mut digits_only, mut previous) = (0, 0, true, b'.');
    let mut too_long = false;
    for &byte in bytes {
        if byte == b'.' {
            match previous {
                b'.' => return Err(SyntaxError::DomainDotDouble),
                b'-' => return Err(SyntaxError::DomainHyphenEnd),
                _ => {}
            }
            dots += 1;
            (label, digits_only) = (0, true);
        } else if !chars::is_ldh(byte) {
            return Err(if byte == b'@' { SyntaxError::MultipleAt } else { SyntaxError::DomainCharacter });
        } else if byte == b'-' && label == 0 {
            return Err(SyntaxError::DomainHyphenStart);
        } else {
            label += 1;
            digits_only &= byte.is_ascii_digit();
            too_long |= label > MAX_LABEL;
        }
        previous = byte;
    }
    let broken = [
        (previous == b'-', SyntaxError::DomainHyphenEnd),
        (too_long, SyntaxError::DomainLabelTooLong),
        (dots == 0, SyntaxError::DomainNoDot),
        (digits_only, SyntaxError::TldNumeric),
        (bytes.len() > MAX_DOMAIN, SyntaxError::DomainTooLong),
    ];
    match broken.into_iter().find(|(is, _)| *is) {
        Some((_, cause)) => Err(cause),
        None => Ok(()),
    }
}

/// Whether a label starts with `xn--`.
fn has_alabel(domain: &str) -> bool {
    domain.as_bytes().windows(4).enumerate().any(|(at, window)| {
        window.eq_ignore_ascii_case(b"xn--") && (at == 0 || domain.as_bytes()[at - 1] == b'.')
    })
}
