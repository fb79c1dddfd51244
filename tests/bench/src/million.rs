//! A long list through the stack: every row once and in order, duplicates and credits right, memory bounded.

use std::{
    collections::BTreeMap,
    fs::File,
    io::BufWriter,
    path::Path,
    time::{Duration, Instant},
};

use clap::Args;
use jiff::Timestamp;
use local::{Profile, build_functions};
use rust_xlsxwriter::Workbook;
use serde_json::Value;

use crate::{
    Outcome,
    api::{self, Api},
    list,
    report::{self, Table, judge},
    root,
};

/// Peak memory of a processor, MiB.
const MEMORY: f64 = 128.0;
const MIB: f64 = 1024.0 * 1024.0;
/// The functions that handle a list's rows.
const PROCESSORS: [&str; 5] = [
    "verify-split-list",
    "verify-check-chunk",
    "verify-finish-task",
    "verify-record-usage",
    "ops-dispatch-events",
];

#[derive(Args)]
pub struct Options {
    /// Rows of the list.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// A workbook instead of CSV.
    #[arg(long)]
    xlsx: bool,
    /// Sandboxes a function may have at once.
    #[arg(long, default_value_t = 4)]
    sandboxes: usize,
    /// Leave docs/benchmarks.md as it is.
    #[arg(long)]
    dry: bool,
}

