//! PayFast's side of the signature. Written apart from the code that it checks, after the same page
//! (<https://developers.payfast.co.za/docs>).

use md5::{Digest as _, Md5};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

/// The fields of a checkout in the order of the documentation's tables.
const TABLES: [&str; 35] = [
    "merchant_id",
    "merchant_key",
    "return_url",
    "cancel_url",
    "notify_url",
    "name_first",
    "name_last",
    "email_address",
    "cell_number",
    "m_payment_id",
    "amount",
    "item_name",
    "item_description",
    "custom_int1",
    "custom_int2",
    "custom_int3",
    "custom_int4",
    "custom_int5",
    "custom_str1",
    "custom_str2",
    "custom_str3",
    "custom_str4",
    "custom_str5",
    "email_confirmation",
    "confirmation_address",
    "payment_method",
    "subscription_type",
    "billing_date",
    "recurring_amount",
    "frequency",
    "cycles",
    "subscription_notify_email",
    "subscription_notify_webhook",
    "subscription_notify_buyer",
    "signature",
];

/// What PHP's `urlencode` leaves alone.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, KEPT).to_string().replace("%20", "+")
}

/// Fields in the order posted.
pub(super) type Fields = Vec<(String, String)>;

pub(super) fn parsed(body: &[u8]) -> Fields {
    let decoded =
        |text: &str| percent_decode(text.replace('+', " ").as_bytes()).decode_utf8_lossy().into_owned();
    let text = String::from_utf8_lossy(body).into_owned();
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

pub(super) fn value<'a>(fields: &'a [(String, String)], name: &str) -> &'a str {
    fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
}

/// `name=value&…`.
pub(super) fn text<'a>(fields: impl Iterator<Item = &'a (String, String)>) -> String {
    fields.map(|(name, value)| format!("{name}={}", encoded(value))).collect::<Vec<_>>().join("&")
}

/// The MD5 that goes with a text under a passphrase.
pub fn sign(text: &str, passphrase: &str) -> String {
    let whole = match passphrase {
        "" => text.to_owned(),
        passphrase => format!("{text}&passphrase={}", encoded(passphrase.trim())),
    };
    Md5::digest(whole).iter().map(|octet| format!("{octet:02x}")).collect()
}

/// What is wrong with a checkout, if something is.
pub(super) fn fault(fields: &Fields, merchant: (&str, &str), passphrase: &str) -> Option<String> {
    let given = |name: &str| value(fields, name);
    if (given("merchant_id"), given("merchant_key")) != merchant {
        return Some("Merchant authentication failed.".to_owned());
    }
    if let Some((unknown, _)) = fields.iter().find(|(name, _)| !TABLES.contains(&name.as_str())) {
        return Some(format!("{unknown}: Unknown field."));
    }
    let (rand, cents) = given("amount").split_once('.').unwrap_or((given("amount"), ""));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(rand) || cents.len() != 2 || !digits(cents) {
        return Some("amount: The amount must be a number with two decimals.".to_owned());
    }
    if rand.parse::<u64>().is_ok_and(|rand| rand < 5) {
        return Some("amount: The amount is below the minimum of R5.00.".to_owned());
    }
    if given("item_name").is_empty() || given("item_name").chars().count() > 100 {
        return Some("item_name: The item name must be 1 to 100 characters.".to_owned());
    }
    let mut signed: Vec<(String, String)> = Vec::new();
    for name in TABLES.into_iter().filter(|name| *name != "signature") {
        let posted = fields.iter().filter(|(known, value)| known == name && !value.is_empty());
        signed.extend(posted.map(|(name, value)| (name.clone(), value.trim().to_owned())));
    }
    let right = sign(&text(signed.iter()), passphrase);
    (right != given("signature"))
        .then(|| "Generated signature does not match submitted signature.".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_of_the_documentation_is_made_again() {
        let text = "merchant_id=10000100&merchant_key=46f0cd694581a&m_payment_id=%7Ea%21b%27c%28d%29e%2Af&amount=50.00&item_name=x%7Ey";
        assert_eq!(sign(text, "salt-_/"), "2452a4824195fac5564fb55cf94a11a5");
        let fields = parsed(format!("{text}&signature=2452a4824195fac5564fb55cf94a11a5").as_bytes());
        assert_eq!(fault(&fields, ("10000100", "46f0cd694581a"), "salt-_/"), None);
        assert!(fault(&fields, ("10000100", "46f0cd694581a"), "salt").is_some());
        assert!(fault(&fields, ("10000100", "x"), "salt-_/").is_some());
    }
}
