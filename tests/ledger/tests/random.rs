//! Random histories.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    time::Instant,
};

use futures::{StreamExt as _, stream};
use ledger_tests::{Fault, History, Said, Step, check, generate, smaller};

use crate::driver::{Driver, run, setting};

/// How many a run plays unless `HISTORIES` says otherwise; the check plays 10,000.
const HISTORIES: u64 = 100;
/// How many at a time unless `AT_ONCE` says otherwise: as most of the time one waits for messages.
const AT_ONCE: u64 = 48;
/// How many are played on one stack. What stands in for DynamoDB looks, at each transaction, at the tokens of all those of the last ten
/// minutes (dynoxide 3.2, `evict_expired`): a stack becomes slower with each history.
const ROUND: usize = 2000;

/// What is wrong with a history, if anything is.
async fn judge(driver: &Driver, history: &History) -> Vec<Fault> {
    match driver.play(history, true).await {
        Ok(evidence) => check(history, &evidence),
        Err(what) => vec![Fault { check: "settles", what }],
    }
}

/// The smallest history found that still fails, and how.
async fn shrunk(driver: &Driver, history: History, faults: Vec<Fault>) -> (History, Vec<Fault>) {
    let (mut history, mut faults) = (history, faults);
    'smaller: loop {
        for candidate in smaller(&history) {
            // What happens at once may happen otherwise the next time.
            for _ in 0..if candidate.calm() { 1 } else { 4 } {
                let found = judge(driver, &candidate).await;
                if !found.is_empty() {
                    (history, faults) = (candidate, found);
                    continue 'smaller;
                }
            }
        }
        return (history, faults);
    }
}

/// Calls that wait for a transaction of which nobody hears that it was completed: they stay so.
fn parked(history: &History) -> usize {
    let waiting = |purchase: usize| -> usize {
        let heard: BTreeSet<Said> = history.heard(purchase).collect();
        if heard.contains(&Said::Completed) {
            return 0;
        }
        heard.iter().filter(|said| history.purchases[purchase].waits(**said)).count()
    };
    (0..history.purchases.len()).map(waiting).sum()
}

/// A history that failed, how, and the stack that it failed on.
type Failed = (Driver, History, Vec<Fault>);

/// Plays histories on a stack of their own, until one fails.
async fn round(seeds: Range<u64>, at_once: usize, seen: &mut Seen) -> Option<Failed> {
    let driver = Driver::start().await;
    let parked = seen.parked;
    let played = stream::iter(seeds.map(generate)).map(|history| async {
        let faults = judge(&driver, &history).await;
        (history, faults)
    });
    let mut played = Box::pin(played.buffer_unordered(at_once));
    let mut failed = None;
    while let Some((history, faults)) = played.next().await {
        seen.add(&history);
        if !faults.is_empty() {
            failed = Some((history, faults));
            break;
        }
    }
    drop(played);
    seen.hit += driver.hit();
    for (queue, count) in driver.letters.moved() {
        *seen.moved.entry(queue).or_default() += count;
    }
    if let Some((history, faults)) = failed {
        return Some((driver, history, faults));
    }
    assert_eq!(driver.tables.calls("failed").await, BTreeSet::new());
    assert_eq!(driver.letters.refused(), Vec::<String>::new());
    // Five receives that fail take three faults at least: after a death the next receive may find its claim still held.
    let moved = driver.letters.moved();
    assert!(moved.is_empty() || driver.hit() >= 3, "set aside without a fault: {moved:?}");
    let waiting = driver.tables.calls("parked").await.len();
    assert_eq!(waiting, seen.parked - parked, "calls that wait for their transaction");
    driver.stop().await;
    None
}

#[test]
fn every_paid_event_has_one_effect_in_random_histories() {
    run(async {
        let (first, count) = match std::env::var("SEED") {
            Ok(_) => (setting("SEED", 0), setting("HISTORIES", 1)),
            Err(_) => {
                let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap();
                (now * 1_000_000, setting("HISTORIES", HISTORIES))
            }
        };
        let end = first + count;
        println!("seeds {first} to {}; SEED=… plays one of them again", end - 1);
        let at_once = usize::try_from(setting("AT_ONCE", AT_ONCE)).unwrap();
        let begun = Instant::now();
        let mut seen = Seen::default();
        let mut failed = None;
        for from in (first..end).step_by(ROUND) {
            failed = round(from..end.min(from + ROUND as u64), at_once, &mut seen).await;
            let (took, rate) = (begun.elapsed(), seen.histories as f64 / begun.elapsed().as_secs_f64());
            println!("{seen:?} in {took:.1?}, {rate:.1} histories/s");
            if failed.is_some() {
                break;
            }
        }
        let Some((driver, history, faults)) = failed else { return };
        let (seed, after) = (history.seed, seen.histories);
        println!("seed {seed} fails, the {after}th: {}\n{history:#?}", list(&faults));
        let (small, faults) = match setting("SHRINK", 1) {
            0 => (history, faults),
            _ => shrunk(&driver, history, faults).await,
        };
        let steps: Vec<_> = small.groups.iter().map(|group| format!("{group:?}")).collect();
        driver.stop().await;
        panic!(
            "found by {} after {after} histories; seed {seed}, start {}, {:#?}\nsmallest that fails:\n{}\n{}",
            faults[0].check,
            small.start,
            small.purchases,
            steps.join("\n"),
            list(&faults)
        );
    });
}

fn list(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// What was in the histories.
#[derive(Debug, Default)]
struct Seen {
    histories: u64,
    calm: u64,
    steps: usize,
    events: usize,
    lists: usize,
    checks: usize,
    parked: usize,
    /// Faults that were planned and came to something.
    hit: u64,
    /// Messages that were set aside and moved back, by queue.
    moved: BTreeMap<String, usize>,
}

impl Seen {
    fn add(&mut self, history: &History) {
        let count = |wanted: fn(&Step) -> bool| history.steps().filter(|step| wanted(step)).count();
        self.histories += 1;
        self.calm += u64::from(history.calm());
        self.steps += history.steps().count();
        self.events += count(|step| matches!(step, Step::Hear(..)));
        self.lists += count(|step| matches!(step, Step::List { .. } | Step::Cancelled { .. }));
        self.checks += count(|step| matches!(step, Step::Check { .. }));
        self.parked += parked(history);
    }
}
