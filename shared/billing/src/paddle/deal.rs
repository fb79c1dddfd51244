//! The join of everything that Paddle has said of one transaction, and what comes of it. Pure.
//!
//! Events come in any order, and more than once. Each is merged: a sale is said once and never changes; of what is said of an
//! adjustment, the last by Paddle's own clock counts. Merging is commutative and idempotent, and [`Deal::asked`] is a function of
//! what was merged, so the order in which events came is forgotten.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use piecework_core::{UserId, WorkspaceId};
use serde::{Deserialize, Serialize};

use super::{
    event::{self, AdjustmentEntity, Transaction},
    prices::Prices,
};
use crate::{Clawback, LotId, inbound::InboundId};

/// The most units of a price that are believed.
const MOST_UNITS: i64 = 1_000_000;
/// The most credits that one transaction may buy.
const MOST_CREDITS: u64 = 1_000_000_000_000;

/// Stands for all lines of a transaction, where there are ids of lines otherwise.
const WHOLE: &str = "*";

/// Who buys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owner {
    pub workspace: WorkspaceId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
}

/// One line of a sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    /// Paddle's id of the line, by which adjustments name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    pub credits: u64,
    /// What was paid for it, with tax, in the minor unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

/// What was bought and paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sale {
    pub owner: Owner,
    pub name: String,
    pub currency: String,
    /// What was paid, with tax, in the minor unit.
    pub total: u64,
    pub lines: Vec<Line>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// What an adjustment does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Action {
    Refund,
    Chargeback,
    ChargebackReverse,
}

/// The part of a line, or of all, that an adjustment is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Part {
    /// All of it.
    Full,
    /// So much of what was paid for it, in the minor unit.
    Amount(u64),
}

/// What Paddle said last of an adjustment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Adjustment {
    pub action: Action,
    /// Whether it counts: a refund once it is approved, a chargeback at once.
    pub effective: bool,
    /// Whether a chargeback was reversed.
    pub reversed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// By line, or of [`WHOLE`].
    pub parts: BTreeMap<String, Part>,
    pub occurred_at: Timestamp,
    pub event: String,
}

/// The lot that was granted for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Granted {
    pub lot: LotId,
    pub workspace: WorkspaceId,
}

/// Everything that is known of one transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Deal {
    pub transaction: String,
    /// How often it changed.
    pub version: u64,
    /// Who asked us for the checkout, if we made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sale: Option<Sale>,
    #[serde(default)]
    pub adjustments: BTreeMap<String, Adjustment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted: Option<Granted>,
    /// The calls that wait for the sale.
    #[serde(default)]
    pub parked: BTreeSet<String>,
}

/// Why a sale cannot be granted as things are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    #[error("the price {0} is not in the price table")]
    UnknownPrice(String),
    #[error("a quantity of {0} is not believed")]
    Quantity(i64),
    #[error("it buys nothing")]
    Nothing,
    #[error("it buys more credits than are believed")]
    TooMuch,
    #[error("an amount is missing or below zero")]
    Amount,
    #[error("its amounts are in several currencies")]
    Currencies,
    #[error("its custom data names no workspace")]
    NoOwner,
    #[error("its status is {0} and not completed")]
    NotCompleted(String),
}

