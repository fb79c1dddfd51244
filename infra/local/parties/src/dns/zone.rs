//! The zone file: names, records, and what goes wrong with them.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use hickory_proto::rr::{Name, RData, Record, RecordType};

/// TTL of a record that names none, in seconds.
const DEFAULT_TTL: u32 = 300;
/// CNAMEs followed for one question.
const MAX_CHAIN: usize = 8;

/// What a name server knows: records and faults by name.
///
/// The format is that of a master file (RFC 1035 section 5), one record a line, cut down and extended:
///
/// ```text
/// ; a comment
/// example.test          MX   10 mx1.example.test    ; names are absolute, with or without the last dot
///                  60   MX   20 mx2.example.test    ; a line that starts with a blank keeps the name; 60 is the TTL
/// *.corp.example        A    192.0.2.1              ; a wildcard, as in RFC 4592
/// broken.test           !SERVFAIL                   ; directives start with an exclamation mark
/// ```
///
/// | directive | every question about the name |
/// |---|---|
/// | `!SERVFAIL`, `!REFUSED` | is answered by that code |
/// | `!SILENT` | is never answered |
/// | `!DELAY ms` | is answered so many milliseconds later |
/// | `!TRUNCATE` | is answered over UDP by an empty, truncated message; over TCP in full |
/// | `!EXISTS` | finds that the name exists; with no records beside it, a name with nothing to it |
///
/// A name that the zone does not have is NXDOMAIN. CNAMEs are followed inside the zone, as a recursive server would.
#[derive(Debug, Clone, Default)]
pub struct Zone {
    nodes: HashMap<String, Node>,
    /// Every name in the zone and every name above one: an empty name between two others exists (RFC 4592).
    existing: HashSet<String>,
}

/// A line of a zone file that cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("zone file, line {line}: {fault}")]
pub struct ZoneError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub fault: ZoneFault,
}

/// What is wrong with a line of a zone file.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ZoneFault {
    /// A line that starts with a blank, before any name.
    #[error("no name yet to go on with")]
    NoName,
    /// A name and nothing behind it.
    #[error("a type or a directive is missing")]
    NoType,
    /// A type that is neither a record type nor a directive.
    #[error("unknown type or directive {0:?}")]
    UnknownType(String),
    /// Data that do not fit the type.
    #[error("the data of a {kind} record: {why}")]
    Data {
        /// The type.
        kind: String,
        /// What the parser says.
        why: String,
    },
    /// A delay that is no number of milliseconds.
    #[error("a delay is a whole number of milliseconds")]
    Delay,
}

#[derive(Debug, Clone, Default)]
struct Node {
    records: Vec<(u32, RData)>,
    failure: Option<Failure>,
    delay: Duration,
    truncate: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    ServFail,
    Refused,
    Silent,
}

/// What the zone has to say to one question.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub records: Vec<Record>,
    pub exists: bool,
    pub failure: Option<Failure>,
    pub delay: Duration,
    pub truncate: bool,
}

impl Zone {
    /// Reads a zone file; the format is described on [`Zone`].
    ///
    /// # Errors
    /// The first line that cannot be read, and why.
    pub fn parse(text: &str) -> Result<Self, ZoneError> {
        let mut zone = Self::default();
        let mut owner: Option<String> = None;
        for (index, line) in text.lines().enumerate() {
            let content = line.split(';').next().unwrap_or_default();
            let mut words = content.split_whitespace().peekable();
            if words.peek().is_none() {
                continue;
            }
            if !content.starts_with(char::is_whitespace) {
                owner = words.next().map(fold);
            }
            let words: Vec<&str> = words.collect();
            zone.add(owner.as_deref(), &words).map_err(|fault| ZoneError { line: index + 1, fault })?;
        }
        Ok(zone)
    }

    /// The zone shipped as `zones/demo.zone`: the large mail providers, and every fault by a name of its own.
    ///
    /// # Errors
    /// None unless the shipped file is broken, which a test rules out.
    pub fn demo() -> Result<Self, ZoneError> {
        Self::parse(include_str!("../../zones/demo.zone"))
    }

    fn add(&mut self, owner: Option<&str>, words: &[&str]) -> Result<(), ZoneFault> {
        let owner = owner.ok_or(ZoneFault::NoName)?;
        let (ttl, words) = match words.split_first() {
            Some((first, rest)) if first.starts_with(|c: char| c.is_ascii_digit()) => {
                (first.parse().unwrap_or(DEFAULT_TTL), rest)
            }
            _ => (DEFAULT_TTL, words),
        };
        let (kind, data) = words.split_first().ok_or(ZoneFault::NoType)?;
        let mut name = owner;
        while self.existing.insert(name.to_owned()) {
            let Some((_, parent)) = name.split_once('.') else { break };
            name = parent;
        }
        let node = self.nodes.entry(owner.to_owned()).or_default();
        match *kind {
            "!SERVFAIL" => node.failure = Some(Failure::ServFail),
            "!REFUSED" => node.failure = Some(Failure::Refused),
            "!SILENT" => node.failure = Some(Failure::Silent),
            "!TRUNCATE" => node.truncate = true,
            "!EXISTS" => {}
            "!DELAY" => {
                let ms = data.first().and_then(|ms| ms.parse().ok()).ok_or(ZoneFault::Delay)?;
                node.delay = Duration::from_millis(ms);
            }
            kind => {
                let record_type: RecordType =
                    kind.parse().map_err(|_| ZoneFault::UnknownType(kind.to_owned()))?;
                let rdata = RData::try_from_str(record_type, &data.join(" "))
                    .map_err(|e| ZoneFault::Data { kind: kind.to_owned(), why: e.to_string() })?;
                node.records.push((ttl, rdata));
            }
        }
        Ok(())
    }

