//! A long, varied list that is the same every time: each row is a function of its number.

use std::io::{self, Write};

/// The column names.
pub const HEADER: [&str; 7] = ["id", "name", "email", "company", "city", "joined", "note"];

/// Company domains in all.
const COMPANIES: u64 = 20_000;
/// Share of duplicates, in a thousand.
const DUPLICATES: u64 = 80;

/// Numbers that look random: the finaliser of SplitMix64.
fn mix(n: u64, salt: u64) -> u64 {
    let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(salt.wrapping_mul(0xd1b5_4a32_d192_ed03));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn pick<'a>(from: &[&'a str], n: u64, salt: u64) -> &'a str {
    let at = usize::try_from(mix(n, salt) % from.len() as u64).unwrap_or(0);
    from[at]
}

/// The row in which the address of row `n` stood first, if it is a duplicate.
pub fn duplicate_of(n: u64) -> Option<u64> {
    let is = n > 0 && mix(n, 1) % 1000 < DUPLICATES;
    is.then(|| {
        let earlier = mix(n, 2) % n;
        duplicate_of(earlier).unwrap_or(earlier)
    })
}

fn domain(n: u64) -> String {
    const PROVIDERS: [&str; 12] = [
        "gmail.com",
        "gmail.com",
        "gmail.com",
        "outlook.com",
        "hotmail.com",
        "yahoo.com",
        "icloud.com",
        "gmx.de",
        "web.de",
        "proton.me",
        "yahoo.co.uk",
        "aol.com",
    ];
    const COMPANY_ZONES: [&str; 4] =
        ["corp.example", "workspace.example", "microsoft365.example", "shop.example"];
    let company = mix(n, 4) % COMPANIES;
    match mix(n, 3) % 100 {
        0..45 => pick(&PROVIDERS, n, 5).to_owned(),
        45..92 => format!("d{company}.{}", pick(&COMPANY_ZONES, company, 6)),
        92..94 => pick(&["mailinator.com", "yopmail.com", "guerrillamail.com"], n, 5).to_owned(),
        94 => format!("d{}.parked.example", company % 500),
        95..97 => format!("d{}.nowhere.test", company % 500),
        97 => pick(&["gmial.com", "hotmial.com", "yaho.com"], n, 5).to_owned(),
        98 => format!("d{}.down.example", company % 40),
        _ => "only-a.test".to_owned(),
    }
}

/// The address of row `n`; a duplicate is written a little otherwise.
fn address(n: u64) -> String {
    const FIRST: [&str; 10] = ["anna", "bob", "carla", "dan", "eva", "finn", "gina", "hal", "iris", "jon"];
    if let Some(first) = duplicate_of(n) {
        let earlier = address(first);
        return match earlier.split_once('@') {
            Some((local, domain)) if n.is_multiple_of(2) => {
                format!("{local}@{}", domain.to_ascii_uppercase())
            }
            _ => earlier,
        };
    }
    match mix(n, 7) % 200 {
        0 => format!("no address {n}"),
        1 => format!("two..dots{n}@{}", domain(n)),
        _ => format!("{}.{n}@{}", pick(&FIRST, n, 8), domain(n)),
    }
}

/// The cells of row `n`.
pub fn cells(n: u64) -> [String; 7] {
    const COMPANY: [&str; 5] =
        ["Baker, Sons & Co", "Müller GmbH", "O'Neil \"Tools\" Ltd", "Acme", "北京商店"];
    const CITY: [&str; 6] = ["Berlin", "São Paulo", "Łódź", "New York", "Leeds", "東京"];
    const NOTE: [&str; 4] = ["", "newsletter", "called twice; wants an offer", "from the fair"];
    let day = mix(n, 9) % 28 + 1;
    [
        format!("{:07}", n + 1),
        format!("Person {n}"),
        address(n),
        pick(&COMPANY, n, 10).to_owned(),
        pick(&CITY, n, 11).to_owned(),
        format!("2025-{:02}-{day:02}", mix(n, 12) % 12 + 1),
        pick(&NOTE, n, 13).to_owned(),
    ]
}

/// Cells as a line of CSV without its end, quoted where they must be.
pub fn line(cells: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut line = String::new();
    for (at, cell) in cells.into_iter().enumerate() {
        if at > 0 {
            line.push(',');
        }
        let cell = cell.as_ref();
        if cell.contains([',', '"']) {
            line.extend(["\"", &cell.replace('"', "\"\""), "\""]);
        } else {
            line.push_str(cell);
        }
    }
    line
}

/// Writes the list with a header.
pub fn write_csv(rows: u64, mut out: impl Write) -> io::Result<()> {
    writeln!(out, "{}", line(HEADER))?;
    for n in 0..rows {
        writeln!(out, "{}", line(cells(n)))?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn about_eight_in_a_hundred_rows_repeat_an_address_and_no_others_do() {
        let (mut seen, mut repeated) = (HashSet::new(), 0);
        for n in 0..20_000 {
            let new = seen.insert(address(n).to_ascii_lowercase());
            assert_eq!(new, duplicate_of(n).is_none(), "row {n}: {}", address(n));
            repeated += u32::from(!new);
        }
        assert!((1_400..1_800).contains(&repeated), "{repeated}");
    }
}
