//! What must be so of any history, and of this one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::Value;

use crate::{
    evidence::{Evidence, Outcome, number, text},
    history::{History, Step},
    model::{Accounts, Lot, Model, Source},
};

/// Something that must not be so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which check found it.
    pub check: &'static str,
    /// What it found.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.what)
    }
}

/// A check of what a history left behind.
type Check = fn(&History, &Evidence, &mut Report<'_>);

const CHECKS: &[(&str, Check)] = &[
    ("one effect", one_effect),
    ("sums", sums),
    ("bound", bound),
    ("holds", holds),
    ("claims", claims),
    ("trail", trail),
    ("tables", tables),
    ("sweep", sweep),
    ("model", model),
];

struct Report<'a> {
    check: &'static str,
    faults: &'a mut Vec<Fault>,
}

impl Report<'_> {
    fn that(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.faults.push(Fault { check: self.check, what: what() });
        }
    }

    fn same<T: PartialEq + fmt::Debug>(&mut self, what: &str, is: T, should: T) {
        self.that(is == should, || format!("{what} is {is:?} and should be {should:?}"));
    }
}

/// Every fault in what a history left behind.
pub fn check(history: &History, evidence: &Evidence) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (name, check) in CHECKS {
        check(history, evidence, &mut Report { check: name, faults: &mut faults });
    }
    faults
}

fn balance(evidence: &Evidence) -> BTreeMap<String, i64> {
    let balance = evidence.credits["balance"].as_object();
    balance.into_iter().flatten().map(|(name, sum)| (name.clone(), sum.as_i64().unwrap_or(0))).collect()
}

fn of_kind<'a>(evidence: &'a Evidence, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    evidence.entries.iter().filter(move |entry| text(entry, "kind") == kind)
}

fn sum<'a>(entries: impl Iterator<Item = &'a Value>) -> i64 {
    entries.map(|entry| number(entry, "amount")).sum()
}

fn allocations(entry: &Value) -> impl Iterator<Item = (&str, i64)> {
    entry["lots"].as_array().into_iter().flatten().map(|a| (text(a, "lot"), number(a, "amount")))
}

/// The lot that a source made, and how many it made.
fn made(evidence: &Evidence, source: Source) -> Vec<&Value> {
    let wanted = |lot: &&Value| {
        let (from, id) = (text(lot, "source"), text(lot, "source_id"));
        match source {
            Source::Signup => from == "signup",
            Source::Gift(name) => {
                from == "manual"
                    && evidence.gifts.get(usize::try_from(name).unwrap_or(0)).is_some_and(|g| g == id)
            }
            Source::Purchase(at) => {
                from == "purchase" && evidence.transactions.get(at).is_some_and(|t| t == id)
            }
        }
    };
    evidence.lots().iter().filter(wanted).collect()
}

/// What was paid for or given makes one lot and one entry, however often it is heard; nothing else makes any.
fn one_effect(history: &History, evidence: &Evidence, report: &mut Report<'_>) {
    let expected = Model::grants_only(history);
    let mut lots = 0;
    for source in expected.sources() {
        lots += 1;
        let found = made(evidence, source);
        report.same(&format!("the number of lots of {source:?}"), found.len(), 1);
        let amount = expected.lot(source).map_or(0, |lot| lot.amount);
        for lot in found {
            report.same(&format!("the amount of {source:?}"), number(lot, "amount"), signed(amount));
            let grants =
                of_kind(evidence, "grant").filter(|e| allocations(e).any(|(id, _)| id == text(lot, "id")));
            report.same(&format!("the number of grants of {source:?}"), grants.count(), 1);
        }
    }
    report.same("the number of lots", evidence.lots().len(), lots);
    report.same("the number of grants", of_kind(evidence, "grant").count(), lots);
    let told = |row: &&Value| text(&row["event"], "kind") == "billing.credits.granted";
    report.same("the number of grants told", evidence.rows_at("EVENT#").filter(told).count(), lots);
    let checked = evidence.outcomes.iter().filter(|o| matches!(o, Outcome::Checked(1))).count();
    let charges = of_kind(evidence, "charge").filter(|e| text(e, "reference").starts_with("chk_")).count();
    report.same("the number of checks charged", charges, checked);
    // An approved refund or a chargeback that was heard is asked of the lot, once: the sums of what is asked.
    for source in expected.sources() {
        let Some(lot) = expected.lot(source) else { continue };
        for found in made(evidence, source) {
            let asked = |claim: &str| number(&found[claim], "asked");
            report.same(&format!("what {source:?} refunds"), asked("refund"), signed(lot.refund));
            report.same(
                &format!("what is charged back of {source:?}"),
                asked("chargeback"),
                signed(lot.chargeback),
            );
        }
    }
}

