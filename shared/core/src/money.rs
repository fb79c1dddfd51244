//! Money: whole cents and a currency. No floats anywhere.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The largest amount that is taken, in cents: ten million in the currency. More is a mistake or an attack.
pub const MOST: u64 = 1_000_000_000;

/// An ISO 4217 currency with a minor unit of a hundredth: three capital letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

/// A text that is no currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a currency is three capital letters, as in ISO 4217")]
pub struct CurrencyError;

impl Currency {
    /// South African rand.
    pub const ZAR: Self = Self(*b"ZAR");

    /// Its three letters.
    pub fn code(&self) -> &str {
        // Made of letters alone.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for Currency {
    type Err = CurrencyError;
    fn from_str(text: &str) -> Result<Self, CurrencyError> {
        let letters: [u8; 3] = text.as_bytes().try_into().map_err(|_| CurrencyError)?;
        if letters.iter().all(u8::is_ascii_uppercase) { Ok(Self(letters)) } else { Err(CurrencyError) }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for Currency {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some("^[A-Z]{3}$"))
            .examples(["ZAR"])
            .description(Some("A currency (ISO 4217)."))
            .into()
    }
}
impl utoipa::ToSchema for Currency {}

/// An amount: not negative, at most [`MOST`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Money {
    /// In cents.
    pub cents: u64,
    /// Of which currency.
    pub currency: Currency,
}

/// Why a text is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not digits, a point and two digits, or with zeros before them.
    #[error("an amount is written as 10.00")]
    Form,
    /// Beyond [`MOST`].
    #[error("an amount is at most {}.00", MOST / 100)]
    TooMuch,
}

impl Money {
    /// So many cents.
    pub fn new(cents: u64, currency: Currency) -> Result<Self, MoneyError> {
        if cents <= MOST { Ok(Self { cents, currency }) } else { Err(MoneyError::TooMuch) }
    }

    /// Reads `10.00`: digits without a sign or needless zeros, a point, two digits. Nothing else, so that one amount has one text.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let (whole, part) = text.split_once('.').ok_or(MoneyError::Form)?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let plain = whole == "0" || !whole.starts_with('0');
        if !digits(whole) || !plain || !digits(part) || part.len() != 2 {
            return Err(MoneyError::Form);
        }
        // Only digits: what does not fit is too much.
        let whole: u64 = whole.parse().map_err(|_| MoneyError::TooMuch)?;
        let part: u64 = part.parse().map_err(|_| MoneyError::Form)?;
        let cents = whole.checked_mul(100).and_then(|cents| cents.checked_add(part));
        Self::new(cents.ok_or(MoneyError::TooMuch)?, currency)
    }

    /// `10.00`.
    pub fn decimal(self) -> String {
        format!("{}.{:02}", self.cents / 100, self.cents % 100)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.currency, self.decimal())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_currency_is_three_capital_letters() {
        assert_eq!("ZAR".parse(), Ok(Currency::ZAR));
        assert_eq!(serde_json::to_string(&Currency::ZAR).unwrap(), "\"ZAR\"");
        for wrong in ["", "zar", "ZA", "ZARR", "Z R", "ZÄ"] {
            assert_eq!(wrong.parse::<Currency>(), Err(CurrencyError), "{wrong}");
        }
    }

    #[test]
    fn an_amount_has_one_text() {
        for (text, cents) in
            [("0.00", 0), ("0.05", 5), ("10.00", 1000), ("249.90", 24_990), ("10000000.00", MOST)]
        {
            let money = Money::parse(text, Currency::ZAR).unwrap();
            assert_eq!((money.cents, money.decimal().as_str()), (cents, text));
        }
        assert_eq!(Money { cents: 1005, currency: Currency::ZAR }.to_string(), "ZAR 10.05");
    }

    #[test]
    fn what_is_not_written_so_is_refused() {
        for wrong in [
            "",
            ".",
            "10",
            "10.",
            ".10",
            "10.0",
            "10.000",
            "10,00",
            "1,000.00",
            "-10.00",
            "+10.00",
            " 10.00",
            "10.00 ",
            "010.00",
            "00.10",
            "1e3",
            "1e3.00",
            "10.0x",
            "0x10.00",
            "ten.00",
            "10.-1",
            "10.00.00",
            "1_000.00",
            "NaN",
            "inf",
            "\u{0661}\u{0660}.00",
            "10.\u{0660}\u{0660}",
        ] {
            assert_eq!(Money::parse(wrong, Currency::ZAR), Err(MoneyError::Form), "{wrong:?}");
        }
        for much in
            ["10000000.01", "99999999999.00", "18446744073709551616.00", &format!("{}.00", "9".repeat(400))]
        {
            assert_eq!(Money::parse(much, Currency::ZAR), Err(MoneyError::TooMuch), "{much}");
        }
    }
}
