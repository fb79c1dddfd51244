//! `Paddle-Signature: ts=<seconds>;h1=<hex>`: HMAC-SHA256 over `ts`, a colon and the body's very octets. During the rotation of a
//! secret there are several `h1`, and any of them may be by any of our secrets
//! (<https://developer.paddle.com/webhooks/signature-verification>).

use jiff::{SignedDuration, Timestamp};
use piecework_core::hex;
use ring::hmac;
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

/// Why a call is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no header, or none with a time and a signature.
    #[error("there is no Paddle-Signature header with ts and h1")]
    Unsigned,
    /// No signature is by any of our secrets over this body.
    #[error("the signature does not match")]
    Wrong,
    /// It is signed, and too old or of the future, by so many seconds.
    #[error("the signature is {0} s away from the time")]
    Stale(i64),
}

/// Whether `header` signs `body` by one of the secrets, at most `tolerance` away from `now`.
pub fn verify(
    header: Option<&str>,
    body: &[u8],
    secrets: &[SecretString],
    tolerance: SignedDuration,
    now: Timestamp,
) -> Result<(), Refusal> {
    let (mut time, mut signatures) = (None, Vec::new());
    // Other keys may come one day; what we know must be there once.
    for (key, value) in header.unwrap_or_default().split(';').filter_map(|part| part.split_once('=')) {
        match key {
            "ts" if time.is_some() => return Err(Refusal::Unsigned),
            "ts" => time = Some(value),
            "h1" => signatures.push(value),
            _ => {}
        }
    }
    let (Some(text), false) = (time, signatures.is_empty()) else { return Err(Refusal::Unsigned) };
    let digits = !text.is_empty() && text.len() <= 12 && text.bytes().all(|b| b.is_ascii_digit());
    let signed_at: i64 = if digits { text.parse().unwrap_or(0) } else { return Err(Refusal::Unsigned) };
    let mut matches = false;
    for secret in secrets {
        let ours = mac(secret, text, body);
        for theirs in signatures.iter().filter_map(|text| octets(text)) {
            matches |= bool::from(ours.as_ref().ct_eq(&theirs));
        }
    }
    if !matches {
        return Err(Refusal::Wrong);
    }
    let age = now.as_second() - signed_at;
    if age.abs() > tolerance.as_secs() { Err(Refusal::Stale(age)) } else { Ok(()) }
}

/// A header as Paddle would send it: for stand-ins and tests.
pub fn sign(secret: &SecretString, at: Timestamp, body: &[u8]) -> String {
    let time = at.as_second().to_string();
    format!("ts={time};h1={}", hex(mac(secret, &time, body).as_ref()))
}

fn mac(secret: &SecretString, time: &str, body: &[u8]) -> hmac::Tag {
    let mut context =
        hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes()));
    context.update(time.as_bytes());
    context.update(b":");
    context.update(body);
    context.sign()
}

