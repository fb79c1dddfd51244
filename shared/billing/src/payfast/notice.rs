//! What PayFast says of a payment: an instant transaction notification (ITN), posted to us as a form.

use piecework_core::{Currency, Money};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use super::form::{decode, joined, signature};

/// More fields than any notification has.
const MOST_FIELDS: usize = 100;

/// Why a body is no notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It has no `signature`, or nothing before it.
    #[error("a notification ends with its signature")]
    Unsigned,
    /// A name is not of letters, digits and `_`, stands twice, or there are too many.
    #[error("a name is not one, or stands twice")]
    Name,
}

/// A notification: every field before `signature`, in the order received. Nothing behind the signature is looked at.
#[derive(Clone, PartialEq, Eq)]
pub struct Notice {
    fields: Vec<(String, Vec<u8>)>,
    signature: String,
}

/// What a notification says of the payment. What is further on is greater: once paid, it is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Something that was not known when this was written: kept, and nothing is done.
    Unknown,
    /// Not yet paid: another notification follows.
    Pending,
    /// Called off; PayFast documents it for subscriptions.
    Cancelled,
    /// Not paid.
    Failed,
    /// Paid.
    Complete,
}

/// Why a notification that is PayFast's does not count. Each is for people: the payment stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Objection {
    /// It is about another merchant's account.
    #[error("the notification is for another merchant")]
    Merchant,
    /// A field that it must have is missing or not of its form.
    #[error("{0} is missing or not of its form")]
    Field(&'static str),
    /// It is not in rand.
    #[error("the payment is in another currency")]
    Currency,
    /// The amount paid is not the one asked, to the cent.
    #[error("the amount is not the one that was asked")]
    Amount,
}

impl Notice {
    /// Reads a form as it came.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let mut fields: Vec<(String, Vec<u8>)> = Vec::new();
        for pair in body.split(|b| *b == b'&') {
            let at = pair.iter().position(|b| *b == b'=');
            let (name, value) = at.map_or((pair, &[][..]), |at| (&pair[..at], &pair[at + 1..]));
            let plain = !name.is_empty() && name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_');
            let name = String::from_utf8(name.to_vec()).ok().filter(|_| plain).ok_or(Malformed::Name)?;
            let value = decode(value);
            if name == "signature" {
                let signature = String::from_utf8(value).map_err(|_| Malformed::Unsigned)?;
                return match fields.is_empty() || signature.is_empty() {
                    true => Err(Malformed::Unsigned),
                    false => Ok(Self { fields, signature }),
                };
            }
            if fields.len() >= MOST_FIELDS || fields.iter().any(|(known, _)| *known == name) {
                return Err(Malformed::Name);
            }
            fields.push((name, value));
        }
        Err(Malformed::Unsigned)
    }

    /// The parameters as PayFast signs them, and as it wants them back for its confirmation: blank fields too, nothing sorted.
    pub fn parameters(&self) -> String {
        joined(self.fields.iter().map(|(name, value)| (name.as_str(), value.as_slice())))
    }

    /// Whether the signature is that of the account with this passphrase. Compared in constant time.
    pub fn is_signed_with(&self, passphrase: Option<&SecretString>) -> bool {
        signature(self.parameters(), passphrase).as_bytes().ct_eq(self.signature.as_bytes()).into()
    }

    /// A field's value, if it is there, not blank, and UTF-8.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.fields.iter().find(|(known, _)| known == name)?;
        std::str::from_utf8(value).ok().filter(|value| !value.is_empty())
    }

    /// What it says of the payment.
    pub fn status(&self) -> Status {
        match self.get("payment_status") {
            Some("COMPLETE") => Status::Complete,
            Some("FAILED") => Status::Failed,
            Some("PENDING") => Status::Pending,
            Some("CANCELLED") => Status::Cancelled,
            _ => Status::Unknown,
        }
    }

    /// Our id of the payment.
    pub fn payment(&self) -> Option<&str> {
        self.get("m_payment_id")
    }

    /// Their id of the payment: a number. `CANCELLED` may come without.
    pub fn theirs(&self) -> Result<&str, Objection> {
        let number = |id: &&str| id.len() <= 20 && id.bytes().all(|b| b.is_ascii_digit());
        self.get("pf_payment_id").filter(number).ok_or(Objection::Field("pf_payment_id"))
    }

    /// Whether it is about this merchant's account.
    pub fn check_merchant(&self, id: &str) -> Result<(), Objection> {
        if self.get("merchant_id") == Some(id) { Ok(()) } else { Err(Objection::Merchant) }
    }

    /// Whether the buyer paid exactly this, before fees.
    pub fn check_amount(&self, asked: Money) -> Result<(), Objection> {
        if self.get("currency").is_some_and(|currency| currency != asked.currency.code()) {
            return Err(Objection::Currency);
        }
        let text = self.get("amount_gross").ok_or(Objection::Field("amount_gross"))?;
        let paid = Money::parse(text, Currency::ZAR).map_err(|_| Objection::Field("amount_gross"))?;
        if paid == asked { Ok(()) } else { Err(Objection::Amount) }
    }
}

