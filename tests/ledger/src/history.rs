//! What happens in a history, and making one from a seed.

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};

/// What is sold, and how many credits a unit of it buys. The last expires thirty days after it was bought.
pub const PRICES: [(&str, u64); 3] =
    [("pri_01ledger4credits", 4), ("pri_01ledger25credits", 25), ("pri_01ledger10credits30days", 10)];
/// What a credit costs, whatever the price: so a part of what was paid is always a whole number of credits.
pub const CENTS: u64 = 100;
/// The price whose credits expire.
pub const EXPIRING: usize = 2;

/// What happens to one workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// What it was made from.
    pub seed: u64,
    /// Credits that are left of the signup grant when it begins.
    pub start: u64,
    /// What is bought.
    pub purchases: Vec<Purchase>,
    /// What happens, in this order; what is in one group happens at once.
    pub groups: Vec<Vec<Step>>,
}

/// A transaction and what was said of it later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purchase {
    /// What was bought.
    pub lines: Vec<Line>,
    /// Refunds and chargebacks.
    pub adjustments: Vec<Adjustment>,
}

/// So many units of a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// Which of [`PRICES`].
    pub price: usize,
    /// How many.
    pub quantity: u64,
}

impl Line {
    /// Credits that it buys.
    pub fn credits(&self) -> u64 {
        PRICES[self.price].1 * self.quantity
    }
}

impl Purchase {
    /// Credits that it buys.
    pub fn credits(&self) -> u64 {
        self.lines.iter().map(Line::credits).sum()
    }

    /// Whether its credits have expired by now: one lot has one end.
    pub fn expired(&self) -> bool {
        self.lines.iter().any(|line| line.price == EXPIRING)
    }
}

/// What is asked back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// By the merchant.
    Refund,
    /// By the payer's bank.
    Chargeback,
}

/// What is said of an adjustment, in the order in which it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// A refund was asked for.
    Pending,
    /// It counts.
    Approved,
    /// A refund will not be.
    Rejected,
    /// A chargeback was taken back.
    Reversed,
}

/// A refund or chargeback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adjustment {
    /// Which.
    pub action: Action,
    /// So many credits' worth of these lines; all of all lines if none.
    pub parts: Vec<(usize, u64)>,
    /// What is said of it.
    pub words: Vec<Word>,
    /// Whether its reversal is said by an adjustment of its own too.
    pub reversal: bool,
}

/// An event of a purchase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Said {
    /// `transaction.paid`, which grants nothing.
    Paid,
    /// `transaction.completed`.
    Completed,
    /// The n-th word on an adjustment.
    Adjusted(usize, usize),
    /// A `chargeback_reverse` of an adjustment.
    Reversal(usize),
}

impl Purchase {
    /// Everything that is said of it, in the order in which it happens.
    pub fn said(&self) -> Vec<Said> {
        let mut all = vec![Said::Paid, Said::Completed];
        for (number, adjustment) in self.adjustments.iter().enumerate() {
            all.extend((0..adjustment.words.len()).map(|word| Said::Adjusted(number, word)));
            all.extend(adjustment.reversal.then_some(Said::Reversal(number)));
        }
        all
    }

    /// Whether an event waits for the transaction: whatever counts, as long as it is not known.
    pub fn waits(&self, said: Said) -> bool {
        match said {
            Said::Adjusted(adjustment, word) => {
                !matches!(self.adjustments[adjustment].words[word], Word::Pending | Word::Rejected)
            }
            Said::Reversal(_) => true,
            Said::Paid | Said::Completed => false,
        }
    }
}

/// Something that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The provider says something of a purchase; perhaps again.
    Hear(usize, Said),
    /// A list with so many addresses that are charged, so many that are not, and so many that stand there twice.
    List {
        /// Found to be something.
        known: u64,
        /// Not found out.
        unknown: u64,
        /// Of the known ones, so many again.
        twice: u64,
    },
    /// A list that is cancelled as soon as it is accepted.
    Cancelled {
        /// Addresses, all of them charged if they are verified.
        known: u64,
    },
    /// One address.
    Check {
        /// Whether it is charged.
        known: bool,
    },
    /// A gift by its name, which is given once.
    Gift {
        /// Its name.
        name: u64,
        /// How much.
        amount: u64,
    },
}

impl History {
    /// Whether things happen one after the other, so that all that comes of it can be said beforehand.
    pub fn calm(&self) -> bool {
        self.groups.iter().all(|group| group.len() == 1)
    }

    /// The steps, whether at once or not.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.groups.iter().flatten()
    }

    /// The events of a purchase that are heard.
    pub fn heard(&self, purchase: usize) -> impl Iterator<Item = Said> {
        self.steps().filter_map(move |step| match step {
            Step::Hear(which, said) if *which == purchase => Some(*said),
            _ => None,
        })
    }
}

fn adjustment(rng: &mut StdRng, lines: &[Line]) -> Adjustment {
    let action = if rng.random_bool(0.55) { Action::Refund } else { Action::Chargeback };
    let parts = match rng.random_bool(0.4) {
        true => {
            let line = rng.random_range(0..lines.len());
            vec![(line, rng.random_range(1..=lines[line].credits()))]
        }
        false => Vec::new(),
    };
    let reversed = action == Action::Chargeback && rng.random_bool(0.4);
    let words = match action {
        Action::Refund => match rng.random_range(0..10) {
            0 => vec![Word::Pending],
            1 | 2 => vec![Word::Pending, Word::Rejected],
            3..=5 => vec![Word::Approved],
            _ => vec![Word::Pending, Word::Approved],
        },
        Action::Chargeback if reversed && rng.random_bool(0.6) => vec![Word::Approved, Word::Reversed],
        Action::Chargeback => vec![Word::Approved],
    };
    let said = words.contains(&Word::Reversed);
    let reversal = reversed && (!said || rng.random_bool(0.5));
    Adjustment { action, parts, words, reversal }
}