/// The 32 octets that 64 digits of hexadecimal in lower case say.
fn octets(text: &str) -> Option<[u8; 32]> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let mut octets = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (octet, pair) in octets.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *octet = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S1: &str = "pdl_ntfset_01gkdqv7m8k9x2test_AbC/dEf+123";
    const S2: &str = "pdl_ntfset_01hrotated_secret_ZyX";
    const P1: &str = "d2dd94e3dd2d9b7332d62dabad6c0142d8de8922143fa5fcd29a0c48224c4dbb";
    const P6: &str = "ea680be1e4788edb0c428d4223f38746c5ec86f62040110d70e7aaf2495133f2";
    const P2_BODY: &str = r#"{"event_id":"evt_01hv8x29kz0t586xy6zn1a62ny","event_type":"transaction.completed","occurred_at":"2024-04-12T10:37:59.556997Z","notification_id":"ntf_01hv8x2axqzqzqzqzqzqzqzqzq","data":{"id":"txn_01hv8wptq8987qeep44cyrewp9","status":"completed","items":[{"price":{"id":"pri_01gsz8x8sawmvhz1pv30nge1ke"},"quantity":10}],"details":{"totals":{"grand_total":"3311235","currency_code":"USD"}}}}"#;

    fn secrets(texts: &[&str]) -> Vec<SecretString> {
        texts.iter().map(|text| (*text).to_owned().into()).collect()
    }

    fn check(header: &str, body: &[u8], with: &[&str], now: i64) -> Result<(), Refusal> {
        let now = Timestamp::from_second(now).unwrap();
        verify(Some(header), body, &secrets(with), SignedDuration::from_secs(5), now)
    }

    #[test]
    fn the_vectors_of_the_reference_pass() {
        let vectors: [(&str, i64, &[u8], &str); 6] = [
            (S1, 1_700_000_000, b"{}", P1),
            (
                S1,
                1_700_000_000,
                P2_BODY.as_bytes(),
                "784354e0144661b5cad582c06d1cf067ffeecd85415b2f5db41fff6a6c4e798c",
            ),
            (
                S1,
                1_712_917_079,
                "{\"name\":\"Zoë 😀\"}\n".as_bytes(),
                "65e8ff418e77be94527c4b59c3ec109c720b6d9765bfa9944d0dcd17549ede3d",
            ),
            (S1, 1_700_000_000, b"", "3894c6cc2379797f4a915eb7dd36eb004ddf623b4c995a60d6c3d2e6ff55da28"),
            (S1, 1_700_000_000, b"{ }", "bccac3db224b0aadfbfc24ad4fd9f75a2b3ece449073b723a7cf2fcd18fe6c24"),
            (S2, 1_700_000_000, b"{}", P6),
        ];
        for (secret, at, body, h1) in vectors {
            let header = format!("ts={at};h1={h1}");
            assert_eq!(check(&header, body, &[secret], at), Ok(()), "{header}");
            assert_eq!(
                check(&format!("h1={h1};ts={at}"), body, &[secret], at),
                Ok(()),
                "the other way round"
            );
            assert_eq!(sign(&secret.to_owned().into(), Timestamp::from_second(at).unwrap(), body), header);
            let other = if secret == S1 { S2 } else { S1 };
            assert_eq!(check(&header, body, &[other], at), Err(Refusal::Wrong));
            assert_eq!(check(&header, body, &[other, secret], at), Ok(()), "any of our secrets");
            assert_eq!(check(&header, &[body, b" "].concat(), &[secret], at), Err(Refusal::Wrong));
            assert_eq!(check(&header, body, &[], at), Err(Refusal::Wrong), "without a secret nothing passes");
        }
        assert_eq!(P2_BODY.len(), 388);
    }

    #[test]
    fn any_signature_of_a_rotation_will_do() {
        for header in [format!("ts=1700000000;h1={P1};h1={P6}"), format!("ts=1700000000;h1={P6};h1={P1}")] {
            for secret in [S1, S2] {
                assert_eq!(check(&header, b"{}", &[secret], 1_700_000_000), Ok(()), "{header}");
            }
        }
        // Published with Paddle's Python SDK: the first is no hexadecimal.
        let header =
            "ts=1696195954;h1=dummy;h1=d96299976a6eb066f484d7fde011ac56fc32b38fc9940bc419d6e537fdc6ef02";
        let secret = "pdl_ntf_01hbpjmytsa32fhr36nqgc3kgb_WvRO0eL4Bj9rgYYIBZY6wZhG4EHy9jzh";
        assert_eq!(check(header, b"hello-world", &[secret], 1_696_195_954), Ok(()));
    }

    #[test]
    fn time_counts_only_for_what_is_signed() {
        let header = format!("ts=1700000000;h1={P1}");
        for (now, age) in [(1_700_000_006, 6), (1_699_999_994, -6)] {
            assert_eq!(check(&header, b"{}", &[S1], now), Err(Refusal::Stale(age)));
            assert_eq!(check(&header, b"{}", &[S2], now), Err(Refusal::Wrong));
        }
        for now in [1_700_000_005, 1_699_999_995] {
            assert_eq!(check(&header, b"{}", &[S1], now), Ok(()));
        }
    }

    #[test]
    fn what_is_no_header_of_paddles_is_refused_and_unknown_keys_are_not() {
        let now = 1_700_000_000;
        let unsigned = [
            String::new(),
            format!("h1={P1}"),
            "ts=1700000000".to_owned(),
            format!("ts=;h1={P1}"),
            format!("ts=17e8;h1={P1}"),
            format!("ts=-1700000000;h1={P1}"),
            format!("ts=1700000000;ts=1700000000;h1={P1}"),
            format!("ts=1700000000; h1={P1}"),
            format!("ts=99999999999999999999;h1={P1}"),
        ];
        for header in unsigned {
            assert_eq!(check(&header, b"{}", &[S1], now), Err(Refusal::Unsigned), "{header}");
        }
        for wrong in [P1.to_ascii_uppercase(), P1[1..].to_owned(), format!("{P1}0"), P6.to_owned()] {
            let header = format!("ts=1700000000;h1={wrong}");
            assert_eq!(check(&header, b"{}", &[S1], now), Err(Refusal::Wrong), "{header}");
        }
        assert_eq!(check(&format!("v=2;ts=1700000000;h2=x;h1={P1};;x"), b"{}", &[S1], now), Ok(()));
        assert_eq!(
            verify(None, b"{}", &secrets(&[S1]), SignedDuration::from_secs(5), Timestamp::UNIX_EPOCH),
            Err(Refusal::Unsigned)
        );
    }
}
