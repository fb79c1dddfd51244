//! Debits and what comes back of them: plans, holds, charges, settlements and refunds.

use aws::{Cond, Transaction, Update};
use piecework_core::now;
use serde::Deserialize;

use crate::{
    Allocation, Billing, Book, CREDITS_LABEL, Entry, EntryId, EntryKind, Error, Hold, LotId, allocate,
    give_back,
    rules::{signed, without},
    store::{SWEPT, Seen, balance_key, hold_key, look, lot_key, refunded_key, stored},
};

/// Lots that one debit may draw from: a transaction has a hundred actions, and others need room in it.
const MAX_LOTS: usize = 80;

/// Lots chosen to cover an amount, not yet taken.
#[derive(Debug, Clone)]
pub struct Plan {
    book: Book,
    amount: u64,
    lots: Vec<Chosen>,
    /// What the balance item says is available, and is not by now.
    gone: i64,
}

#[derive(Debug, Clone)]
struct Chosen {
    allocation: Allocation,
    /// What the lot's item says remains, and does not by now.
    gone: i64,
}

impl Plan {
    fn allocations(&self) -> Vec<Allocation> {
        self.lots.iter().map(|chosen| chosen.allocation).collect()
    }
}

impl Billing {
    /// Chooses lots for `amount`; [`Error::Insufficient`] says what is missing, [`Error::Scattered`] that it is too much at once.
    pub async fn plan(&self, book: &Book, amount: u64) -> Result<Plan, Error> {
        let Seen { stored, standing } = self.see(book).await?;
        let available = u64::try_from(standing.balance.available).unwrap_or(0);
        let short = Error::Insufficient { required: amount, available };
        // Lots may have what another lot owes: the balance decides.
        let lots = allocate(&standing.lots, amount).filter(|_| amount <= available).ok_or(short)?;
        if lots.len() > MAX_LOTS {
            return Err(Error::Scattered { at_once: lots.iter().take(MAX_LOTS).map(|lot| lot.amount).sum() });
        }
        let gone = |lot: LotId| {
            let both = stored.iter().zip(&standing.lots).find(|(before, _)| before.id == lot);
            both.map_or(0, |(before, after)| before.remaining - after.remaining)
        };
        let all = stored.iter().map(|lot| gone(lot.id)).sum();
        let lots = lots.into_iter().map(|a| Chosen { allocation: a, gone: gone(a.lot) }).collect();
        Ok(Plan { book: book.clone(), amount, lots, gone: all })
    }

    fn take_in(&self, transaction: &mut Transaction, plan: &Plan, to: &'static str) {
        let pk = &plan.book.pk;
        for Chosen { allocation, gone } in &plan.lots {
            let update = Update::at(lot_key(pk, allocation.lot))
                .add("remaining", -signed(allocation.amount))
                .when(Cond::is("remaining", ">=", signed(allocation.amount) + gone));
            transaction.update(CREDITS_LABEL, &self.table, update);
        }
        let update = Update::at(balance_key(pk))
            .add("available", -signed(plan.amount))
            .add(to, signed(plan.amount))
            .when(Cond::is("available", ">=", signed(plan.amount) + plan.gone));
        transaction.update(CREDITS_LABEL, &self.table, update);
    }

    /// Adds a hold of what was planned. Actions labelled [`CREDITS_LABEL`] are refused if the book moved since: plan again.
    pub fn hold_in(&self, transaction: &mut Transaction, plan: &Plan, reference: &str) {
        if plan.amount == 0 {
            return;
        }
        self.take_in(transaction, plan, "held");
        let hold = Hold {
            reference: reference.to_owned(),
            amount: plan.amount,
            lots: plan.allocations(),
            settled: None,
        };
        transaction.create("hold", &self.table, &stored(hold_key(&plan.book.pk, reference), &hold));
        self.enter(transaction, &plan.book.pk, EntryKind::Hold, plan.amount, reference, hold.lots.clone());
    }

