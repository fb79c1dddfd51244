//! What becomes of lots beside being spent: claims on them, and their end.

use aws::{CommitError, Cond, Query, Transaction, Update, Value};
use piecework_core::now;
use serde::Deserialize;

use crate::{
    Allocation, Balance, Billing, Book, CREDITS_LABEL, Clawback, EntryKind, Error, Lot, LotId,
    rules::signed,
    store::{SWEPT, balance_key, look, lot_key},
};

/// Lots that one round of the sweep looks at.
const SWEEP: u32 = 500;

impl Billing {
    /// Adds what it takes for the payment behind a lot to be asked back in so far: it takes more, or gives back. `lot` is as
    /// its item says; the action [`CREDITS_LABEL`] is refused if it moved since. Says how the lot will be.
    pub fn claw_in(
        &self,
        transaction: &mut Transaction,
        book: &Book,
        lot: &Lot,
        asked: Clawback,
    ) -> Result<Lot, Error> {
        let after = lot.clawed(asked, now());
        if after == *lot {
            return Ok(after);
        }
        self.move_in(transaction, &book.pk, lot, &after)?;
        let data = serde_json::json!({
            "source": lot.source, "source_id": lot.source_id, "refund": after.refund, "chargeback": after.chargeback,
            "owed": (-after.remaining).max(0),
        });
        self.tell_in(transaction, book, "clawed", lot.id, data);
        Ok(after)
    }

    /// Adds a lot's change by claims and expiry, with the entries that tell it.
    fn move_in(
        &self,
        transaction: &mut Transaction,
        pk: &str,
        before: &Lot,
        after: &Lot,
    ) -> Result<(), aws::Error> {
        let mut update = Update::at(lot_key(pk, before.id))
            .set("remaining", after.remaining)
            .set("expired", after.expired)
            .set("refund", Value::of(&after.refund)?)
            .set("chargeback", Value::of(&after.chargeback)?)
            .when(Cond::eq("remaining", before.remaining))
            .when(Cond::eq("expired", before.expired))
            .when(Cond::eq("refund", Value::of(&before.refund)?))
            .when(Cond::eq("chargeback", Value::of(&before.chargeback)?));
        update = match after.look_at(now()) {
            Some(at) => update.set("gsi1pk", SWEPT).set("gsi1sk", look(at, before.id)),
            None => update.remove("gsi1pk").remove("gsi1sk"),
        };
        transaction.update(CREDITS_LABEL, &self.table, update);
        let (from, to) = (Balance::default(), Balance::default().moved(before, after));
        let update = Update::at(balance_key(pk))
            .add("available", to.available - from.available)
            .add("clawed", after.taken() - before.taken())
            .add("expired", signed(after.expired) - signed(before.expired));
        transaction.update("balance", &self.table, update);
        self.enter_moves(transaction, pk, before, after);
        Ok(())
    }

    /// Adds the entries that tell of a lot's change by claims and expiry.
    pub(crate) fn enter_moves(&self, transaction: &mut Transaction, pk: &str, before: &Lot, after: &Lot) {
        let mut enter = |kind: EntryKind, amount: u64| {
            if amount > 0 {
                let lots = vec![Allocation { lot: before.id, amount, expires_at: before.expires_at }];
                self.enter(transaction, pk, kind, amount, &before.source_id, lots);
            }
        };
        let (rose, fell) = (u64::saturating_sub, |a: u64, b: u64| b.saturating_sub(a));
        enter(EntryKind::ClawBack, rose(after.refund.taken, before.refund.taken));
        enter(EntryKind::Chargeback, rose(after.chargeback.taken, before.chargeback.taken));
        enter(EntryKind::GiveBack, fell(after.refund.taken, before.refund.taken));
        enter(EntryKind::GiveBack, fell(after.chargeback.taken, before.chargeback.taken));
        enter(EntryKind::Expire, rose(after.expired, before.expired));
    }

    /// Does what is due to lots: what expired, and what came back to a lot that a refund claims. Says to how many. A lot that
    /// moves meanwhile is left to the next round.
    pub async fn sweep(&self) -> Result<u64, Error> {
        #[derive(Deserialize)]
        struct Row {
            pk: String,
            #[serde(flatten)]
            lot: Lot,
        }
        let at = now();
        let query = Query::index("gsi1", SWEPT).between("0", look(at, LotId::new())).limit(SWEEP);
        let mut swept = 0;
        for Row { pk, lot } in self.table.query::<Row>(query).await?.items {
            let after = lot.at(at);
            let mut transaction = Transaction::new();
            if after == lot {
                let update = Update::at(lot_key(&pk, lot.id)).when(Cond::eq("remaining", lot.remaining));
                let update = match lot.look_at(at) {
                    Some(at) => update.set("gsi1sk", look(at, lot.id)),
                    None => update.remove("gsi1pk").remove("gsi1sk"),
                };
                transaction.update(CREDITS_LABEL, &self.table, update);
            } else {
                self.move_in(&mut transaction, &pk, &lot, &after)?;
            }
            match transaction.commit().await {
                Ok(()) => swept += u64::from(after != lot),
                Err(CommitError::Refused { label: CREDITS_LABEL, .. }) => {}
                Err(error) => return Err(aws::Error::from(error).into()),
            }
        }
        Ok(swept)
    }
}

impl Lot {
    pub(crate) fn taken(&self) -> i64 {
        signed(self.refund.taken) + signed(self.chargeback.taken)
    }
}

impl Balance {
    /// The balance after a lot's change by claims and expiry.
    pub(crate) fn moved(self, before: &Lot, after: &Lot) -> Self {
        let add = |account: u64, by: i64| account.saturating_add_signed(by);
        Self {
            available: self.available + after.remaining - before.remaining,
            clawed: add(self.clawed, after.taken() - before.taken()),
            expired: add(self.expired, signed(after.expired) - signed(before.expired)),
            ..self
        }
    }
}
