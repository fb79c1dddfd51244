//! What functions say, kept until a history needs it.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufRead as _, BufReader, Seek as _, Write as _},
    sync::{Mutex, PoisonError},
};

/// Lines that are told of something at most: the last ones.
const TOLD: usize = 80;

/// What functions said, in a file: `LOG`, or one without a name.
pub struct Sayings(Mutex<File>);

impl Sayings {
    pub fn new() -> Self {
        let file = match std::env::var("LOG") {
            Ok(path) => File::options().read(true).write(true).create(true).truncate(true).open(path),
            Err(_) => tempfile::tempfile(),
        };
        Self(Mutex::new(file.unwrap()))
    }

    /// Keeps a line.
    pub fn hear(&self, function: &str, sandbox: u64, line: &str) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(file, "{function}#{sandbox} {line}").unwrap();
    }

    /// The lines that name something, and those of the same requests and messages.
    pub fn about(&self, what: &str) -> String {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.rewind().unwrap();
        let lines: Vec<String> = BufReader::new(&mut *file).lines().map(Result::unwrap).collect();
        let same: BTreeSet<&str> =
            lines.iter().filter(|line| line.contains(what)).filter_map(|line| correlation(line)).collect();
        let told: Vec<&str> = lines
            .iter()
            .map(String::as_str)
            .filter(|line| line.contains(what) || correlation(line).is_some_and(|id| same.contains(id)))
            .collect();
        told[told.len().saturating_sub(TOLD)..].join("\n")
    }
}

/// Whose work a line is of.
fn correlation(line: &str) -> Option<&str> {
    line.split_once("correlation_id=\"")?.1.split('"').next()
}
