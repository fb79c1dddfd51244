//! What upstream mode needs of this area (V15, `docs/decisions/upstream.md`): the setting's name, and the lists made for people.

use crate::results::COLUMNS;

/// The setting that has the address of another verification API: tasks, checks and usage are its then, and nothing of them is kept
/// here.
pub const UPSTREAM: &str = "VERIFICATION_API_URL";

/// What people read where the upstream gave nothing.
pub const NOT_GIVEN: &str = "ext api data is not available";

/// A list of the upstream's with every result column of ours: those that it lacks stand behind its own, with [`NOT_GIVEN`] in each
/// row. `None` if it lacks none. Else the names of those, and the list.
pub fn complete_list(list: &[u8]) -> Option<(Vec<&'static str>, Vec<u8>)> {
    let mut rows = records(list);
    let (header, end) = rows.next()?;
    let delimiter = delimiter(header);
    let names: Vec<Vec<u8>> = cells(header, delimiter);
    let lacks: Vec<_> =
        COLUMNS.into_iter().filter(|name| !names.iter().any(|n| n == name.as_bytes())).collect();
    if lacks.is_empty() {
        return None;
    }
    let mut whole = Vec::with_capacity(list.len() * 2);
    let mut add = |row: &[u8], end: &[u8], cell: &dyn Fn(&'static str) -> &'static str| {
        whole.extend_from_slice(row);
        for name in &lacks {
            whole.push(delimiter);
            whole.extend_from_slice(cell(name).as_bytes());
        }
        whole.extend_from_slice(end);
    };
    add(header, end, &|name| name);
    for (row, end) in rows {
        add(row, end, &|_| NOT_GIVEN);
    }
    Some((lacks, whole))
}

/// The rows of a list and the line ends behind them. A line end between quotes is part of its cell (RFC 4180).
fn records(list: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = list;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut quoted = false;
        let line = rest.iter().position(|&b| {
            quoted ^= b == b'"';
            b == b'\n' && !quoted
        });
        let (row, after) = rest.split_at(line.unwrap_or(rest.len()));
        let (row, end) = match row.split_last() {
            Some((b'\r', shorter)) if line.is_some() => (shorter, &rest[shorter.len()..=row.len()]),
            _ => (row, &after[..after.len().min(1)]),
        };
        rest = after.get(1..).unwrap_or_default();
        Some((row, end))
    })
}

/// The sign that stands most often between the header's cells; a comma if there is none.
fn delimiter(header: &[u8]) -> u8 {
    let count = |sign: u8| cells(header, sign).len();
    [b'|', b'\t', b';', b','].into_iter().max_by_key(|&sign| count(sign)).unwrap_or(b',')
}

/// The cells of a row, without the quotes around them.
fn cells(row: &[u8], delimiter: u8) -> Vec<Vec<u8>> {
    let mut quoted = false;
    let parts = row.split(|&b| {
        quoted ^= b == b'"';
        b == delimiter && !quoted
    });
    parts
        .map(|cell| {
            let cell = cell.strip_prefix("\u{feff}".as_bytes()).unwrap_or(cell);
            let inner = cell.strip_prefix(b"\"").and_then(|c| c.strip_suffix(b"\"")).unwrap_or(cell);
            inner.to_vec()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(list: &str) -> Option<(Vec<&'static str>, String)> {
        complete_list(list.as_bytes()).map(|(lacks, list)| (lacks, String::from_utf8(list).unwrap()))
    }

    #[test]
    fn a_list_with_every_column_goes_on_as_it_is() {
        let header = format!("Name,Email,{}\n", COLUMNS.join(","));
        assert_eq!(complete(&format!("{header}Ada,ada@gmail.com,valid,,,,,,,,,\n")), None);
        assert_eq!(complete(&header.replace(',', ";")), None);
        assert_eq!(complete(&format!("\u{feff}\"{}\"\r\n", COLUMNS.join("\",\""))), None);
        assert_eq!(complete(""), None);
    }

    #[test]
    fn a_column_that_is_not_given_says_so_in_each_row() {
        let given: Vec<_> = COLUMNS.into_iter().filter(|c| !["mx_host", "is_role"].contains(c)).collect();
        let list = format!(
            "Email;Note;{}\r\na@b.c;\"x;\r\n\"\"y\"\"\";valid;;;;;;;\r\nd@e.f;;;;;;;;;",
            given.join(";")
        );
        let (lacks, whole) = complete(&list).unwrap();
        assert_eq!(lacks, ["is_role", "mx_host"]);
        let want = format!(
            "Email;Note;{};is_role;mx_host\r\na@b.c;\"x;\r\n\"\"y\"\"\";valid;;;;;;;;{NOT_GIVEN};{NOT_GIVEN}\r\nd@e.f;;;;;;;;;;{NOT_GIVEN};{NOT_GIVEN}",
            given.join(";")
        );
        assert_eq!(whole, want);
        assert_eq!(NOT_GIVEN, "ext api data is not available");
    }

    #[test]
    fn a_list_without_any_of_them_has_them_all() {
        let (lacks, whole) = complete("email\na@b.c\n").unwrap();
        assert_eq!(lacks, COLUMNS);
        assert_eq!(
            whole,
            format!("email,{}\na@b.c{}\n", COLUMNS.join(","), format!(",{NOT_GIVEN}").repeat(10))
        );
    }
}