impl std::fmt::Debug for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |value| std::str::from_utf8(value).unwrap_or_default();
        f.write_str(&super::redacted(self.fields.iter().map(|(name, value)| (name.as_str(), text(value)))))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const I1: &str = "m_payment_id=1234&pf_payment_id=1089250&payment_status=COMPLETE&item_name=Order%23123&item_description=&amount_gross=10.00&amount_fee=-2.30&amount_net=7.70&custom_str1=&custom_str2=&custom_str3=&custom_str4=&custom_str5=&custom_int1=&custom_int2=&custom_int3=&custom_int4=&custom_int5=&name_first=First+Name&name_last=Last+Name&email_address=test%40test.com&merchant_id=10000100";
    const SANDBOX: &str = "jt7NOE43FZPn";

    fn signed(body: &str, signature: &str, passphrase: &str) -> bool {
        let passphrase = (!passphrase.is_empty()).then(|| passphrase.to_owned().into());
        let notice = Notice::parse(format!("{body}&signature={signature}").as_bytes()).unwrap();
        assert_eq!(notice.parameters(), body, "decoded and encoded again, it is the same");
        notice.is_signed_with(passphrase.as_ref())
    }

    #[test]
    fn i1_and_i2_with_a_passphrase_and_without() {
        assert!(signed(I1, "e0feb10fb21c8558518397c3f10355bb", SANDBOX));
        assert!(signed(I1, "b56bbf477fe0bd539aa068febb2d3b2e", ""));
        assert!(!signed(I1, "e0feb10fb21c8558518397c3f10355bb", ""));
        assert!(!signed(I1, "b56bbf477fe0bd539aa068febb2d3b2e", SANDBOX));
        assert!(!signed(I1, "E0FEB10FB21C8558518397C3F10355BB", SANDBOX), "small letters only");
        assert!(!signed(I1, "e0feb10fb21c8558518397c3f10355b", SANDBOX));
    }

    #[test]
    fn i3_spaces_are_kept_and_everything_is_encoded() {
        let body = I1
            .replace("item_name=Order%23123", "item_name=+Caf%C3%A9+%26+Co+%7E+%F0%9F%98%80+")
            .replace("custom_str1=", "custom_str1=tenant%3Dacme%26plan%3Dpro")
            .replace("custom_int1=", "custom_int1=0");
        assert!(signed(&body, "cce52607591aca1181102c146bdad96f", SANDBOX));
    }

    #[test]
    fn i4_fields_that_nobody_foresaw_are_signed_too() {
        let body = format!("{I1}&token=dc0521d3-55fe-269b-fa00-b647310d760f&billing_date=2026-01-31");
        assert!(signed(&body, "8554ee47fe650d1114ff768e96c0968e", SANDBOX));
    }

    #[test]
    fn i5_a_cancelled_one_in_another_order_with_fields_missing() {
        let body = "payment_status=CANCELLED&m_payment_id=1234&pf_payment_id=&item_name=Order%23123&merchant_id=10000100&token=dc0521d3-55fe-269b-fa00-b647310d760f";
        assert!(signed(body, "d57127dcb0c357854805fe26a3eecf67", SANDBOX));
        let notice = Notice::parse(format!("{body}&signature=x").as_bytes()).unwrap();
        assert_eq!((notice.status(), notice.payment()), (Status::Cancelled, Some("1234")));
        assert_eq!(notice.theirs(), Err(Objection::Field("pf_payment_id")));
    }

    #[test]
    fn another_encoding_of_the_same_values_has_the_same_signature() {
        let body = I1
            .replace("test%40test.com", "test@test.com")
            .replace("First+Name", "First%20Name")
            .replace("%23", "#");
        let notice =
            Notice::parse(format!("{body}&signature=e0feb10fb21c8558518397c3f10355bb").as_bytes()).unwrap();
        assert!(notice.is_signed_with(Some(&SANDBOX.to_owned().into())));
    }

    #[test]
    fn a_body_changed_by_one_octet_is_not_signed() {
        let passphrase = SANDBOX.to_owned().into();
        let whole = format!("{I1}&signature=e0feb10fb21c8558518397c3f10355bb").into_bytes();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            let signed = Notice::parse(&changed).is_ok_and(|notice| notice.is_signed_with(Some(&passphrase)));
            assert!(!signed, "{}", String::from_utf8_lossy(&changed));
        }
        // Fields taken out, put in, put elsewhere.
        for other in [
            I1.replace("item_description=&", ""),
            I1.replace("&custom_str1=", "&custom_str0=&custom_str1="),
            I1.replace("m_payment_id=1234&pf_payment_id=1089250", "pf_payment_id=1089250&m_payment_id=1234"),
            format!("{I1}&amount_gross2=10.00"),
        ] {
            assert!(!signed(&other, "e0feb10fb21c8558518397c3f10355bb", SANDBOX), "{other}");
        }
    }

    #[test]
    fn what_stands_behind_the_signature_is_not_looked_at() {
        let body = format!(
            "{I1}&signature=e0feb10fb21c8558518397c3f10355bb&payment_status=FAILED&amount_gross=1.00&new=1"
        );
        let notice = Notice::parse(body.as_bytes()).unwrap();
        assert!(notice.is_signed_with(Some(&SANDBOX.to_owned().into())));
        assert_eq!(
            (notice.status(), notice.get("amount_gross"), notice.get("new")),
            (Status::Complete, Some("10.00"), None)
        );
    }

    #[test]
    fn what_is_no_notification_is_refused() {
        for (body, why) in [
            ("", Malformed::Name),
            ("signature=abc", Malformed::Unsigned),
            ("a=1&signature=", Malformed::Unsigned),
            ("a=1&signature=%ff", Malformed::Unsigned),
            ("a=1", Malformed::Unsigned),
            ("a=1&a=2&signature=x", Malformed::Name),
            ("a%20=1&signature=x", Malformed::Name),
            ("a=1&&signature=x", Malformed::Name),
            ("{\"a\":1}&signature=x", Malformed::Name),
            ("=1&signature=x", Malformed::Name),
        ] {
            assert_eq!(Notice::parse(body.as_bytes()), Err(why), "{body}");
        }
        let many: String = (0..=MOST_FIELDS).map(|n| format!("f{n}=&")).collect();
        assert_eq!(Notice::parse(format!("{many}signature=x").as_bytes()), Err(Malformed::Name));
    }

    #[test]
    fn the_amount_must_be_the_one_asked_to_the_cent_and_in_rand() {
        let ten = Money { cents: 1000, currency: Currency::ZAR };
        let amount = |text: &str| {
            let body = format!("amount_gross={text}&merchant_id=10000100&signature=x");
            Notice::parse(body.as_bytes()).unwrap().check_amount(ten)
        };
        assert_eq!(amount("10.00"), Ok(()));
        for off in ["9.99", "10.01", "0.00", "100.00", "10000000.00"] {
            assert_eq!(amount(off), Err(Objection::Amount), "{off}");
        }
        for wrong in ["", "-10.00", "10", "10.000", "10,00", "%2010.00", "1e1", "99999999999999999999.00"] {
            assert_eq!(amount(wrong), Err(Objection::Field("amount_gross")), "{wrong}");
        }
        assert_eq!(amount("10.00&currency=ZAR"), Ok(()));
        assert_eq!(amount("10.00&currency=USD"), Err(Objection::Currency));
        let notice = Notice::parse(b"merchant_id=10000100&signature=x").unwrap();
        assert_eq!(notice.check_merchant("10000100"), Ok(()));
        assert_eq!(notice.check_merchant("10000101"), Err(Objection::Merchant));
        assert_eq!(Notice::parse(b"a=1&signature=x").unwrap().check_merchant(""), Err(Objection::Merchant));
    }

    #[test]
    fn a_notification_shows_no_people_when_it_is_printed() {
        let shown = format!("{:?}", Notice::parse(format!("{I1}&signature=x").as_bytes()).unwrap());
        assert!(
            shown.starts_with("m_payment_id=1234&pf_payment_id=1089250&payment_status=COMPLETE&item_name=…"),
            "{shown}"
        );
        assert!(!shown.contains("test") && !shown.contains("First"), "{shown}");
    }

    proptest! {
        #[test]
        fn anything_signed_is_read_back_and_nothing_else_is(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 1..12), key in "[a-z]{0,8}") {
            let passphrase: Option<SecretString> = (!key.is_empty()).then(|| key.into());
            let names: Vec<String> = (0..values.len()).map(|n| format!("f{n}")).collect();
            let text = joined(names.iter().map(String::as_str).zip(values.iter().map(Vec::as_slice)));
            let good = signature(text.clone(), passphrase.as_ref());
            let notice = Notice::parse(format!("{text}&signature={good}").as_bytes()).unwrap();
            prop_assert!(notice.is_signed_with(passphrase.as_ref()));
            prop_assert_eq!(notice.parameters(), text);
            let other = passphrase.as_ref().map_or(Some("x".to_owned().into()), |_| None);
            prop_assert!(!notice.is_signed_with(other.as_ref()));
        }

        #[test]
        fn no_body_makes_it_stumble(body in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(notice) = Notice::parse(&body) {
                prop_assert!(!notice.is_signed_with(Some(&SANDBOX.to_owned().into())));
                let _ = (notice.status(), notice.theirs(), notice.payment());
            }
        }
    }
}
