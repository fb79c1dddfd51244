//! Numbers and dates of a workbook as text.

use super::styles::Shown;

/// The text of a number cell. A value that is no number, or no possible date, stays as it is written.
pub(super) fn text(value: &str, shown: Shown, from_1904: bool) -> String {
    let Some(number) = value.trim().parse::<f64>().ok().filter(|number| number.is_finite()) else {
        return value.to_owned();
    };
    let date = match shown {
        Shown::Number => None,
        _ => date(number, shown, from_1904),
    };
    date.unwrap_or_else(|| plain(value.trim(), number))
}

/// Fifteen significant digits, as a spreadsheet shows them: `0.1 + 0.2` is stored as `0.30000000000000004`.
fn plain(value: &str, number: f64) -> String {
    if value.len() <= 15 && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return value.to_owned();
    }
    match format!("{number:.14e}").parse::<f64>() {
        Ok(rounded) if rounded.abs() < 1e21 => rounded.to_string(),
        _ => value.to_owned(),
    }
}

/// `None` outside the years 1900 to 9999.
fn date(serial: f64, shown: Shown, from_1904: bool) -> Option<String> {
    let serial = if from_1904 && shown != Shown::Time { serial + 1462.0 } else { serial };
    if !(0.0..2_958_466.0).contains(&serial) {
        return None;
    }
    let seconds = (serial * 86_400.0).round() as i64;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (hours, minutes, seconds) = (second / 3600, second / 60 % 60, second % 60);
    if shown == Shown::Time {
        // Beyond a day it is a duration: 27:30:00.
        return Some(format!("{:02}:{minutes:02}:{seconds:02}", days * 24 + hours));
    }
    let (year, month, day) = match days {
        // The day that never was: Lotus 1-2-3 took 1900 for a leap year, and Excel kept it.
        60 => (1900, 2, 29),
        days => civil(days - if days < 60 { 25_568 } else { 25_569 }),
    };
    let mut text = format!("{year:04}-{month:02}-{day:02}");
    if shown == Shown::DateTime {
        text.push_str(&format!(" {hours:02}:{minutes:02}:{seconds:02}"));
    }
    Some(text)
}

/// Year, month and day of a day counted from 1970-01-01 (Howard Hinnant's `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_as_a_spreadsheet_shows_them() {
        for (value, shown) in [
            ("42", "42"),
            ("0.30000000000000004", "0.3"),
            ("1.1000000000000001", "1.1"),
            ("-5", "-5"),
            ("491701234567", "491701234567"),
            ("1E+20", "100000000000000000000"),
            ("#N/A", "#N/A"),
        ] {
            assert_eq!(text(value, Shown::Number, false), shown);
        }
    }

    #[test]
    fn dates_are_shown_as_iso_8601_has_them() {
        for (value, shown, from_1904, expected) in [
            ("1", Shown::Date, false, "1900-01-01"),
            ("59", Shown::Date, false, "1900-02-28"),
            ("60", Shown::Date, false, "1900-02-29"),
            ("61", Shown::Date, false, "1900-03-01"),
            ("46346", Shown::Date, false, "2026-11-20"),
            ("46346.354166666664", Shown::DateTime, false, "2026-11-20 08:30:00"),
            ("0.354166666666667", Shown::Time, false, "08:30:00"),
            ("44884", Shown::Date, true, "2026-11-20"),
            ("2958465", Shown::Date, false, "9999-12-31"),
            ("-1", Shown::Date, false, "-1"),
        ] {
            assert_eq!(text(value, shown, from_1904), expected);
        }
    }
}