impl Sale {
    /// Reads a completed transaction by the price table. The buyer is who asked for the checkout; without a checkout of ours, who
    /// its custom data names.
    pub fn read(
        transaction: Transaction,
        owner: Option<Owner>,
        prices: &Prices,
        occurred_at: Timestamp,
    ) -> Result<Self, Unfit> {
        if transaction.status != "completed" {
            return Err(Unfit::NotCompleted(transaction.status));
        }
        let totals = transaction.details.totals;
        let total =
            event::amount(totals.total.as_ref().or(totals.grand_total.as_ref())).ok_or(Unfit::Amount)?;
        let mut currencies = [transaction.currency_code, totals.currency_code].into_iter().flatten();
        let currency = currencies.next().ok_or(Unfit::Currencies)?;
        if currencies.any(|other| other != currency) {
            return Err(Unfit::Currencies);
        }
        let mut of_price = event::by_price(transaction.details.line_items);
        let (mut lines, mut names, mut expires_at) = (Vec::new(), Vec::new(), None::<Timestamp>);
        for item in transaction.items {
            let price = prices.get(&item.price.id).ok_or(Unfit::UnknownPrice(item.price.id.clone()))?;
            if !(1..=MOST_UNITS).contains(&item.quantity) {
                return Err(Unfit::Quantity(item.quantity));
            }
            let units = u64::try_from(item.quantity).unwrap_or(0);
            let line = of_price.get_mut(&item.price.id).and_then(Vec::pop);
            let paid = line.as_ref().and_then(|line| line.totals.as_ref());
            let total = match paid {
                Some(totals) => Some(event::amount(totals.total.as_ref()).ok_or(Unfit::Amount)?),
                None => None,
            };
            lines.push(Line { item: line.map(|line| line.id), credits: price.credits * units, total });
            names.push(match (&price.name, units) {
                (Some(name), 1) => name.clone(),
                (Some(name), _) => format!("{units} × {name}"),
                (None, _) => format!("{} credits", price.credits * units),
            });
            if let Some(days) = price.expires_days {
                // One lot has one end: the first of its lines'.
                let end = occurred_at + SignedDuration::from_hours(24 * i64::from(days));
                expires_at = Some(expires_at.map_or(end, |other| other.min(end)));
            }
        }
        let credits = lines.iter().try_fold(0u64, |sum, line| sum.checked_add(line.credits));
        match credits {
            Some(0) => return Err(Unfit::Nothing),
            Some(1..=MOST_CREDITS) => {}
            _ => return Err(Unfit::TooMuch),
        }
        let owner = match owner {
            Some(owner) => owner,
            None => {
                let named = |name| event::custom(transaction.custom_data.as_ref(), name);
                let workspace =
                    named("workspace").and_then(|text| text.parse().ok()).ok_or(Unfit::NoOwner)?;
                Owner { workspace, user: named("user").and_then(|text| text.parse().ok()) }
            }
        };
        Ok(Self { owner, name: names.join(", "), currency, total, lines, expires_at })
    }

    /// Credits bought.
    pub fn credits(&self) -> u64 {
        self.lines.iter().map(|line| line.credits).sum()
    }
}

impl Adjustment {
    /// Reads an adjustment; `None` for those that move no credits.
    pub fn read(
        entity: &AdjustmentEntity,
        occurred_at: Timestamp,
        event: &str,
    ) -> Option<Result<Self, Unfit>> {
        let action = match entity.action.as_str() {
            "refund" => Action::Refund,
            "chargeback" => Action::Chargeback,
            "chargeback_reverse" => Action::ChargebackReverse,
            _ => return None,
        };
        let effective = match action {
            Action::Refund => entity.status == "approved",
            Action::Chargeback | Action::ChargebackReverse => entity.status != "rejected",
        };
        let parts = match parts(entity) {
            Ok(parts) => parts,
            Err(unfit) => return Some(Err(unfit)),
        };
        Some(Ok(Self {
            action,
            effective,
            reversed: entity.status == "reversed",
            currency: entity.currency_code.clone(),
            parts,
            occurred_at,
            event: event.to_owned(),
        }))
    }

    fn fits(&self, sale: &Sale) -> bool {
        self.currency.as_ref().is_none_or(|currency| *currency == sale.currency)
    }

    /// The order in which Paddle said things.
    fn said(&self) -> (Timestamp, &str) {
        (self.occurred_at, &self.event)
    }
}

fn parts(entity: &AdjustmentEntity) -> Result<BTreeMap<String, Part>, Unfit> {
    let whole = |part| Ok(BTreeMap::from([(WHOLE.to_owned(), part)]));
    if entity.kind.as_deref() == Some("full") {
        return whole(Part::Full);
    }
    let mut parts = BTreeMap::new();
    for item in &entity.items {
        let part = match item.kind.as_str() {
            // Tax given back buys no credits back.
            "tax" => continue,
            "full" => Part::Full,
            _ => {
                let total = item.totals.as_ref().and_then(|totals| totals.total.as_ref());
                Part::Amount(event::amount(total.or(item.amount.as_ref())).ok_or(Unfit::Amount)?)
            }
        };
        parts.insert(item.item_id.clone(), part);
    }
    if entity.items.is_empty() {
        let total = entity.totals.as_ref().and_then(|totals| totals.total.as_ref());
        return whole(Part::Amount(event::amount(total).ok_or(Unfit::Amount)?));
    }
    Ok(parts)
}