fn purchase(rng: &mut StdRng) -> Purchase {
    let count = if rng.random_bool(0.85) { 1 } else { 2 };
    let lines: Vec<Line> = (0..count)
        .map(|line| Line {
            price: if line == 0 && rng.random_bool(0.08) { EXPIRING } else { line },
            quantity: rng.random_range(1..=3),
        })
        .collect();
    let adjustments = match rng.random_range(0..10) {
        0..=2 => 0,
        3..=7 => 1,
        _ => 2,
    };
    let mut adjustments: Vec<Adjustment> = (0..adjustments).map(|_| adjustment(rng, &lines)).collect();
    // A reversal does not say of which chargeback: where there are two, none is.
    if adjustments.iter().filter(|a| a.action == Action::Chargeback).count() > 1 {
        for adjustment in &mut adjustments {
            adjustment.words.truncate(1);
            adjustment.reversal = false;
        }
    }
    Purchase { lines, adjustments }
}

fn deed(rng: &mut StdRng) -> Step {
    match rng.random_range(0..12) {
        0..=3 => {
            let known = rng.random_range(1..=14);
            Step::List {
                known,
                unknown: if rng.random_bool(0.3) { rng.random_range(1..=3) } else { 0 },
                twice: if rng.random_bool(0.3) { rng.random_range(1..=known) } else { 0 },
            }
        }
        4 => Step::Cancelled { known: rng.random_range(1..=10) },
        5..=8 => Step::Check { known: rng.random_bool(0.8) },
        _ => Step::Gift { name: rng.random_range(0..2), amount: 7 },
    }
}

/// The history of a seed: three to about ten steps.
pub fn generate(seed: u64) -> History {
    let mut rng = StdRng::seed_from_u64(seed);
    let start = rng.random_range(0..=15);
    let purchases = match rng.random_range(0..10) {
        0 => 0,
        1..=7 => 1,
        _ => 2,
    };
    let purchases: Vec<Purchase> = (0..purchases).map(|_| purchase(&mut rng)).collect();
    // Each purchase's events in their order or in any, some of them again, and a few never.
    let mut streams: Vec<Vec<Step>> = Vec::new();
    for (number, purchase) in purchases.iter().enumerate() {
        let mut heard = Vec::new();
        for said in purchase.said() {
            let seldom = said == Said::Paid && rng.random_bool(0.7);
            if seldom || rng.random_bool(0.04) {
                continue;
            }
            heard.push(Step::Hear(number, said));
            if rng.random_bool(0.15) {
                heard.push(Step::Hear(number, said));
            }
        }
        if rng.random_bool(0.5) {
            heard.shuffle(&mut rng);
        }
        streams.push(heard);
    }
    let deeds = rng.random_range(if purchases.is_empty() { 3..=5 } else { 1..=3 });
    streams.push((0..deeds).map(|_| deed(&mut rng)).collect());
    // Woven together.
    let mut steps = Vec::new();
    for stream in &mut streams {
        stream.reverse();
    }
    loop {
        streams.retain(|stream| !stream.is_empty());
        if streams.is_empty() {
            break;
        }
        let next = rng.random_range(0..streams.len());
        steps.extend(streams[next].pop());
    }
    let wild = rng.random_bool(0.5);
    let mut groups = Vec::new();
    while !steps.is_empty() {
        let many = if wild { rng.random_range(1..=4).min(steps.len()) } else { 1 };
        groups.push(steps.drain(..many).collect());
    }
    History { seed, start, purchases, groups }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_history_again_and_another_seed_another() {
        assert_eq!(generate(7), generate(7));
        assert_ne!(generate(7), generate(8));
    }

    #[test]
    fn histories_have_everything_in_them() {
        let all: Vec<History> = (0..500).map(generate).collect();
        let some = |what: &str, holds: &dyn Fn(&History) -> bool| {
            let found = all.iter().filter(|h| holds(h)).count();
            assert!(found > 10, "{what}: {found}");
        };
        let early = |h: &History| {
            let first = |wanted: &dyn Fn(&Said) -> bool| h.heard(0).position(|said| wanted(&said));
            let sale = first(&|said| *said == Said::Completed);
            first(&|said| matches!(said, Said::Adjusted(..))) < sale && sale.is_some()
        };
        some("calm", &History::calm);
        some("at once", &|h| !h.calm());
        some("an adjustment before its transaction", &|h| !h.purchases.is_empty() && early(h));
        some("two purchases", &|h| h.purchases.len() == 2);
        some("credits that expired", &|h| h.purchases.iter().any(Purchase::expired));
        some("a reversal", &|h| h.purchases.iter().flat_map(|p| &p.adjustments).any(|a| a.reversal));
        some("parts", &|h| h.purchases.iter().flat_map(|p| &p.adjustments).any(|a| !a.parts.is_empty()));
        some("a repeat", &|h| {
            let mut heard: Vec<Said> = h.heard(0).collect();
            let all = heard.len();
            heard.sort_unstable();
            heard.dedup();
            heard.len() < all
        });
        for step in ["List", "Cancelled", "Check", "Gift"] {
            some(step, &|h| h.steps().any(|s| format!("{s:?}").starts_with(step)));
        }
        let steps: usize = all.iter().map(|h| h.steps().count()).sum();
        let each = steps / all.len();
        assert!((3..=8).contains(&each), "{each} steps");
    }
}