    /// Adds a charge of what was planned for work done at once.
    pub fn charge_in(&self, transaction: &mut Transaction, plan: &Plan, reference: &str) {
        if plan.amount == 0 {
            return;
        }
        self.take_in(transaction, plan, "spent");
        let lots = plan.allocations();
        self.enter(transaction, &plan.book.pk, EntryKind::Charge, plan.amount, reference, lots);
    }

    /// The hold for `reference`, settled or not.
    pub async fn hold(&self, book: &Book, reference: &str) -> Result<Option<Hold>, Error> {
        Ok(self.table.get(&hold_key(&book.pk, reference)).await?)
    }

    /// Adds what comes back to lots. To one that has expired it comes back too, for the sweep to see at once.
    fn return_in(&self, transaction: &mut Transaction, pk: &str, back: &[Allocation]) {
        let at = now();
        for a in back {
            let mut update = Update::at(lot_key(pk, a.lot)).add("remaining", signed(a.amount));
            if a.expires_at.is_some_and(|end| end <= at) {
                update = update.set("gsi1pk", SWEPT).set("gsi1sk", look(at, a.lot));
            }
            transaction.update("lot", &self.table, update);
        }
    }

    /// Adds the end of a hold: `charge` of it is spent, the rest goes back to the lots that it came from. The action `settle`
    /// is refused if the hold has been settled.
    pub fn settle_in(&self, transaction: &mut Transaction, book: &Book, hold: &Hold, charge: u64) {
        let charge = charge.min(hold.amount);
        let rest = hold.amount - charge;
        let update = Update::at(hold_key(&book.pk, &hold.reference))
            .set("settled", charge)
            .when(Cond::Absent("settled"));
        transaction.update("settle", &self.table, update.when(Cond::Present("pk")));
        let update = Update::at(balance_key(&book.pk))
            .add("held", -signed(hold.amount))
            .add("spent", signed(charge))
            .add("available", signed(rest));
        transaction.update("balance", &self.table, update);
        let back = give_back(&hold.lots, charge);
        self.return_in(transaction, &book.pk, &back);
        if charge > 0 {
            let spent = without(&hold.lots, &back);
            self.enter(transaction, &book.pk, EntryKind::Settle, charge, &hold.reference, spent);
        }
        if rest > 0 {
            self.enter(transaction, &book.pk, EntryKind::Void, rest, &hold.reference, back);
        }
    }

    /// How much of a charge or settlement has been refunded.
    pub async fn refunded(&self, book: &Book, entry: EntryId) -> Result<u64, Error> {
        #[derive(Deserialize)]
        struct Refunded {
            amount: u64,
        }
        let refunded: Option<Refunded> = self.table.get(&refunded_key(&book.pk, entry)).await?;
        Ok(refunded.map_or(0, |refunded| refunded.amount))
    }

    /// Adds a refund of so much of a charge or settlement, of which `already` has been refunded: it goes back to the lots that
    /// paid, to the one that was spent last first. At most the rest of it. The action [`CREDITS_LABEL`] is refused if another
    /// refund was faster.
    pub fn refund_in(
        &self,
        transaction: &mut Transaction,
        book: &Book,
        spent: &Entry,
        already: u64,
        amount: u64,
    ) {
        let amount = amount.min(spent.amount.saturating_sub(already));
        if amount == 0 || !matches!(spent.kind, EntryKind::Charge | EntryKind::Settle) {
            return;
        }
        let before = give_back(&spent.lots, spent.amount - already);
        let back = without(&give_back(&spent.lots, spent.amount - already - amount), &before);
        let same = if already == 0 { Cond::Absent("pk") } else { Cond::eq("amount", already) };
        let update = Update::at(refunded_key(&book.pk, spent.id)).set("amount", already + amount).when(same);
        transaction.update(CREDITS_LABEL, &self.table, update);
        let update =
            Update::at(balance_key(&book.pk)).add("spent", -signed(amount)).add("available", signed(amount));
        transaction.update("balance", &self.table, update);
        self.return_in(transaction, &book.pk, &back);
        self.enter(transaction, &book.pk, EntryKind::Refund, amount, &spent.reference, back);
    }
}
