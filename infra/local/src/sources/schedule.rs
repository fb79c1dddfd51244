//! Schedules: `rate(…)` and `cron(…)` in UTC, by EventBridge's rules.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan as _};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::Invoker;
use crate::template::model::ScheduleSource;
use crate::{ACCOUNT_ID, REGION, arn};

/// Why an expression is not a schedule.
#[derive(Debug, thiserror::Error)]
#[error("{expression} is not a schedule: {reason}")]
pub struct ScheduleError {
    expression: String,
    reason: String,
}

/// When to fire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// Every so often, counted from the start.
    Rate(Duration),
    /// At the minutes that match.
    Cron(Box<Cron>),
}

/// The six fields of a cron expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    minutes: BTreeSet<i16>,
    hours: BTreeSet<i16>,
    days: Days,
    months: BTreeSet<i16>,
    years: BTreeSet<i16>,
}

/// One of the two day fields is `?`, so one rule decides.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Days {
    OfMonth(BTreeSet<i16>),
    LastOfMonth,
    /// 1 is Sunday.
    OfWeek(BTreeSet<i16>),
    /// The n-th such day of the month.
    NthOfWeek(i16, i16),
    LastOfWeek(i16),
}

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

impl std::str::FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(expression: &str) -> Result<Self, ScheduleError> {
        parse(expression.trim()).map_err(|reason| ScheduleError { expression: expression.to_owned(), reason })
    }
}

fn parse(expression: &str) -> Result<Schedule, String> {
    let inside = |name: &str| expression.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
    if let Some(rate) = inside("rate") {
        let (number, unit) = rate.trim().split_once(' ').ok_or("a rate is a number and a unit")?;
        let number: u64 = number.parse().map_err(|_| "the number is not one")?;
        let seconds = match unit.trim().trim_end_matches('s') {
            "minute" => 60,
            "hour" => 3600,
            "day" => 86_400,
            _ => return Err("the unit is minutes, hours or days".to_owned()),
        };
        if number == 0 || (number == 1) == unit.ends_with('s') {
            return Err("the number must fit the unit: 1 minute, 5 minutes".to_owned());
        }
        return Ok(Schedule::Rate(Duration::from_secs(number * seconds)));
    }
    let cron = inside("cron").ok_or("it is neither rate(…) nor cron(…)")?;
    let fields: Vec<&str> = cron.split_whitespace().collect();
    let [minute, hour, day, month, weekday, year] = fields.as_slice() else {
        return Err("cron has six fields".to_owned());
    };
    let days = match (*day, *weekday) {
        ("?", "?") => return Err("one of the day fields must say a day".to_owned()),
        ("L", "?") => Days::LastOfMonth,
        (day, "?") => Days::OfMonth(set(day, 1, 31, &[])?),
        ("?", weekday) => week(weekday)?,
        _ => return Err("one of the day fields must be ?".to_owned()),
    };
    Ok(Schedule::Cron(Box::new(Cron {
        minutes: set(minute, 0, 59, &[])?,
        hours: set(hour, 0, 23, &[])?,
        days,
        months: set(month, 1, 12, &MONTHS)?,
        years: set(year, 1970, 2199, &[])?,
    })))
}

fn week(field: &str) -> Result<Days, String> {
    let one = |text: &str| {
        let days = set(text, 1, 7, &WEEKDAYS)?;
        days.first().copied().ok_or_else(|| "no day".to_owned())
    };
    if let Some((day, nth)) = field.split_once('#') {
        let nth = nth.parse().ok().filter(|n| (1..=5).contains(n)).ok_or("# takes 1 to 5")?;
        return Ok(Days::NthOfWeek(one(day)?, nth));
    }
    match field.strip_suffix('L') {
        Some("") => Ok(Days::OfWeek(BTreeSet::from([7]))),
        Some(day) => Ok(Days::LastOfWeek(one(day)?)),
        None => Ok(Days::OfWeek(set(field, 1, 7, &WEEKDAYS)?)),
    }
}

/// `*`, `5`, `1-5`, `0/15`, `1-20/4`, `MON-FRI`, and lists of them.
fn set(field: &str, low: i16, high: i16, names: &[&str]) -> Result<BTreeSet<i16>, String> {
    let value = |text: &str| -> Result<i16, String> {
        if let Some(index) = names.iter().position(|n| n.eq_ignore_ascii_case(text)) {
            return Ok(low + i16::try_from(index).unwrap_or(0));
        }
        let number = text.parse().ok().filter(|n| (low..=high).contains(n));
        number.ok_or_else(|| format!("{text} is not from {low} to {high}"))
    };
    let mut out = BTreeSet::new();
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => {
                let step = step.parse::<usize>().ok().filter(|s| *s > 0);
                (range, Some(step.ok_or_else(|| format!("{part} has no step"))?))
            }
            None => (part, None),
        };
        let (from, to) = match (range, range.split_once('-'), step) {
            ("*", ..) => (low, high),
            (_, Some((from, to)), _) => (value(from)?, value(to)?),
            (one, None, Some(_)) => (value(one)?, high),
            (one, None, None) => (value(one)?, value(one)?),
        };
        if from > to {
            return Err(format!("{part} ends before it begins"));
        }
        out.extend((from..=to).step_by(step.unwrap_or(1)));
    }
    Ok(out)
}

impl Schedule {
    /// The next time after `now`; `None` if there is none any more.
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Rate(every) => now.checked_add(*every).ok(),
            Self::Cron(cron) => cron.next(now),
        }
    }
}

