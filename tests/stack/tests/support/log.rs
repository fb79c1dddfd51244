//! What functions write into their logs, kept to be read by a test.

use std::sync::{Mutex, MutexGuard, PoisonError};

use local_lambda::{InvocationReport, LogSink};
use serde_json::Value;

/// Keeps every line, with the function that wrote it.
#[derive(Default)]
pub struct Kept(Mutex<Vec<(String, String)>>);

impl LogSink for Kept {
    fn line(&self, function: &str, _: u64, line: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((function.to_owned(), line.to_owned()));
    }
    fn report(&self, _: &InvocationReport) {}
}

impl Kept {
    /// Every line so far: function, text.
    pub fn lines(&self) -> MutexGuard<'_, Vec<(String, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lines with this text, read as JSON.
    pub fn with(&self, text: &str) -> Vec<Value> {
        let lines = self.lines();
        let found = lines.iter().filter(|(_, line)| line.contains(text));
        found.map(|(_, line)| serde_json::from_str(line).unwrap()).collect()
    }
}