/// What a run shows.
struct Run {
    rows: u64,
    octets: u64,
    whole: Duration,
    steps: Vec<(&'static str, Duration)>,
    peaks: BTreeMap<String, u64>,
}

pub fn run(options: &Options) -> Outcome<bool> {
    let root = root();
    println!("Building the functions …");
    build_functions(&root, Profile::Release, true)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let run = runtime.block_on(through_the_stack(&root, options))?;
    let (text, kept) = tables(&run);
    println!("\n{text}");
    // A shorter list says nothing of the budget.
    if !options.dry && options.rows == 1_000_000 {
        report::write(&root, if options.xlsx { "million-xlsx" } else { "million" }, &text)?;
    }
    Ok(kept)
}

async fn through_the_stack(root: &Path, options: &Options) -> Outcome<Run> {
    let folder = tempfile::tempdir()?;
    let name = if options.xlsx { "contacts.xlsx" } else { "contacts.csv" };
    let file = folder.path().join(name);
    println!("Writing {} rows …", options.rows);
    if options.xlsx {
        write_xlsx(options.rows, &file)?;
    } else {
        list::write_csv(options.rows, BufWriter::new(File::create(&file)?))?;
    }
    let octets = std::fs::metadata(&file)?.len();
    let stack = api::stack(root, |stack| stack.max_concurrency = options.sandboxes).await?;
    let api = Api::new(&stack, options.rows).await?;
    let before = balance(&api).await?;

    let begun = Instant::now();
    let id = api.upload(name, &file).await?;
    let (uploaded, at) = (begun.elapsed(), Timestamp::now());
    println!("{id}: {octets} octets uploaded in {:.1} s", uploaded.as_secs_f64());
    let mut said = Instant::now();
    let task = api
        .finished(&id, |task| {
            if said.elapsed() > Duration::from_secs(5) {
                said = Instant::now();
                println!("{:6.1} s  {} {}", begun.elapsed().as_secs_f64(), task["state"], task["job_status"]);
            }
        })
        .await?;
    let whole = begun.elapsed();
    println!("{task}");
    let from = Instant::now();
    let (results, by_link) = api.download(&id).await?;
    let downloaded = from.elapsed();
    if !by_link && options.rows >= 100_000 {
        return Err("a result of this size was to come by a link".into());
    }
    println!("Checking {} octets of results …", results.len());
    let charged = check(std::str::from_utf8(&results)?, options.rows)?;
    same("credits charged, by the task", &task["credits"]["charged"], charged)?;
    let after = balance(&api).await?;
    same("available credits", &after["available"], before["available"].as_u64().unwrap_or(0) - charged)?;
    same("held credits", &after["held"], 0)?;
    same("spent credits", &after["spent"], charged)?;
    same("rows", &task["rows"], options.rows)?;
    let duplicates = (0..options.rows).filter(|n| list::duplicate_of(*n).is_some()).count() as u64;
    same("duplicates", &task["duplicates"], duplicates)?;

    let mut steps = vec![("upload", uploaded)];
    steps.extend(timeline(&api, &id, at).await?);
    steps.push(("download", downloaded));
    let peaks = stack.lambda().peak_memory();
    stack.stop().await;
    Ok(Run { rows: options.rows, octets, whole, steps, peaks })
}

fn write_xlsx(rows: u64, file: &Path) -> Outcome<()> {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet_with_constant_memory()?;
    sheet.write_row(0, 0, list::HEADER)?;
    for n in 0..rows {
        sheet.write_row(u32::try_from(n + 1)?, 0, list::cells(n))?;
    }
    Ok(book.save(file)?)
}

async fn balance(api: &Api) -> Outcome<Value> {
    Ok(api.get("/v1/account/credits").await?["balance"].clone())
}

fn same(what: &str, found: &Value, expected: u64) -> Outcome<()> {
    if found.as_u64() == Some(expected) {
        Ok(())
    } else {
        Err(format!("{what}: {found}, expected {expected}").into())
    }
}

/// Compares the results with the list, line by line; the credits that they cost.
fn check(results: &str, rows: u64) -> Outcome<u64> {
    let mut lines = results.lines();
    let head = lines.next().unwrap_or_default();
    if !head.starts_with(&format!("{},email_status,", list::line(list::HEADER))) {
        return Err(format!("not the header: {head}").into());
    }
    let (mut charged, mut found) = (0, Vec::<&str>::new());
    for n in 0..rows {
        let line = lines.next().ok_or_else(|| format!("the results end before row {n}"))?;
        let given = list::line(list::cells(n));
        let result = line.strip_prefix(&given).and_then(|rest| rest.strip_prefix(','));
        let result = result.ok_or_else(|| format!("row {n} is {line}, given was {given}"))?;
        let status = result.split(',').next().unwrap_or_default();
        if !["valid", "risky", "invalid", "unknown"].contains(&status) {
            return Err(format!("row {n} has no status: {line}").into());
        }
        // What was found out, without the moment and what follows.
        let facts = result.rsplitn(3, ',').nth(2).unwrap_or_default();
        match list::duplicate_of(n) {
            None => charged += u64::from(status != "unknown"),
            Some(first) => {
                let first = found.get(usize::try_from(first)?).copied().unwrap_or_default();
                if first != facts {
                    return Err(
                        format!("row {n} differs from the row it repeats: {facts} and {first}").into()
                    );
                }
            }
        }
        found.push(facts);
    }
    match lines.next() {
        None => Ok(charged),
        Some(line) => Err(format!("more than {rows} rows: {line}").into()),
    }
}

/// How long the stages took, by the task's own events.
async fn timeline(api: &Api, id: &str, uploaded: Timestamp) -> Outcome<Vec<(&'static str, Duration)>> {
    let events = api.get(&format!("/v1/verification/tasks/{id}/events")).await?;
    let at = |kind: &str| -> Outcome<Timestamp> {
        let mut events = events["data"].as_array().into_iter().flatten();
        let event = events.find(|e| e["kind"] == format!("verification.task.{kind}"));
        let event = event.ok_or_else(|| format!("no event {kind} in {events:?}"))?;
        Ok(event["at"].as_str().unwrap_or_default().parse()?)
    };
    let steps = [
        ("split", uploaded, at("started")?),
        ("check", at("started")?, at("drained")?),
        ("finish", at("drained")?, at("completed")?),
    ];
    Ok(steps.map(|(name, from, to)| (name, to.duration_since(from).unsigned_abs())).into())
}

fn tables(run: &Run) -> (String, bool) {
    let mut broken = false;
    for (name, took) in &run.steps {
        println!("{name:<10}{:8.1} s", took.as_secs_f64());
    }
    println!(
        "whole     {:8.1} s, {:.0} rows/s",
        run.whole.as_secs_f64(),
        run.rows as f64 / run.whole.as_secs_f64()
    );
    let all: Duration = run.steps.iter().map(|(_, took)| *took).sum();
    let share = |took: Duration| format!("{:.0} %", 100.0 * took.as_secs_f64() / all.as_secs_f64());
    let steps: Vec<String> =
        run.steps.iter().map(|(name, took)| format!("{name} {}", share(*took))).collect();
    let text = format!(
        "{} rows, {:.0} MiB: every row once and in order, duplicates alike, credits exact. Of the time from \
         the first octet uploaded to the last downloaded: {}.\n",
        run.rows,
        run.octets as f64 / MIB,
        steps.join(", ")
    );
    let mut table = Table::new(["processor", "peak MiB (≤ 128)"]);
    for name in PROCESSORS {
        let peak = run.peaks.get(name).map_or(f64::INFINITY, |peak| *peak as f64 / MIB);
        table.row([format!("`{name}`"), judge(peak, MEMORY, 1, &mut broken)]);
    }
    (format!("{text}\n{}", table.text()), !broken)
}
