//! Warm time inside a read endpoint beyond its DynamoDB calls.
//!
//! Three functions get the same event in turn: hello; hello with the two GetItem calls that the endpoint makes (the caller's key,
//! the task) and nothing else; and the endpoint. What its calls take is then the second less the first, and what is the
//! endpoint's own is the third less that. All three talk to the same DynamoDB in the same moments.

use std::{collections::BTreeMap, path::Path};

use crate::{Outcome, report::quantile, sandbox::Sandbox};

/// Invocations before any is counted.
const UNCOUNTED: usize = 200;

/// What is measured.
pub struct Setting<'a> {
    /// The endpoint's binary.
    pub binary: &'a Path,
    /// Its environment.
    pub env: &'a BTreeMap<String, String>,
    /// Where the binaries are that it is compared with.
    pub folder: &'a Path,
    /// The event.
    pub event: &'a [u8],
    /// What is in the endpoint's answer.
    pub holds: &'a str,
    /// Tables and keys that the endpoint reads.
    pub reads: [String; 2],
}

/// Medians in microseconds, wall clock and processor.
pub struct Warm {
    pub hello: (f64, f64),
    pub two_gets: (f64, f64),
    pub read: (f64, f64),
}

impl Warm {
    fn ratio(&self, of: impl Fn((f64, f64)) -> f64) -> f64 {
        let calls = of(self.two_gets) - of(self.hello);
        (of(self.read) - calls) / of(self.hello)
    }

    /// The endpoint's own time ÷ hello's.
    pub fn wall(&self) -> f64 {
        self.ratio(|(wall, _)| wall)
    }

    /// The same in processor time of the process, which a busy machine does not stretch.
    pub fn cpu(&self) -> f64 {
        self.ratio(|(_, cpu)| cpu)
    }
}

pub fn measure(setting: &Setting<'_>, rounds: usize) -> Outcome<Warm> {
    let mut calls = setting.env.clone();
    let [first, second] = setting.reads.clone();
    calls.extend([("FIRST_READ".to_owned(), first), ("SECOND_READ".to_owned(), second)]);
    let mut compared = [
        (Sandbox::start(&setting.folder.join("bench-hello"), &BTreeMap::new())?, b"hello".as_slice()),
        (Sandbox::start(&setting.folder.join("bench-two-gets"), &calls)?, b"hello"),
        (Sandbox::start(setting.binary, setting.env)?, setting.holds.as_bytes()),
    ];
    for (sandbox, _) in &mut compared {
        sandbox.ready()?;
    }
    let mut took: [(Vec<f64>, Vec<f64>); 3] = Default::default();
    for round in 0..rounds + UNCOUNTED {
        // Each is first as often as the others: what the first reads, the next find in caches.
        for turn in 0..compared.len() {
            let at = (round + turn) % compared.len();
            let ((sandbox, expected), (wall, cpu)) = (&mut compared[at], &mut took[at]);
            let invocation = sandbox.invoke(setting.event)?;
            if round == 0 && !invocation.body.windows(expected.len()).any(|w| w == *expected) {
                return Err(format!("not the answer: {}", String::from_utf8_lossy(&invocation.body)).into());
            }
            if round >= UNCOUNTED {
                wall.push(invocation.wall.as_secs_f64() * 1e6);
                cpu.push(invocation.cpu.as_secs_f64() * 1e6);
            }
        }
    }
    let [hello, two_gets, read] = took.map(|(wall, cpu)| (quantile(&wall, 0.5), quantile(&cpu, 0.5)));
    Ok(Warm { hello, two_gets, read })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_taken_out_before_dividing() {
        let warm = Warm { hello: (100.0, 50.0), two_gets: (500.0, 200.0), read: (550.0, 225.0) };
        assert_eq!((warm.wall(), warm.cpu()), (1.5, 1.5));
    }
}
