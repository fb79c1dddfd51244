//! Usage: what a workspace verified, by day and hour (V10). Written by a subscriber of the events, read by one query.

use std::collections::BTreeMap;

use aws::{CommitError, Cond, Key, Query, Transaction, Update};
use jiff::{SignedDuration, Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use piecework_core::{DomainEvent, WorkspaceId, now};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{Error, Tasks, VerificationCounts, store::erased_key};

/// Days that a series by day can span.
const MAX_DAYS: i64 = 366;
/// Days that a series by hour can span.
const MAX_HOURLY_DAYS: i64 = 31;
/// How long a counted event is remembered: longer than a message can live in its queue and dead-letter queue together.
const SEEN: SignedDuration = SignedDuration::from_hours(24 * 30);

/// The width of a series' points.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bucketing {
    /// An hour, UTC.
    Hour,
    /// A day, UTC.
    #[default]
    Day,
}

impl Bucketing {
    /// `D#2026-11-20`, `H#2026-11-20T14`.
    fn key(self, at: Timestamp) -> String {
        let at = at.to_zoned(TimeZone::UTC);
        match self {
            Self::Day => format!("USAGE#D#{}", at.strftime("%Y-%m-%d")),
            Self::Hour => format!("USAGE#H#{}", at.strftime("%Y-%m-%dT%H")),
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Day => "USAGE#D#",
            Self::Hour => "USAGE#H#",
        }
    }
}

/// `?from=&to=&bucket=`.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UsageQuery {
    /// First day, UTC; 30 days before `to` unless given.
    #[param(value_type = Option<String>, format = Date, example = "2026-11-01")]
    pub from: Option<Date>,
    /// Last day, UTC, included; today unless given.
    #[param(value_type = Option<String>, format = Date, example = "2026-11-20")]
    pub to: Option<Date>,
    /// The width of a point: `day` (at most 366 days) or `hour` (at most 31).
    pub bucket: Option<Bucketing>,
}

/// One point of a series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsagePoint {
    /// Its beginning.
    #[schema(value_type = String, format = DateTime)]
    pub start: Timestamp,
    /// Results by status.
    #[serde(flatten)]
    pub counts: VerificationCounts,
    /// Credits charged.
    pub charged: u64,
}

/// Totals and a series (V10). Points without use are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    /// First day.
    #[schema(value_type = String, format = Date)]
    pub from: Date,
    /// Last day, included.
    #[schema(value_type = String, format = Date)]
    pub to: Date,
    /// The width of a point.
    pub bucket: Bucketing,
    /// Results by status, all points together.
    pub total: VerificationCounts,
    /// Credits charged, all points together.
    pub charged: u64,
    /// The points, oldest first.
    pub series: Vec<UsagePoint>,
}

/// An event that counts as use.
#[derive(Debug, Clone, Deserialize)]
pub struct UsageMessage {
    #[serde(flatten)]
    event: DomainEvent,
}

#[derive(Deserialize)]
struct Used {
    verification_status: BTreeMap<String, i64>,
    charged: i64,
}

impl Tasks {
    /// Adds an event to its day and hour, once however often it comes. `false` if it is no event that counts.
    pub async fn record_usage(&self, message: &UsageMessage) -> Result<bool, aws::Error> {
        let event = &message.event;
        let Ok(used) = serde_json::from_value::<Used>(event.data.clone()) else { return Ok(false) };
        let mut transaction = Transaction::new();
        let seen = serde_json::json!({
            "pk": format!("SEEN#{}", event.id), "sk": "USAGE", "expires_at": (now() + SEEN).as_second()
        });
        transaction.create("seen", &self.table, &seen);
        // What was erased is not counted any more.
        transaction.check("erased", &self.table, &erased_key(event.workspace), Cond::Absent("pk"));
        for bucket in [Bucketing::Day, Bucketing::Hour] {
            let key = Key::new(format!("WSP#{}", event.workspace), bucket.key(event.at));
            let mut update = Update::at(key).add("charged", used.charged);
            for status in ["valid", "risky", "invalid", "unknown"] {
                update = update.add(status, used.verification_status.get(status).copied().unwrap_or(0));
            }
            transaction.update("usage", &self.table, update);
        }
        match transaction.commit().await {
            Ok(()) | Err(CommitError::Refused { label: "seen" | "erased", .. }) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// The series that was asked for, in one query.
    pub async fn usage(&self, workspace: WorkspaceId, query: &UsageQuery) -> Result<Usage, Error> {
        #[derive(Deserialize)]
        struct Row {
            sk: String,
            #[serde(flatten)]
            counts: VerificationCounts,
            charged: u64,
        }
        let bucket = query.bucket.unwrap_or_default();
        let to = query.to.unwrap_or_else(|| now().to_zoned(TimeZone::UTC).date());
        let unusable = |pointer, detail: String| Error::Unusable { pointer, detail };
        let from = match query.from {
            Some(from) => from,
            None => to.checked_sub(30.days()).map_err(|e| unusable("query:to", e.to_string()))?,
        };
        if from > to {
            return Err(unusable("query:from", "must not be after `to`".into()));
        }
        let days = i64::from((to - from).get_days()) + 1;
        let most = if bucket == Bucketing::Hour { MAX_HOURLY_DAYS } else { MAX_DAYS };
        if days > most {
            return Err(unusable("query:from", format!("at most {most} days up to `to`")));
        }
        let prefix = bucket.prefix();
        // `~` sorts behind every digit and `T`, so the whole last day is in.
        let range = Query::partition(format!("WSP#{workspace}"))
            .between(format!("{prefix}{from}"), format!("{prefix}{to}~"));
        let mut usage =
            Usage { from, to, bucket, total: VerificationCounts::default(), charged: 0, series: Vec::new() };
        for row in self.table.query::<Row>(range).await?.items {
            let text = row.sk.trim_start_matches(prefix);
            let text = if bucket == Bucketing::Hour {
                format!("{text}:00:00Z")
            } else {
                format!("{text}T00:00:00Z")
            };
            let start = text.parse().map_err(|e| aws::Error::Shape(format!("usage point: {e}")))?;
            usage.total.valid += row.counts.valid;
            usage.total.risky += row.counts.risky;
            usage.total.invalid += row.counts.invalid;
            usage.total.unknown += row.counts.unknown;
            usage.charged += row.charged;
            usage.series.push(UsagePoint { start, counts: row.counts, charged: row.charged });
        }
        Ok(usage)
    }
}
