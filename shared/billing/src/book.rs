//! Whose money or credits: a book is one owner's part of the ledger, and moves on its own.

use std::{fmt, str::FromStr};

use piecework_core::{UserId, WorkspaceId};
use serde::{Deserialize, Serialize};

/// An ISO 4217 currency: three capital letters. Amounts are integers of its minor unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

/// A text that is no currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a currency is three capital letters, as in ISO 4217")]
pub struct CurrencyError;

impl Currency {
    /// South African rand, in cents.
    pub const ZAR: Self = Self(*b"ZAR");
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
        f.write_str(std::str::from_utf8(&self.0).unwrap_or_default())
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

/// One owner's part of the ledger: a partition of the table, with a balance, lots, holds and entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Book {
    /// The partition.
    pub(crate) pk: String,
    /// Whose events tell of it.
    pub(crate) workspace: WorkspaceId,
    /// `credits` or `wallet`, as in `billing.credits.granted`.
    pub(crate) kind: &'static str,
}

impl Book {
    /// A workspace's credits.
    pub fn credits(workspace: WorkspaceId) -> Self {
        Self { pk: format!("WSP#{workspace}"), workspace, kind: "credits" }
    }

    /// A user's money in a currency. Its events are told to `workspace`, the user's own.
    pub fn wallet(user: UserId, currency: Currency, workspace: WorkspaceId) -> Self {
        Self { pk: format!("WALLET#{user}#{currency}"), workspace, kind: "wallet" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_currency_is_three_capital_letters() {
        assert_eq!("ZAR".parse(), Ok(Currency::ZAR));
        assert_eq!(Currency::ZAR.to_string(), "ZAR");
        for wrong in ["", "zar", "ZA", "ZARR", "Z R", "ZÄ"] {
            assert_eq!(wrong.parse::<Currency>(), Err(CurrencyError), "{wrong}");
        }
    }
}
