//! A ledger as simple as can be: one thing after another, in memory, from the rules of the issue and of Paddle's reference.
//!
//! - A purchase is granted once, by price and quantity, when its transaction is completed.
//! - A refund counts once it is approved, a chargeback at once and until it is reversed; of one adjustment the last word counts.
//!   Of a line no more is asked back than was bought, and what was refunded is not charged back again.
//! - A refund takes what is unused, and what comes back; a chargeback takes the rest too, spent or not.
//! - Gifts are spent before what was paid for, then what expires first, then the older.
//! - A list holds a credit for each different address and pays for those found out; a check needs one and pays one if it finds out.

use std::collections::BTreeSet;

use crate::{
    evidence::Outcome,
    history::{Action, History, Purchase, Said, Step, Word},
};

/// Credits that a new user gets.
const SIGNUP: u64 = 10_000;

/// The sums of all accounts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Accounts {
    /// Ever granted.
    pub granted: u64,
    /// Free to use.
    pub available: i64,
    /// Charged.
    pub spent: u64,
    /// Taken back.
    pub clawed: u64,
    /// Not used in time.
    pub expired: u64,
}

/// What was granted at once, and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lot {
    /// How much.
    pub amount: u64,
    /// Whether it was a gift, which is spent first.
    pub gift: bool,
    /// Whether its time is over.
    pub over: bool,
    /// How much of it is spent.
    pub used: u64,
    /// How much of it the merchant refunds.
    pub refund: u64,
    /// How much of it was charged back.
    pub chargeback: u64,
    /// How much expired.
    pub expired: u64,
}

impl Lot {
    /// How much refunds took.
    pub fn refunded(&self) -> u64 {
        self.refund.min(self.amount - (self.used + self.expired).min(self.amount))
    }

    /// How much chargebacks took.
    pub fn charged_back(&self) -> u64 {
        self.chargeback.min(self.amount - (self.expired + self.refunded()).min(self.amount))
    }

    /// What is left of it; below zero if more was charged back than there was.
    pub fn remaining(&self) -> i64 {
        let gone = self.used + self.expired + self.refunded() + self.charged_back();
        i64::try_from(self.amount).unwrap_or(i64::MAX) - i64::try_from(gone).unwrap_or(i64::MAX)
    }

    /// What is left after its time expires.
    fn expire(&mut self) {
        if self.over {
            self.expired += u64::try_from(self.remaining()).unwrap_or(0);
        }
    }
}

/// A workspace.
#[derive(Debug, Clone)]
pub struct Model<'a> {
    history: &'a History,
    /// The signup grant, gifts and purchases, in the order in which they came; which purchase or gift.
    lots: Vec<(Source, Lot)>,
    heard: Vec<BTreeSet<Said>>,
}

/// Where a lot came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The user's beginning.
    Signup,
    /// A gift by its name.
    Gift(u64),
    /// A purchase by its number.
    Purchase(usize),
}

impl<'a> Model<'a> {
    /// As it is when the history begins.
    pub fn new(history: &'a History) -> Self {
        let used = SIGNUP - history.start;
        let signup = Lot { amount: SIGNUP, gift: true, used, ..Lot::default() };
        let heard = vec![BTreeSet::new(); history.purchases.len()];
        Self { history, lots: vec![(Source::Signup, signup)], heard }
    }

    /// What must be there of a lot from this source.
    pub fn lot(&self, source: Source) -> Option<&Lot> {
        self.lots.iter().find(|(from, _)| *from == source).map(|(_, lot)| lot)
    }

    /// The sources of all lots.
    pub fn sources(&self) -> impl Iterator<Item = Source> {
        self.lots.iter().map(|(source, _)| *source)
    }

    /// The sums.
    pub fn accounts(&self) -> Accounts {
        let mut sums = Accounts::default();
        for (_, lot) in &self.lots {
            sums.granted += lot.amount;
            sums.available += lot.remaining();
            sums.spent += lot.used;
            sums.clawed += lot.refunded() + lot.charged_back();
            sums.expired += lot.expired;
        }
        sums
    }

