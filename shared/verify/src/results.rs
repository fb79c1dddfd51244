//! The result columns and the objects that hold results.

use tabular::{Layout, ListWriter};

use crate::{Job, JobState, list::ListRow};

/// Rows between two entries of a chunk's index.
pub(crate) const INDEX_EVERY: usize = 100;

/// The columns that the download adds behind the original ones (V6).
pub(crate) const COLUMNS: [&str; 10] = [
    "email_status",
    "email_sub_status",
    "did_you_mean",
    "is_disposable",
    "is_role",
    "is_free",
    "mx_found",
    "mx_host",
    "checked_at",
    "row_error",
];

/// A chunk's results: the jobs as NDJSON with an index, and the rows as CSV.
pub(crate) struct Written {
    pub jobs: Vec<u8>,
    pub offsets: Vec<u64>,
    pub csv: Vec<u8>,
}

fn shape(error: impl ToString) -> aws::Error {
    aws::Error::Shape(error.to_string())
}

/// Writes the results of a chunk's rows, in their order.
pub(crate) fn write(layout: &Layout, rows: &[ListRow], jobs: &[Job]) -> Result<Written, aws::Error> {
    let mut out =
        Written { jobs: Vec::with_capacity(jobs.len() * 600), offsets: Vec::new(), csv: Vec::new() };
    let mut csv = ListWriter::new(Vec::with_capacity(jobs.len() * 120), layout, false).map_err(shape)?;
    for (at, (row, job)) in rows.iter().zip(jobs).enumerate() {
        if at % INDEX_EVERY == 0 {
            out.offsets.push(out.jobs.len() as u64);
        }
        serde_json::to_writer(&mut out.jobs, job).map_err(shape)?;
        out.jobs.push(b'\n');
        csv.row(row.cells.iter().map(String::as_str), columns(job).iter().map(String::as_str))
            .map_err(shape)?;
    }
    out.offsets.push(out.jobs.len() as u64);
    out.csv = csv.finish().map_err(shape)?;
    Ok(out)
}

/// The first line of the download: the list's own header, or names for the columns of a list without one.
pub(crate) fn header(layout: &Layout) -> Result<Vec<u8>, aws::Error> {
    let named: Vec<String> = match &layout.header {
        Some(names) => names.clone(),
        None => (0..layout.columns)
            .map(
                |c| if c == layout.address_column { "email".to_owned() } else { format!("column_{}", c + 1) },
            )
            .collect(),
    };
    let mut csv = ListWriter::new(Vec::new(), layout, layout.bom).map_err(shape)?;
    csv.row(named.iter().map(String::as_str), COLUMNS).map_err(shape)?;
    csv.finish().map_err(shape)
}

fn columns(job: &Job) -> [String; 10] {
    let flag = |flag: Option<bool>| flag.map_or(String::new(), |f| f.to_string());
    let name = |value: Option<serde_json::Value>| {
        value.and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
    };
    let status = match job.state {
        JobState::Completed => name(job.status.and_then(|s| serde_json::to_value(s).ok())),
        JobState::Cancelled => "not_verified".to_owned(),
        JobState::Failed | JobState::Queued => String::new(),
    };
    [
        status,
        name(job.sub_status.and_then(|s| serde_json::to_value(s).ok())),
        job.suggestion.clone().unwrap_or_default(),
        flag(job.disposable),
        flag(job.role),
        flag(job.free),
        flag(job.mx.as_ref().and_then(|mx| mx.found)),
        job.mx.as_ref().and_then(|mx| mx.host.clone()).unwrap_or_default(),
        job.validated_at.map_or(String::new(), |at| at.to_string()),
        job.error.as_ref().map_or(String::new(), |e| e.code.clone()),
    ]
}
