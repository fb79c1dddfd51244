//! What a list turned out to be: its header and the column with the addresses.

use serde::{Deserialize, Serialize};

use crate::{
    error::ListError,
    options::{Column, Hints},
    row::Cells,
    sniff::Format,
};

/// How a list is laid out: enough to read it again, and to write it back in its own form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// The kind of list.
    pub format: Format,
    /// The sign between cells; `None` for a workbook or one address a line.
    pub delimiter: Option<char>,
    /// The encoding's name in the WHATWG Encoding Standard, as `UTF-8`.
    pub encoding: String,
    /// Whether the text begins with a byte order mark.
    pub bom: bool,
    /// How the first line ends. A lone CR is written back as LF.
    pub line_ending: LineEnding,
    /// The first row, where it names the columns.
    pub header: Option<Vec<String>>,
    /// The 0-based index of the address column.
    pub address_column: usize,
    /// How the address column was found.
    pub found_by: FoundBy,
    /// The most cells in any of the first rows, the header included.
    pub columns: usize,
    /// The name of the workbook's sheet that is read.
    pub sheet: Option<String>,
}

/// How the address column was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FoundBy {
    /// By its name in the header.
    Name,
    /// As [`Hints::column`] says.
    Given,
    /// By what its cells hold.
    Content,
}

/// The end of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineEnding {
    /// `\n`
    Lf,
    /// `\r\n`
    CrLf,
}

/// Names of an address column, reduced to letters and digits in lower case; the first wins.
const NAMES: &[&str] = &[
    "email",
    "emailaddress",
    "emailaddresses",
    "mailaddress",
    "emails",
    "emailid",
    "mail",
    "email1",
    "email1value",
    "emailaddr",
    "primaryemail",
    "primaryemailaddress",
    "workemail",
    "businessemail",
    "companyemail",
    "contactemail",
    "customeremail",
    "useremail",
    "subscriberemail",
    "recipientemail",
    "personalemail",
    // German, Dutch, Scandinavian, Finnish
    "emailadresse",
    "mailadresse",
    "emailadres",
    "epost",
    "epostadresse",
    "epostadress",
    "mejl",
    "sähköposti",
    "sähköpostiosoite",
    // French, Spanish, Portuguese, Italian
    "courriel",
    "adressemail",
    "adresseemail",
    "adresseélectronique",
    "adressecourriel",
    "mél",
    "correo",
    "correoelectrónico",
    "correoelectronico",
    "direccióndecorreo",
    "enderecodeemail",
    "endereçodeemail",
    "correioeletrônico",
    "indirizzoemail",
    "postaelettronica",
    // Polish and Turkish, Russian, Chinese and Japanese
    "adresemail",
    "eposta",
    "электроннаяпочта",
    "邮箱",
    "メールアドレス",
];

/// Whether a cell, trimmed, has the form of an address that a person would recognise. It decides only what a list
/// looks like; whether an address is good is for others to say.
pub(crate) fn looks_like_address(cell: &str) -> bool {
    let cell = cell.trim();
    let Some((local, domain)) = cell.rsplit_once('@') else { return false };
    let plain = |c: char| {
        !c.is_whitespace() && !c.is_control() && !matches!(c, ',' | ';' | '|' | '<' | '>' | '"' | '@')
    };
    !local.is_empty()
        && cell.len() <= 320
        && local.chars().all(plain)
        && domain.split('.').count() >= 2
        && domain.split('.').all(|label| !label.is_empty())
        && domain.chars().all(|c| plain(c) && !matches!(c, '/' | ':' | '\\' | '(' | ')'))
}

/// `Ada <ada@example.com>` and addresses with a typing error too.
fn mentions_address(cell: &str) -> bool {
    cell.trim().split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
}

fn reduced(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn known(name: &str) -> Option<usize> {
    let name = reduced(name);
    NAMES.iter().position(|&known| known == name)
}

/// Whether the first row is a header, and the address column.
pub(crate) struct Found {
    pub(crate) header: bool,
    pub(crate) column: usize,
    pub(crate) by: FoundBy,
    pub(crate) columns: usize,
}

/// Decides from the first rows, of which there must be one.
pub(crate) fn find(rows: &[&Cells], hints: &Hints) -> Result<Found, ListError> {
    let Some((&first, rest)) = rows.split_first() else { return Err(ListError::Empty) };
    let columns = rows.iter().map(|row| row.len()).max().unwrap_or(0);
    let named = matches!(&hints.column, Some(Column::Name(name)) if name_index(first, name).is_some());
    let header = hints.has_header.unwrap_or_else(|| {
        named || first.iter().any(|cell| known(cell).is_some()) || !first.iter().any(mentions_address)
    });
    let found = |column, by| Ok(Found { header, column, by, columns });
    let unknown = |asked: String| Err(ListError::UnknownColumn { asked, columns: shown(first) });
    match &hints.column {
        Some(Column::Index(index @ 1..)) if *index <= columns => return found(index - 1, FoundBy::Given),
        Some(Column::Index(index)) => return unknown(index.to_string()),
        Some(Column::Name(name)) => {
            return match name_index(first, name).filter(|_| header) {
                Some(column) => found(column, FoundBy::Given),
                None => unknown(name.clone()),
            };
        }
        None => {}
    }
    let data = if header { rest } else { rows };
    let most = |holds: fn(&str) -> bool| {
        let count = |column: usize| data.iter().filter(|row| row.get(column).is_some_and(holds)).count();
        // The first of equals.
        (0..columns)
            .map(|column| (count(column), column))
            .reduce(|best, other| if other.0 > best.0 { other } else { best })
    };
    let content = most(looks_like_address)
        .filter(|&(count, _)| count > 0)
        .or_else(|| most(mentions_address).filter(|&(count, _)| count > 0))
        .map(|(_, column)| column);
    if header {
        let mut candidates: Vec<_> = first
            .iter()
            .enumerate()
            .filter_map(|(column, name)| {
                let rank = known(name).or_else(|| reduced(name).contains("email").then_some(NAMES.len()))?;
                Some((rank, column))
            })
            .collect();
        candidates.sort_unstable();
        // A column named `mail` may hold yes or no: one with addresses in it is better.
        let holds = |column: usize| data.iter().any(|row| row.get(column).is_some_and(mentions_address));
        let with_addresses = candidates.iter().find(|&&(_, column)| holds(column));
        let exact = candidates.first().filter(|&&(rank, _)| rank < NAMES.len() && content.is_none());
        if let Some(&(_, column)) = with_addresses.or(exact) {
            return found(column, FoundBy::Name);
        }
    }
    match content {
        Some(column) => found(column, FoundBy::Content),
        None => Err(ListError::NoAddressColumn { columns: shown(first) }),
    }
}

fn name_index(header: &Cells, name: &str) -> Option<usize> {
    header.iter().position(|cell| cell.trim() == name.trim()).or_else(|| {
        let name = reduced(name);
        header.iter().position(|cell| !name.is_empty() && reduced(cell) == name)
    })
}

/// A row as an error text can show it.
fn shown(row: &Cells) -> Vec<String> {
    row.iter().take(32).map(|cell| cell.trim().chars().take(64).collect()).collect()
}