/// Entries add up to the balance, account by account; lots to what is available; and nothing was made or lost.
fn sums(_: &History, evidence: &Evidence, report: &mut Report<'_>) {
    let balance = balance(evidence);
    let of = |account: &str| balance.get(account).copied().unwrap_or(0);
    let mut entered: BTreeMap<&str, i64> = BTreeMap::new();
    let mut by_lot: BTreeMap<&str, i64> = BTreeMap::new();
    for entry in &evidence.entries {
        let amount = number(entry, "amount");
        report.that(amount > 0, || format!("an entry of {amount}: {entry}"));
        report.that(allocations(entry).map(|(_, a)| a).sum::<i64>() == amount, || format!("lots of {entry}"));
        let (from, to) = (text(entry, "from"), text(entry, "to"));
        *entered.entry(from).or_default() -= amount;
        *entered.entry(to).or_default() += amount;
        for (lot, part) in allocations(entry) {
            let sign = i64::from(to == "available") - i64::from(from == "available");
            *by_lot.entry(lot).or_default() += sign * part;
        }
    }
    let sum = |account: &str| entered.get(account).copied().unwrap_or(0);
    report.same("granted by entries", -sum("granted"), of("granted"));
    for account in ["available", "held", "spent", "clawed", "expired"] {
        report.same(&format!("{account} by entries"), sum(account), of(account));
    }
    let parts = of("available") + of("held") + of("spent") + of("clawed") + of("expired");
    report.same("the sum of all accounts", parts, of("granted"));
    let remaining: i64 = evidence.lots().iter().map(|lot| number(lot, "remaining")).sum();
    report.same("what remains of the lots", remaining, of("available"));
    for lot in evidence.lots() {
        let left = by_lot.remove(text(lot, "id")).unwrap_or(0);
        report.same(&format!("what remains of {lot} by entries"), number(lot, "remaining"), left);
    }
    report.that(by_lot.is_empty(), || format!("entries about lots that are not there: {by_lot:?}"));
}

/// Nothing is below its bound: a lot only by what was charged back of it, the balance only by what lots owe.
fn bound(history: &History, evidence: &Evidence, report: &mut Report<'_>) {
    let mut owed = 0;
    for lot in evidence.lots() {
        let (remaining, charged_back) = (number(lot, "remaining"), number(&lot["chargeback"], "taken"));
        report.that(remaining >= -charged_back, || format!("{lot} is below what was charged back"));
        owed += (-remaining).max(0);
    }
    let balance = balance(evidence);
    for (account, sum) in &balance {
        let least = if account == "available" { -owed } else { 0 };
        report.that(*sum >= least, || format!("{account} is {sum}, and {owed} are owed"));
    }
    if !history.calm() {
        return;
    }
    // One after the other, so that the entries stand in the order in which they were made: no debit left less than nothing.
    let mut available = 0;
    for entry in evidence.entries.iter().rev() {
        let amount = number(entry, "amount");
        available += amount
            * (i64::from(text(entry, "to") == "available") - i64::from(text(entry, "from") == "available"));
        let debit = ["hold", "charge"].contains(&text(entry, "kind"));
        report.that(!debit || available >= 0, || format!("{available} are left after {entry}"));
    }
}

/// Every hold has ended, once, and as its list says.
fn holds(_: &History, evidence: &Evidence, report: &mut Report<'_>) {
    report.same("held", balance(evidence).get("held").copied(), Some(0));
    let mut tasks = BTreeSet::new();
    for outcome in &evidence.outcomes {
        let Outcome::Listed { task, charged, .. } = outcome else { continue };
        tasks.insert(task.as_str());
        let of = |kind| of_kind(evidence, kind).filter(move |e| text(e, "reference") == task);
        report.same(&format!("the number of holds of {task}"), of("hold").count(), 1);
        report.that(of("settle").count() <= 1 && of("void").count() <= 1, || format!("{task} ended twice"));
        report.same(
            &format!("the end of the hold of {task}"),
            sum(of("settle")) + sum(of("void")),
            sum(of("hold")),
        );
        report.same(&format!("what {task} paid"), sum(of("settle")), signed(*charged));
    }
    for kind in ["hold", "settle", "void"] {
        for entry in of_kind(evidence, kind) {
            report.that(tasks.contains(text(entry, "reference")), || format!("nobody asked for {entry}"));
        }
    }
}