impl Deal {
    pub fn new(transaction: String) -> Self {
        Self {
            transaction,
            version: 0,
            owner: None,
            sale: None,
            adjustments: BTreeMap::new(),
            granted: None,
            parked: BTreeSet::new(),
        }
    }

    /// Merges a sale. Paddle does not change what a completed transaction sold, so the first one read stands.
    pub fn merge_sale(&mut self, sale: Sale) {
        self.sale.get_or_insert(sale);
    }

    /// Merges what was said of an adjustment: the last word counts.
    pub fn merge_adjustment(&mut self, id: &str, said: Adjustment) {
        match self.adjustments.get_mut(id) {
            Some(known) if known.said() >= said.said() => {}
            Some(known) => *known = said,
            None => drop(self.adjustments.insert(id.to_owned(), said)),
        }
    }

    /// Whether an adjustment is in the sale's currency, as far as it says.
    pub fn in_its_currency(&self, said: &Adjustment) -> bool {
        self.sale.as_ref().is_none_or(|sale| said.fits(sale))
    }

    /// Keeps a call until the sale is known.
    pub fn park(&mut self, call: InboundId) {
        self.parked.insert(call.to_string());
    }

    /// How many of the credits bought are asked back, in all: by refunds, and by chargebacks that were not reversed. Never more
    /// than were bought, line by line.
    pub fn asked(&self) -> Clawback {
        let Some(sale) = &self.sale else { return Clawback::default() };
        let mut asked = Clawback::default();
        for line in &sale.lines {
            // What a reversal is about is said twice, by an adjustment of its own and by the chargeback's status, in any order.
            let sum = |of: &dyn Fn(&Adjustment) -> bool| self.sum(sale, line, of);
            let charged_back = sum(&|a| a.action == Action::Chargeback);
            let reversals = sum(&|a| a.action == Action::ChargebackReverse);
            let reversed = sum(&|a| a.action == Action::Chargeback && a.reversed);
            let refund = sum(&|a| a.action == Action::Refund).min(line.credits);
            let chargeback = charged_back.saturating_sub(reversals.max(reversed)).min(line.credits - refund);
            asked.refund += refund;
            asked.chargeback += chargeback;
        }
        asked
    }

    /// The credits of a line that adjustments are about. Of a part of the price it is that part of the credits, rounded down once
    /// for all of them together.
    fn sum(&self, sale: &Sale, line: &Line, of: &dyn Fn(&Adjustment) -> bool) -> u64 {
        let (mut full, mut of_line, mut of_all) = (0u64, 0u64, 0u64);
        for adjustment in self.adjustments.values().filter(|a| a.effective && a.fits(sale) && of(a)) {
            let known = line.item.as_ref().and_then(|item| adjustment.parts.get(item));
            match known {
                Some(Part::Full) => full += line.credits,
                Some(Part::Amount(amount)) => of_line = of_line.saturating_add(*amount),
                None => {}
            }
            match adjustment.parts.get(WHOLE) {
                Some(Part::Full) => full += line.credits,
                Some(Part::Amount(amount)) => of_all = of_all.saturating_add(*amount),
                None => {}
            }
            // A line that the sale did not name: by its part of the whole price.
            let strangers = adjustment.parts.iter().filter(|(item, _)| *item != WHOLE && !sale.names(item));
            for (_, part) in strangers {
                match part {
                    Part::Full if sale.lines.len() == 1 => full += line.credits,
                    Part::Full => {}
                    Part::Amount(amount) => of_all = of_all.saturating_add(*amount),
                }
            }
        }
        let share = |amount: u64, total: Option<u64>| match total {
            Some(total @ 1..) => {
                let part = u128::from(line.credits) * u128::from(amount) / u128::from(total);
                u64::try_from(part).unwrap_or(u64::MAX)
            }
            _ if amount > 0 => line.credits,
            _ => 0,
        };
        full.saturating_add(share(of_line, line.total.or(Some(sale.total))))
            .saturating_add(share(of_all, Some(sale.total)))
    }
}

impl Sale {
    fn names(&self, item: &str) -> bool {
        self.lines.iter().any(|line| line.item.as_deref() == Some(item))
    }
}
