//! What a price of Paddle's buys: `PADDLE_PRICES`, a JSON object such as
//! `{"pri_01gsz8x8sawmvhz1pv30nge1ke":{"credits":1000,"name":"1,000 credits","expires_days":365}}`.

use std::{collections::BTreeMap, sync::Arc};

use piecework_core::{Settings, settings::SettingError};
use serde::Deserialize;

/// The most credits that one unit of a price may buy: with the most units that a checkout has, no more than a sale is believed to.
const MOST: u64 = 100_000_000;
/// The longest that credits may last, days: a hundred years.
const LONGEST: u32 = 36_525;

/// What one unit of a price buys.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Credits.
    pub credits: u64,
    /// What it is called.
    #[serde(default)]
    pub name: Option<String>,
    /// How many days after the purchase they expire; never unless given.
    #[serde(default)]
    pub expires_days: Option<u32>,
}

/// The prices that are sold, by their ids.
#[derive(Debug, Clone, Default)]
pub struct Prices(Arc<BTreeMap<String, Price>>);

impl Prices {
    /// The table in the settings; nothing is sold if there is none.
    pub fn new(settings: &Settings) -> Result<Self, SettingError> {
        let unusable = |why: String| SettingError::Unusable { name: "PADDLE_PRICES", why };
        let Some(text) = settings.text("PADDLE_PRICES") else { return Ok(Self::default()) };
        let table: BTreeMap<String, Price> =
            serde_json::from_str(text).map_err(|e| unusable(e.to_string()))?;
        for (id, price) in &table {
            if !(1..=MOST).contains(&price.credits) {
                return Err(unusable(format!("{id} must buy 1 to {MOST} credits")));
            }
            if price.expires_days.is_some_and(|days| !(1..=LONGEST).contains(&days)) {
                return Err(unusable(format!("what {id} buys must last 1 to {LONGEST} days")));
            }
        }
        Ok(Self(Arc::new(table)))
    }

    /// What a price buys, if it is sold.
    pub fn get(&self, id: &str) -> Option<&Price> {
        self.0.get(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prices(text: &str) -> Result<Prices, SettingError> {
        let pairs = [("ENVIRONMENT", "dev"), ("PADDLE_PRICES", text)];
        Prices::new(&Settings::from_values(pairs.map(|(n, v)| (n.to_owned(), v.to_owned()))).unwrap())
    }

    #[test]
    fn a_table_that_makes_no_sense_keeps_the_function_from_starting() {
        assert_eq!(prices(r#"{"pri_a":{"credits":5}}"#).unwrap().get("pri_a").unwrap().credits, 5);
        assert!(prices("").unwrap().get("pri_a").is_none());
        for wrong in [
            "[]",
            "{",
            r#"{"p":{}}"#,
            r#"{"p":{"credits":0}}"#,
            r#"{"p":{"credits":-1}}"#,
            r#"{"p":{"credits":100000001}}"#,
            r#"{"p":{"credits":1,"expires_days":0}}"#,
            r#"{"p":{"credits":1,"expires_days":36526}}"#,
            r#"{"p":{"credits":1,"price":2}}"#,
        ] {
            assert!(
                matches!(prices(wrong), Err(SettingError::Unusable { name: "PADDLE_PRICES", .. })),
                "{wrong}"
            );
        }
    }
}