/// What claims and time took of each lot is what its sums say, whatever the order was.
fn claims(_: &History, evidence: &Evidence, report: &mut Report<'_>) {
    for lot in evidence.lots() {
        let part = |kind: &str| -> i64 {
            of_kind(evidence, kind)
                .flat_map(allocations)
                .filter(|(id, _)| *id == text(lot, "id"))
                .map(|(_, a)| a)
                .sum()
        };
        let used = part("hold") + part("charge") - part("void") - part("refund");
        let expired = number(lot, "expired");
        report.same(&format!("what expired of {lot}"), part("expire"), expired);
        let taken = |claim: &str| number(&lot[claim], "taken");
        let both = taken("refund") + taken("chargeback");
        report.same(
            &format!("what was taken of {lot}"),
            part("claw_back") + part("chargeback") - part("give_back"),
            both,
        );
        let natural = |value: i64| u64::try_from(value).unwrap_or(0);
        let should = Lot {
            amount: natural(number(lot, "amount")),
            used: natural(used),
            expired: natural(expired),
            refund: natural(number(&lot["refund"], "asked")),
            chargeback: natural(number(&lot["chargeback"], "asked")),
            ..Lot::default()
        };
        report.same(&format!("what refunds took of {lot}"), taken("refund"), signed(should.refunded()));
        report.same(
            &format!("what chargebacks took of {lot}"),
            taken("chargeback"),
            signed(should.charged_back()),
        );
        report.same(&format!("what remains of {lot}"), number(lot, "remaining"), should.remaining());
    }
}

/// From every entry a chain leads to what was paid or given, and from every hold to its end.
fn trail(_: &History, evidence: &Evidence, report: &mut Report<'_>) {
    let lots: BTreeMap<&str, &Value> = evidence.lots().iter().map(|lot| (text(lot, "id"), lot)).collect();
    for entry in &evidence.entries {
        let (kind, reference) = (text(entry, "kind"), text(entry, "reference"));
        for (lot, _) in allocations(entry) {
            let source = lots.get(lot).map(|lot| text(lot, "source_id"));
            report.that(source.is_some_and(|id| !id.is_empty()), || format!("{entry} leads to no source"));
            if ["grant", "claw_back", "chargeback", "give_back", "expire"].contains(&kind) {
                report.same(&format!("the reference of {entry}"), Some(reference), source);
            }
        }
    }
    for (id, trail) in &evidence.trails {
        let Some(entry) = evidence.entries.iter().find(|entry| text(entry, "id") == id) else {
            report.that(false, || format!("{id} is in no history"));
            continue;
        };
        report.same(&format!("the entry of the trail of {id}"), &trail["entry"], entry);
        let ids = |values: &Value| -> BTreeSet<String> {
            values.as_array().into_iter().flatten().map(|v| text(v, "id").to_owned()).collect()
        };
        let touched: BTreeSet<String> = allocations(entry).map(|(lot, _)| lot.to_owned()).collect();
        report.same(&format!("the lots of the trail of {id}"), ids(&trail["lots"]), touched);
        let same = evidence.entries.iter().filter(|e| text(e, "reference") == text(entry, "reference"));
        let same: BTreeSet<String> = same.map(|e| text(e, "id").to_owned()).collect();
        report.same(&format!("the entries of the trail of {id}"), ids(&trail["entries"]), same);
        for lot in trail["lots"].as_array().into_iter().flatten() {
            report.same("a lot of a trail", Some(lot), lots.get(text(lot, "id")).copied());
        }
    }
}