    /// The answer to a question for `name` (lower-case, no trailing dot).
    pub(super) fn answer(&self, name: &str, kind: RecordType) -> Answer {
        let mut answer = Answer::default();
        let mut name = name.to_owned();
        for _ in 0..MAX_CHAIN {
            let Some(node) = self.node(&name) else {
                answer.exists = self.existing.contains(&name);
                return answer;
            };
            answer.exists = true;
            answer.failure = answer.failure.or(node.failure);
            answer.delay += node.delay;
            answer.truncate |= node.truncate;
            let Ok(owner) = Name::from_ascii(format!("{name}.")) else { return answer };
            let records = |kind| node.records.iter().filter(move |(_, data)| data.record_type() == kind);
            let record = |(ttl, data): &(u32, RData)| Record::from_rdata(owner.clone(), *ttl, data.clone());
            let alias = records(RecordType::CNAME).next();
            match alias {
                Some(alias @ (_, RData::CNAME(target))) if kind != RecordType::CNAME => {
                    answer.records.push(record(alias));
                    name = fold(&target.to_ascii());
                }
                _ => {
                    answer.records.extend(records(kind).map(record));
                    return answer;
                }
            }
        }
        answer
    }

    /// The node of a name, or of the wildcard that stands for it: the one below the closest name that exists.
    fn node(&self, name: &str) -> Option<&Node> {
        if self.existing.contains(name) {
            return self.nodes.get(name);
        }
        let mut above = name;
        while let Some((_, parent)) = above.split_once('.') {
            if self.existing.contains(parent) {
                return self.nodes.get(&format!("*.{parent}"));
            }
            above = parent;
        }
        None
    }
}

fn fold(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(zone: &Zone, name: &str, kind: RecordType) -> Vec<String> {
        zone.answer(name, kind).records.iter().map(|r| format!("{} {}", r.name, r.data)).collect()
    }

    #[test]
    fn the_shipped_zone_can_be_read() {
        let zone = Zone::demo().unwrap();
        assert_eq!(zone.answer("gmail.com", RecordType::MX).records.len(), 5);
        assert!(zone.answer("anything.at.all.corp.example", RecordType::MX).exists);
    }

    #[test]
    fn every_mx_of_the_shipped_zone_that_is_meant_to_work_has_an_address() {
        let zone = Zone::demo().unwrap();
        let faulty = [
            "mx-localhost.test",
            "mx-literal.test",
            "mx-missing.test",
            "mx-mixed.test",
            "mx-broken-host.test",
        ];
        for (name, node) in zone.nodes.iter().filter(|(name, _)| !faulty.contains(&name.as_str())) {
            for (_, data) in &node.records {
                let RData::MX(mx) = data else { continue };
                let host = fold(&mx.exchange.to_ascii());
                let found = host.is_empty() || !zone.answer(&host, RecordType::A).records.is_empty();
                assert!(found, "{name} names {host}, which has no address");
            }
        }
    }

    #[test]
    fn a_line_that_starts_with_a_blank_keeps_the_name_and_a_number_is_a_ttl() {
        let zone = Zone::parse("a.test MX 10 mx.a.test.\n  60 MX 20 mx2.a.test ; second\n").unwrap();
        let answer = zone.answer("a.test", RecordType::MX);
        assert_eq!(answer.records.iter().map(|r| r.ttl).collect::<Vec<_>>(), [300, 60]);
    }

    #[test]
    fn a_wildcard_stands_for_missing_names_only_below_the_closest_name_that_exists() {
        let zone = Zone::parse("*.corp.test A 192.0.2.1\nx.y.corp.test A 192.0.2.2").unwrap();
        assert_eq!(texts(&zone, "b.corp.test", RecordType::A), ["b.corp.test. 192.0.2.1"]);
        assert_eq!(texts(&zone, "c.b.corp.test", RecordType::A), ["c.b.corp.test. 192.0.2.1"]);
        assert_eq!(texts(&zone, "x.y.corp.test", RecordType::A), ["x.y.corp.test. 192.0.2.2"]);
        let between = zone.answer("y.corp.test", RecordType::A);
        assert!(between.exists && between.records.is_empty());
        assert!(!zone.answer("z.y.corp.test", RecordType::A).exists);
    }

    #[test]
    fn aliases_are_followed_and_loops_end() {
        let zone = Zone::parse("a.test CNAME b.test\nb.test A 192.0.2.1\nl.test CNAME l.test").unwrap();
        assert_eq!(texts(&zone, "a.test", RecordType::A), ["a.test. b.test", "b.test. 192.0.2.1"]);
        assert_eq!(zone.answer("l.test", RecordType::A).records.len(), MAX_CHAIN);
    }

    #[test]
    fn a_bad_line_is_named() {
        let fault = |text| Zone::parse(text).map(|_| ()).unwrap_err();
        assert_eq!(fault("\n A 192.0.2.1"), ZoneError { line: 2, fault: ZoneFault::NoName });
        assert_eq!(fault("a.test"), ZoneError { line: 1, fault: ZoneFault::NoType });
        assert_eq!(fault("a.test !DELAY soon").fault, ZoneFault::Delay);
        assert_eq!(fault("a.test !NOPE").fault, ZoneFault::UnknownType("!NOPE".into()));
        assert!(matches!(fault("a.test A 300.1.1.1").fault, ZoneFault::Data { .. }));
    }
}