    /// Does a step, which ended so. `Err` says why it should have ended otherwise.
    pub fn step(&mut self, step: &Step, outcome: &Outcome) -> Result<(), String> {
        match (step, outcome) {
            (Step::Hear(purchase, said), Outcome::Heard) => self.hear(*purchase, *said),
            (Step::Gift { name, amount }, Outcome::Given(new)) => self.give(*name, *amount, *new)?,
            (Step::List { known, unknown, .. }, Outcome::Listed { charged, state, .. }) => {
                if (*charged, state.as_str()) != (*known, "completed") {
                    return Err(format!("a list of {known} is {state} for {charged}"));
                }
                self.debit(known + unknown, *charged)?;
            }
            (Step::Cancelled { known }, Outcome::Listed { charged, state, .. }) => {
                let fits = match state.as_str() {
                    "completed" => charged == known,
                    "cancelled" => charged <= known,
                    _ => false,
                };
                if !fits {
                    return Err(format!("a cancelled list of {known} is {state} for {charged}"));
                }
                self.debit(*known, *charged)?;
            }
            (Step::Check { known }, Outcome::Checked(charged)) => {
                if *charged != u64::from(*known) {
                    return Err(format!("a check costs {charged}"));
                }
                self.debit(1, *charged)?;
            }
            (step, Outcome::Refused { required, available }) => {
                let needed = match step {
                    Step::List { known, unknown, .. } => known + unknown,
                    Step::Cancelled { known } => *known,
                    Step::Check { .. } => 1,
                    Step::Hear(..) | Step::Gift { .. } => 0,
                };
                let there = u64::try_from(self.accounts().available).unwrap_or(0);
                if (*required, *available) != (needed, there) || there >= needed {
                    return Err(format!(
                        "{step:?} needs {needed} of {there}, and was refused for {required} of {available}"
                    ));
                }
            }
            (step, outcome) => return Err(format!("{step:?} ended as {outcome:?}")),
        }
        Ok(())
    }

    /// Whatever is heard of purchases and given, in no order: what does not depend on any.
    pub fn grants_only(history: &'a History) -> Self {
        let mut model = Self::new(history);
        let mut given = BTreeSet::new();
        for step in history.steps() {
            match step {
                Step::Hear(purchase, said) => model.hear(*purchase, *said),
                Step::Gift { name, amount } if given.insert(*name) => {
                    model.lots.push((Source::Gift(*name), gift(*amount)));
                }
                _ => {}
            }
        }
        model
    }

    fn give(&mut self, name: u64, amount: u64, new: bool) -> Result<(), String> {
        let first = self.lot(Source::Gift(name)).is_none();
        if first != new {
            return Err(format!("gift {name}: given is {new}, and should be {first}"));
        }
        if first {
            self.lots.push((Source::Gift(name), gift(amount)));
        }
        Ok(())
    }

    fn hear(&mut self, number: usize, said: Said) {
        let Some(purchase) = self.history.purchases.get(number) else { return };
        self.heard[number].insert(said);
        let (refund, chargeback) = asked(purchase, &self.heard[number]);
        let source = Source::Purchase(number);
        if said == Said::Completed && self.lot(source).is_none() {
            let lot = Lot { amount: purchase.credits(), over: purchase.expired(), ..Lot::default() };
            self.lots.push((source, lot));
        }
        if let Some((_, lot)) = self.lots.iter_mut().find(|(from, _)| *from == source) {
            (lot.refund, lot.chargeback) = (refund, chargeback);
            lot.expire();
        }
    }

    /// Holds so much and charges some of it.
    fn debit(&mut self, amount: u64, charged: u64) -> Result<(), String> {
        let there = self.accounts().available;
        if there < i64::try_from(amount).unwrap_or(i64::MAX) {
            return Err(format!("{amount} were taken where {there} were available"));
        }
        // The lots that are taken from pay in that order; what is not charged comes back to the last of them.
        let mut order: Vec<usize> = (0..self.lots.len()).collect();
        order.sort_by_key(|&at| (!self.lots[at].1.gift, at));
        let mut charge = charged;
        for at in order {
            let lot = &mut self.lots[at].1;
            let take = charge.min(u64::try_from(lot.remaining()).unwrap_or(0));
            lot.used += take;
            charge -= take;
        }
        Ok(())
    }
}

fn gift(amount: u64) -> Lot {
    Lot { amount, gift: true, ..Lot::default() }
}

/// What is asked back by refunds and by chargebacks, in credits, when so much is heard.
fn asked(purchase: &Purchase, heard: &BTreeSet<Said>) -> (u64, u64) {
    let (mut refunds, mut chargebacks) = (0, 0);
    for (number, line) in purchase.lines.iter().enumerate() {
        let (mut refund, mut chargeback) = (0, 0);
        for (at, adjustment) in purchase.adjustments.iter().enumerate() {
            let heard_words =
                (0..adjustment.words.len()).filter(|word| heard.contains(&Said::Adjusted(at, *word)));
            let last = heard_words.max().map(|word| adjustment.words[word]);
            let counts = last == Some(Word::Approved) && !heard.contains(&Said::Reversal(at));
            if !counts {
                continue;
            }
            let parts =
                adjustment.parts.iter().filter(|(line, _)| *line == number).map(|(_, credits)| credits);
            let credits = if adjustment.parts.is_empty() { line.credits() } else { parts.sum() };
            match adjustment.action {
                Action::Refund => refund += credits,
                Action::Chargeback => chargeback += credits,
            }
        }
        let refund = refund.min(line.credits());
        refunds += refund;
        chargebacks += chargeback.min(line.credits() - refund);
    }
    (refunds, chargebacks)
}