/// The API shows what the table has.
fn tables(_: &History, evidence: &Evidence, report: &mut Report<'_>) {
    let rows: BTreeMap<&str, &Value> = evidence.rows_at("ENTRY#").map(|row| (text(row, "id"), row)).collect();
    let shown: BTreeMap<&str, &Value> =
        evidence.entries.iter().map(|entry| (text(entry, "id"), entry)).collect();
    report.same("the entries", rows.keys().collect::<Vec<_>>(), shown.keys().collect());
    for (id, entry) in &shown {
        for name in ["kind", "from", "to", "amount", "reference", "lots"] {
            let row = rows.get(id).map(|row| &row[name]);
            report.same(&format!("{name} of {id}"), row, Some(&entry[name]));
        }
    }
    let balance = balance(evidence);
    for row in evidence.rows_at("BOOK#BALANCE") {
        for (account, sum) in &balance {
            report.same(&format!("{account} in the table"), number(row, account), *sum);
        }
    }
    let lots: BTreeMap<&str, i64> =
        evidence.rows_at("BOOK#LOT#").map(|row| (text(row, "id"), number(row, "remaining"))).collect();
    let shown: BTreeMap<&str, i64> =
        evidence.lots().iter().map(|lot| (text(lot, "id"), number(lot, "remaining"))).collect();
    report.same("the lots", &lots, &shown);
    for hold in evidence.rows_at("HOLD#") {
        let (amount, settled) = (number(hold, "amount"), hold["settled"].as_i64());
        report.that(settled.is_some_and(|s| (0..=amount).contains(&s)), || format!("a hold is open: {hold}"));
    }
    let bought: BTreeMap<&str, i64> =
        evidence.purchases.iter().map(|p| (text(p, "transaction_id"), number(p, "credits"))).collect();
    let of_lots = evidence.lots().iter().filter(|lot| text(lot, "source") == "purchase");
    let of_lots: BTreeMap<&str, i64> =
        of_lots.map(|lot| (text(lot, "source_id"), number(lot, "amount"))).collect();
    report.same("the purchases", bought, of_lots);
}

/// The sweep only does what the API showed already.
fn sweep(_: &History, evidence: &Evidence, report: &mut Report<'_>) {
    if !evidence.before.is_null() {
        report.same("what is shown before and after the sweep", &evidence.before, &evidence.credits);
    }
}

/// It ends as the model says: in all of it if things happened one after the other, else in what depends on no order.
fn model(history: &History, evidence: &Evidence, report: &mut Report<'_>) {
    let balance = balance(evidence);
    let of = |account: &str| balance.get(account).copied().unwrap_or(0);
    report.same("the number of outcomes", evidence.outcomes.len(), history.steps().count());
    if history.calm() {
        let mut model = Model::new(history);
        for (step, outcome) in history.steps().zip(&evidence.outcomes) {
            if let Err(why) = model.step(step, outcome) {
                report.that(false, || why);
            }
        }
        let Accounts { granted, available, spent, clawed, expired } = model.accounts();
        report.same("granted", of("granted"), signed(granted));
        report.same("available", of("available"), available);
        report.same("spent", of("spent"), signed(spent));
        report.same("clawed", of("clawed"), signed(clawed));
        report.same("expired", of("expired"), signed(expired));
        return;
    }
    let expected = Model::grants_only(history);
    report.same("granted", of("granted"), signed(expected.accounts().granted));
    let mut spent = expected.accounts().spent;
    let mut given: BTreeMap<u64, usize> = BTreeMap::new();
    for (step, outcome) in history.steps().zip(&evidence.outcomes) {
        let (needs, pays) = match step {
            Step::List { known, unknown, .. } => (known + unknown, *known..=*known),
            Step::Cancelled { known } => (*known, 0..=*known),
            Step::Check { known } => (1, u64::from(*known)..=u64::from(*known)),
            Step::Hear(..) | Step::Gift { .. } => (0, 0..=0),
        };
        let fits = match outcome {
            Outcome::Heard => matches!(step, Step::Hear(..)),
            Outcome::Listed { charged, .. } | Outcome::Checked(charged) => {
                spent += charged;
                pays.contains(charged)
            }
            Outcome::Refused { required, available } => *required == needs && *available < needs,
            Outcome::Given(new) => match step {
                Step::Gift { name, .. } => {
                    *given.entry(*name).or_default() += usize::from(*new);
                    true
                }
                _ => false,
            },
        };
        report.that(fits, || format!("{step:?} ended as {outcome:?}"));
    }
    report.that(given.values().all(|times| *times == 1), || format!("gifts were given {given:?} times"));
    report.same("spent", of("spent"), signed(spent));
}

fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}
