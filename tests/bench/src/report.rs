//! Tables for the terminal and, between markers, for `docs/benchmarks.md`.

use std::{fmt::Write as _, fs, path::Path};

use crate::Outcome;

/// A table; cells are text already.
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new<const N: usize>(head: [&str; N]) -> Self {
        Self { head: head.map(str::to_owned).into(), rows: Vec::new() }
    }

    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// As Markdown with its columns in line, which reads well on a terminal too.
    pub fn text(&self) -> String {
        let all = || std::iter::once(&self.head).chain(&self.rows);
        let width = |at: usize| all().map(|row| row[at].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let mut text = String::new();
        for (number, row) in all().enumerate() {
            for (at, cell) in row.iter().enumerate() {
                // Names to the left, figures to the right.
                let gap = " ".repeat(widths[at] - cell.chars().count());
                let _ = if at == 0 { write!(text, "| {cell}{gap} ") } else { write!(text, "| {gap}{cell} ") };
            }
            text.push_str("|\n");
            if number == 0 {
                for (at, width) in widths.iter().enumerate() {
                    let _ = write!(text, "|{}{}", "-".repeat(width + 1), if at == 0 { "-" } else { ":" });
                }
                text.push_str("|\n");
            }
        }
        text
    }
}

/// `value` and whether it keeps within `budget`; a broken budget is remembered in `broken`.
pub fn judge(value: f64, budget: f64, decimals: usize, broken: &mut bool) -> String {
    let kept = value <= budget;
    *broken |= !kept;
    format!("{value:.decimals$} {}", if kept { "✓" } else { "✗" })
}

/// The `part` of some values, 0.5 for the median; zero if there are none.
pub fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let at = (sorted.len().saturating_sub(1) as f64 * part).round() as usize;
    sorted.get(at).copied().unwrap_or(0.0)
}

/// Puts `text` between the markers of `section` in `docs/benchmarks.md`.
pub fn write(root: &Path, section: &str, text: &str) -> Outcome<()> {
    let path = root.join("docs/benchmarks.md");
    let page = replace(&fs::read_to_string(&path)?, section, text);
    let page = page.ok_or_else(|| format!("{} has no markers for {section}", path.display()))?;
    Ok(fs::write(path, page)?)
}

fn replace(page: &str, section: &str, text: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- begin {section} -->\n"), format!("<!-- end {section} -->"));
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}{}\n{end}{after}", text.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_replaced_and_the_rest_stays() {
        let page = "a\n<!-- begin x -->\nold\n<!-- end x -->\nb\n";
        assert_eq!(replace(page, "x", "new\n").unwrap(), "a\n<!-- begin x -->\nnew\n<!-- end x -->\nb\n");
        assert_eq!(replace(page, "y", "new"), None);
    }

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert_eq!(quantile(&[9.0, 1.0, 2.0], 0.5), 2.0);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }

    #[test]
    fn columns_stand_in_line() {
        let mut table = Table::new(["a", "bb"]);
        table.row(["long".into(), "1".into()]);
        assert_eq!(table.text(), "| a    | bb |\n|------|---:|\n| long |  1 |\n");
    }
}
