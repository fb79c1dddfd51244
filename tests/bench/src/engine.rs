//! The engine beside another validator: runs `shared/email/benches/compare.py` and judges what it prints.

use std::process::{Command, Stdio};

use clap::Args;

use crate::{Outcome, report, root};

/// Addresses a second that one core must decide without DNS.
const BUDGET: f64 = 300_000.0;

#[derive(Args)]
pub struct Options {
    /// Addresses in the list.
    #[arg(long, default_value_t = 200_000)]
    rows: u64,
}

/// The rate in a line such as `engine, parse   1,234,567 addresses/s`.
fn rate(output: &str, name: &str) -> Outcome<f64> {
    let line =
        output.lines().find_map(|line| line.strip_prefix(name)).ok_or_else(|| format!("no line {name:?}"))?;
    let figure = line.split_whitespace().next().unwrap_or_default();
    Ok(figure.replace(',', "").parse()?)
}

pub fn run(options: &Options) -> Outcome<bool> {
    let mut command = Command::new("python3");
    command.arg(root().join("shared/email/benches/compare.py")).arg(options.rows.to_string());
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err("the comparison failed".into());
    }
    let output = String::from_utf8(output.stdout)?;
    println!("{output}");
    let peer = rate(&output, "email-validator")?;
    let (parse, decide) = (rate(&output, "engine, parse")?, rate(&output, "engine, inspect+verdict")?);
    let mut table =
        report::Table::new(["engine, one core, no DNS", "÷ email-validator", "÷ the budget of 300,000/s"]);
    for (name, rate) in
        [("syntax and IDN, the work of both", parse), ("and word lists, slips, verdict", decide)]
    {
        let mark = if rate >= BUDGET { "✓" } else { "✗" };
        table.row([name.into(), format!("{:.0}", rate / peer), format!("{:.1} {mark}", rate / BUDGET)]);
    }
    println!("{}", table.text());
    report::write(&root(), "engine", &table.text())?;
    Ok(parse.min(decide) >= BUDGET)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_from_its_line() {
        let output = "rows   10\nengine, parse            1,234,567 addresses/s   150 x\n";
        assert_eq!(rate(output, "engine, parse").unwrap(), 1_234_567.0);
        assert!(rate(output, "other").is_err());
    }
}
