//! The one place that asks what time it is.

use jiff::{Timestamp, Unit};

/// The current instant, to the millisecond: what a record keeps and an answer shows.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    now.round(Unit::Millisecond).unwrap_or(now)
}
