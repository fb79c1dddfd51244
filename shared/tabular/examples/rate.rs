//! Rows a second and peak memory over a million rows: `cargo run --release -p tabular --example rate [csv|utf16|xlsx|shared]`.
//! Each kind runs in a process of its own, because the peak of a process never falls.

#![expect(clippy::print_stdout, reason = "a measurement is printed")]

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    process::Command,
    time::Instant,
};

use rust_xlsxwriter::Workbook;
use tabular::{Format, Hints, Item, Limits, ListReader, ListWriter};

type Failure = Box<dyn std::error::Error>;

const ROWS: u32 = 1_000_000;
const KINDS: [&str; 4] = ["csv", "utf16", "xlsx", "shared"];

fn main() -> Result<(), Failure> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let this = std::env::current_exe()?;
    match &arguments[..] {
        [step, kind, path] if step == "make" => make(kind, Path::new(path)),
        [step, kind, path] if step == "measure" => measure(kind, Path::new(path)),
        wanted => {
            for kind in
                KINDS.iter().filter(|kind| wanted.is_empty() || wanted.iter().any(|wanted| wanted == *kind))
            {
                let file = tempfile::NamedTempFile::new()?;
                Command::new(&this).arg("make").arg(kind).arg(file.path()).status()?;
                Command::new(&this).arg("measure").arg(kind).arg(file.path()).status()?;
            }
            Ok(())
        }
    }
}

fn cells(row: u32) -> [String; 5] {
    [
        row.to_string(),
        format!("Ada {row}"),
        format!("ada.lovelace.{row}@customer-{}.example.com", row % 5000),
        "Zürich".into(),
        format!("2026-11-{:02}", row % 28 + 1),
    ]
}

const HEADER: [&str; 5] = ["id", "name", "email", "city", "since"];

fn make(kind: &str, path: &Path) -> Result<(), Failure> {
    if kind == "csv" || kind == "utf16" {
        let mut out = BufWriter::new(File::create(path)?);
        let mut line = |text: String| match kind {
            "csv" => out.write_all(text.as_bytes()),
            _ => out.write_all(&text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()),
        };
        line(format!("{}\r\n", HEADER.join(",")))?;
        for row in 0..ROWS {
            line(format!("{}\r\n", cells(row).join(",")))?;
        }
        return Ok(out.flush()?);
    }
    let mut workbook = Workbook::new();
    let sheet = match kind {
        "xlsx" => workbook.add_worksheet_with_constant_memory()?,
        _ => workbook.add_worksheet_with_low_memory()?,
    };
    for (column, name) in HEADER.iter().enumerate() {
        sheet.write(0, column as u16, *name)?;
    }
    for row in 0..ROWS {
        for (column, cell) in cells(row).into_iter().enumerate() {
            sheet.write(row + 1, column as u16, cell)?;
        }
    }
    Ok(workbook.save(path)?)
}

fn measure(kind: &str, path: &Path) -> Result<(), Failure> {
    let (hints, limits) = (Hints::default(), Limits::default());
    let open = || match kind {
        "csv" | "utf16" => ListReader::text(File::open(path)?, Format::Csv, &hints, &limits),
        _ => ListReader::xlsx(path, &hints, &limits),
    };
    let started = Instant::now();
    let (mut rows, mut bytes) = (0_u32, 0);
    for item in open()? {
        if let Item::Row(row) = item? {
            rows += 1;
            bytes += row.address().len();
        }
    }
    let read = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let list = open()?;
    let mut out = ListWriter::new(BufWriter::new(std::io::sink()), list.layout(), true)?;
    for item in list {
        if let Item::Row(row) = item? {
            out.row(row.cells(), ["valid", "deliverable"])?;
        }
    }
    out.finish()?;
    let copied = started.elapsed().as_secs_f64();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("unknown").trim();
    let size = path.metadata()?.len() / (1 << 20);
    println!(
        "{kind:7} {size:4} MiB {rows} rows ({bytes} address bytes): read {:.0} rows/s, read and written {:.0} rows/s, peak {peak}",
        f64::from(rows) / read,
        f64::from(rows) / copied,
    );
    Ok(())
}
