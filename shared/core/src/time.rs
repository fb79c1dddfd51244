//! The one place that asks what time it is.

use jiff::{Timestamp, Unit};

/// The current instant, to the millisecond: what a record keeps and an answer shows.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    now.round(Unit::Millisecond).unwrap_or(now)
}

/// `at` as a sort key: text that sorts as time does. `Timestamp`'s own text leaves trailing zeros out, and so `…09.1Z` would stand
/// after `…09.15Z`; here a second has three decimals always (RFC 3339).
pub fn sortable(at: Timestamp) -> String {
    format!("{at:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sort_keys_of_times_sort_as_the_times_do() {
        let second = Timestamp::from_second(1_795_288_670).unwrap();
        let at = |milliseconds| second + jiff::SignedDuration::from_millis(milliseconds);
        let keys: Vec<_> = (0..2000).map(|ms| sortable(at(ms))).collect();
        assert!(keys.is_sorted());
        assert!(at(100).to_string() > at(150).to_string(), "then there would be no need of it");
        assert_eq!(keys[100].parse::<Timestamp>().unwrap(), at(100));
    }
}
