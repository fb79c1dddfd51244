//! The signature of PayFast, over form fields in their order: MD5 of `name=value&…&passphrase=…`, each value as PHP's `urlencode`
//! writes it (<https://developers.payfast.co.za/docs>; vectors C1 to C7 in checkout.rs and I1 to I5 in notice.rs were made by that page's PHP code).

use md5::{Digest as _, Md5};
use piecework_core::hex;
use secrecy::{ExposeSecret as _, SecretString};

/// What PHP's `trim` takes off both ends.
const BLANK: [char; 6] = [' ', '\t', '\n', '\r', '\0', '\u{b}'];

/// PHP's `trim`.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(BLANK)
}

/// PHP's `urlencode`: letters, digits and `-_.` stay, a space is `+`, everything else `%XX`. So `~!'()*` are encoded, which other
/// languages' functions leave alone.
pub(super) fn encode(octets: &[u8], to: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &octet in octets {
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => to.push(char::from(octet)),
            b' ' => to.push('+'),
            _ => {
                to.push('%');
                to.push(char::from(DIGITS[usize::from(octet >> 4)]));
                to.push(char::from(DIGITS[usize::from(octet & 15)]));
            }
        }
    }
}

/// PHP's `urldecode`: a `%` that two hexadecimal digits do not follow stands for itself.
pub(super) fn decode(text: &[u8]) -> Vec<u8> {
    let digit =
        |at: usize| text.get(at).and_then(|b| char::from(*b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
    let (mut octets, mut at) = (Vec::with_capacity(text.len()), 0);
    while let Some(&octet) = text.get(at) {
        let (octet, used) = match (octet, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => (high << 4 | low, 3),
            (b'+', ..) => (b' ', 1),
            (other, ..) => (other, 1),
        };
        octets.push(octet);
        at += used;
    }
    octets
}

/// `name=value&…` of fields in this order.
pub(super) fn joined<'a>(fields: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut text = String::new();
    for (name, value) in fields {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        encode(value, &mut text);
    }
    text
}

/// The signature of such a text: MD5 in small letters, with the account's passphrase behind it if there is one.
pub(super) fn signature(mut text: String, passphrase: Option<&SecretString>) -> String {
    if let Some(passphrase) = passphrase {
        text.push_str("&passphrase=");
        encode(trim(passphrase.expose_secret()).as_bytes(), &mut text);
    }
    hex(&Md5::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_is_that_of_php_and_decoding_its_inverse() {
        let mut all = String::new();
        encode("aZ09-_. ~!'()*@/&=+%é😀\n".as_bytes(), &mut all);
        assert_eq!(all, "aZ09-_.+%7E%21%27%28%29%2A%40%2F%26%3D%2B%25%C3%A9%F0%9F%98%80%0A");
        let octets: Vec<u8> = (0..=255).collect();
        let mut text = String::new();
        encode(&octets, &mut text);
        assert_eq!(decode(text.as_bytes()), octets);
        for (odd, octets) in
            [("%", "%"), ("%4", "%4"), ("%zz", "%zz"), ("a%", "a%"), ("%%41", "%A"), ("%c3%A9+b", "é b")]
        {
            assert_eq!(decode(odd.as_bytes()), octets.as_bytes(), "{odd}");
        }
        assert_eq!(trim(" \t\n\r\0\u{b}a b\u{a0} "), "a b\u{a0}");
    }
}
