//! The form that takes a buyer to PayFast.

use secrecy::{ExposeSecret as _, SecretString};

use super::form::{joined, signature, trim};

/// The fields that a checkout may have, in the order in which they are signed (`docs/decisions/payfast.md`).
pub const ORDER: [&str; 25] = [
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
];

/// Who sells: an account at PayFast.
#[derive(Clone)]
pub struct Merchant {
    /// Its id.
    pub id: String,
    /// Its key. Every buyer's browser sees it; it stays out of logs all the same.
    pub key: SecretString,
    /// What signs, if the account has one.
    pub passphrase: Option<SecretString>,
}

/// A signed form: names and values in the order in which they are posted.
#[derive(Clone, PartialEq, Eq)]
pub struct Form(Vec<(&'static str, String)>);

impl Form {
    /// Signs these fields, and the merchant's own. Values are trimmed, and blank ones left out, so that what is posted is what was
    /// signed. A name that [`ORDER`] does not have is left out too: PayFast would sign it elsewhere.
    pub fn signed(merchant: &Merchant, fields: &[(&str, String)]) -> Self {
        let value = |name: &str| match name {
            "merchant_id" => Some(merchant.id.as_str()),
            "merchant_key" => Some(merchant.key.expose_secret()),
            _ => fields.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str()),
        };
        let mut form: Vec<_> = ORDER
            .into_iter()
            .filter_map(|name| {
                let value = trim(value(name)?);
                (!value.is_empty()).then(|| (name, value.to_owned()))
            })
            .collect();
        let text = joined(form.iter().map(|(name, value)| (*name, value.as_bytes())));
        form.push(("signature", signature(text, merchant.passphrase.as_ref())));
        Self(form)
    }

    /// Names and values, the signature last.
    pub fn fields(&self) -> &[(&'static str, String)] {
        &self.0
    }
}

impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&super::redacted(self.0.iter().map(|(name, value)| (*name, value.as_str()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merchant(passphrase: &str) -> Merchant {
        let passphrase = (!passphrase.is_empty()).then(|| passphrase.to_owned().into());
        Merchant { id: "10000100".into(), key: "46f0cd694581a".to_owned().into(), passphrase }
    }

    #[track_caller]
    fn signs(passphrase: &str, fields: &[(&str, &str)], expected: &str) {
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let form = Form::signed(&merchant(passphrase), &fields);
        assert_eq!(form.fields().last().unwrap(), &("signature", expected.to_owned()));
    }

    const SANDBOX: &str = "jt7NOE43FZPn";

    #[test]
    fn c1_without_a_passphrase() {
        signs("", &[("amount", "100.00"), ("item_name", "Test Item")], "7abbb23afc89fb75f1412d1f9e5bf7bc");
    }

    #[test]
    fn c2_with_addresses_and_a_passphrase_in_whatever_order_they_are_given() {
        let fields = [
            ("item_name", "Order#123"),
            ("amount", "10.00"),
            ("m_payment_id", "1234"),
            ("email_address", "test@test.com"),
            ("name_last", "Last Name"),
            ("name_first", "First Name"),
            ("notify_url", "https://example.com/itn?src=pf&v=1"),
            ("cancel_url", "https://example.com/cancel"),
            ("return_url", "https://example.com/return"),
        ];
        signs(SANDBOX, &fields, "26a610c575359a194f208c334c6e09c8");
    }

    #[test]
    fn c3_with_signs_that_mean_something_in_a_form() {
        let fields = [("m_payment_id", "A&B=C+D"), ("amount", "5.00"), ("item_name", "100% Tea & Scones")];
        signs(SANDBOX, &fields, "134df450afc02e08c6e000a202e725ff");
    }

    #[test]
    fn c4_beyond_ascii() {
        let fields = [
            ("name_first", "Zoë"),
            ("name_last", "Nkosi-Müller"),
            ("email_address", "zoë@example.co.za"),
            ("m_payment_id", "ord-αβγ"),
            ("amount", "249.90"),
            ("item_name", "Café crédits 😀"),
        ];
        signs(SANDBOX, &fields, "012785dfad1df6d016068c80f4dabd8d");
    }

    #[test]
    fn c5_with_what_other_languages_do_not_encode() {
        let fields = [("m_payment_id", "~a!b'c(d)e*f"), ("amount", "50.00"), ("item_name", "x~y")];
        signs("salt-_/", &fields, "2452a4824195fac5564fb55cf94a11a5");
    }

    #[test]
    fn c6_blanks_left_out_values_trimmed_and_zero_kept() {
        let fields = [
            ("name_first", ""),
            ("name_last", "  Doe "),
            ("m_payment_id", "7"),
            ("amount", "99.99"),
            ("item_name", " two  spaces\t"),
            ("item_description", ""),
            ("custom_int1", "0"),
            ("custom_str1", "user:42"),
        ];
        signs(SANDBOX, &fields, "434e9148ffb8876c14505c74c8f5a8bc");
    }

    #[test]
    fn c7_with_a_passphrase_that_must_be_encoded() {
        let fields = [("m_payment_id", "8"), ("amount", "10.00"), ("item_name", "Credits")];
        signs(" p@ss & wörd~/1 ", &fields, "133d22db7f64fba3d4306e3cf188b9b5");
    }

    #[test]
    fn what_is_posted_is_what_was_signed_and_a_value_of_spaces_is_not_posted() {
        let fields = [
            ("name_last", " Doe ".to_owned()),
            ("name_first", "   ".to_owned()),
            ("nonsense", "x".to_owned()),
        ];
        let form = Form::signed(&merchant(SANDBOX), &fields);
        let names: Vec<_> = form.fields().iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(names[..3], ["merchant_id=10000100", "merchant_key=46f0cd694581a", "name_last=Doe"]);
        assert_eq!(names.len(), 4);
    }

    #[test]
    fn a_form_shows_neither_keys_nor_people_when_it_is_printed() {
        let fields = [("email_address", "zoe@example.co.za".to_owned()), ("amount", "10.00".to_owned())];
        let shown = format!("{:?}", Form::signed(&merchant(SANDBOX), &fields));
        assert_eq!(shown, "merchant_id=10000100&merchant_key=…&email_address=…&amount=10.00&signature=…");
    }
}