impl Cron {
    fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let now: DateTime = now.to_zoned(TimeZone::UTC).datetime();
        let mut date = now.date();
        // Eight years hold every leap day; a rule that names a later year is met by its first year.
        let last = date.checked_add(8.years()).ok()?;
        if let Some(first) = self.years.range(date.year()..).next().filter(|y| **y > date.year()) {
            date = Date::new(*first, 1, 1).ok()?;
        }
        while date <= last || self.years.first().is_some_and(|y| *y > last.year() && date.year() == *y) {
            if self.matches(date) {
                for hour in &self.hours {
                    for minute in &self.minutes {
                        let time =
                            Time::new(i8::try_from(*hour).ok()?, i8::try_from(*minute).ok()?, 0, 0).ok()?;
                        let at = date.to_datetime(time);
                        if at > now {
                            return Some(at.to_zoned(TimeZone::UTC).ok()?.timestamp());
                        }
                    }
                }
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    fn matches(&self, date: Date) -> bool {
        let weekday = |date: Date| i16::from(date.weekday().since(Weekday::Sunday)) + 1;
        let day = i16::from(date.day());
        self.years.contains(&date.year())
            && self.months.contains(&i16::from(date.month()))
            && match &self.days {
                Days::OfMonth(days) => days.contains(&day),
                Days::LastOfMonth => date == date.last_of_month(),
                Days::OfWeek(days) => days.contains(&weekday(date)),
                Days::NthOfWeek(w, nth) => weekday(date) == *w && (day - 1) / 7 + 1 == *nth,
                Days::LastOfWeek(w) => weekday(date) == *w && day + 7 > i16::from(date.days_in_month()),
            }
    }
}

/// One schedule of one function.
pub(crate) struct Timer {
    pub source: ScheduleSource,
    pub schedule: Schedule,
    pub function: String,
    pub invoker: Invoker,
    pub stop: CancellationToken,
}

impl Timer {
    /// Fires until told to stop. A failed run is logged; the next one comes at its time.
    pub async fn run(self) {
        let mut now = Timestamp::now();
        while let Some(next) = self.schedule.next(now) {
            let wait = Duration::try_from(Timestamp::now().until(next).unwrap_or_else(|_| Span::new()));
            let wait = tokio::time::sleep(wait.unwrap_or_default());
            if self.stop.run_until_cancelled(wait).await.is_none() {
                return;
            }
            now = next;
            let (invoker, function, event) =
                (self.invoker.clone(), self.function.clone(), event(&self.source, next));
            // Not awaited here: a run that takes longer than the period does not hold the next one up.
            tokio::spawn(async move {
                if let Err(error) = invoker.invoke(&function, &event).await {
                    tracing::warn!(function, %error, "scheduled run failed");
                }
            });
        }
    }
}

/// The event of a run: the template's, or the one that EventBridge makes.
pub fn event(source: &ScheduleSource, time: Timestamp) -> Value {
    if let Some(input) = &source.input {
        return serde_json::from_str(input).unwrap_or_else(|_| input.as_str().into());
    }
    let id = format!("{:032x}", rand::random::<u128>());
    let (origin, resource, detail) = match source.scheduler {
        true => ("aws.scheduler", "scheduler", "{}".into()),
        false => ("aws.events", "events", json!({})),
    };
    json!({
        "version": "0",
        "id": format!("{}-{}-{}-{}-{}", &id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]),
        "detail-type": "Scheduled Event",
        "source": origin,
        "account": ACCOUNT_ID,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "region": REGION,
        "resources": [arn(resource, "rule/local")],
        "detail": detail,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_fire_when_eventbridge_says() {
        // 2026-11-20 is a Friday.
        let now: Timestamp = "2026-11-20T10:07:30Z".parse().unwrap();
        for (expression, expected) in [
            ("rate(5 minutes)", "2026-11-20T10:12:30Z"),
            ("rate(1 day)", "2026-11-21T10:07:30Z"),
            ("cron(0 10 * * ? *)", "2026-11-21T10:00:00Z"),
            ("cron(15 12 * * ? *)", "2026-11-20T12:15:00Z"),
            ("cron(0/10 * ? * MON-FRI *)", "2026-11-20T10:10:00Z"),
            ("cron(0 18 ? * MON-FRI *)", "2026-11-20T18:00:00Z"),
            ("cron(0 8 1 * ? *)", "2026-12-01T08:00:00Z"),
            ("cron(5 8-17/3 ? * SAT,SUN *)", "2026-11-21T08:05:00Z"),
            ("cron(0 0 L * ? *)", "2026-11-30T00:00:00Z"),
            ("cron(0 9 ? * 2#1 *)", "2026-12-07T09:00:00Z"),
            ("cron(0 9 ? * FRIL *)", "2026-11-27T09:00:00Z"),
            ("cron(0 0 29 2 ? *)", "2028-02-29T00:00:00Z"),
            ("cron(0 0 1 JAN ? 2030)", "2030-01-01T00:00:00Z"),
        ] {
            let schedule: Schedule = expression.parse().unwrap();
            assert_eq!(schedule.next(now).unwrap().to_string(), expected, "{expression}");
        }
        let past: Schedule = "cron(0 0 1 1 ? 2020)".parse().unwrap();
        assert_eq!(past.next(now), None);
    }

    #[test]
    fn what_eventbridge_refuses_is_refused() {
        for expression in [
            "rate(1 minutes)",
            "rate(5 minute)",
            "rate(0 minutes)",
            "rate(5 seconds)",
            "cron(0 10 * * *)",
            "cron(0 10 * * * *)",
            "cron(0 10 ? * ? *)",
            "cron(60 10 * * ? *)",
            "cron(10-5 * * * ? *)",
            "every day",
        ] {
            assert!(expression.parse::<Schedule>().is_err(), "{expression}");
        }
    }
}
