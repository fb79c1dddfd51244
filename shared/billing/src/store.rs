//! The ledger in DynamoDB. A book's partition (`WSP#<workspace>` for credits, `WALLET#<user>#<currency>` for money):
//! `BOOK#BALANCE`, `BOOK#LOT#<lot>`, `HOLD#<reference>`, `ENTRY#<entry>`, `REFUNDED#<entry>`; and `GRANT#<source>#<source id>`,
//! the lock that makes a grant happen once.

use aws::{Clients, CommitError, Cond, Deps, Found, Key, Query, Table, Transaction, Update, Value};
use jiff::Timestamp;
use piecework_core::{DomainEvent, PageRequest, Settings, WorkspaceId, now, settings::SettingError};
use serde::{Deserialize, Serialize};

use crate::{
    Allocation, Balance, Book, Clawback, Credits, Entry, EntryId, EntryKind, Error, Grant, Hold, Lot, LotId,
    Standing, Trail, allocate, give_back,
    ledger::Claim,
    rules::{signed, without},
};

/// Credits that a new user starts with.
pub const SIGNUP_GRANT: u64 = 10_000;
/// The label of every action here whose refusal means that the book moved in between: look and plan again.
pub const CREDITS_LABEL: &str = "credits";
/// Below this the low-credit flag is up.
const LOW_BELOW: u64 = 1_000;
/// Lots that one debit may draw from: a transaction has a hundred actions, and others need room in it.
const MAX_LOTS: usize = 40;
/// The index partition of the lots that the sweep is to look at, by when.
const SWEPT: &str = "LOTS";
/// Lots that one round of the sweep looks at.
const SWEEP: u32 = 500;

/// The ledger.
#[derive(Clone)]
pub struct Billing {
    pub(crate) table: Table,
}

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

#[derive(Serialize, Deserialize)]
pub(crate) struct Stored<T> {
    pub pk: String,
    pub sk: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gsi1pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gsi1sk: Option<String>,
    #[serde(flatten)]
    pub record: T,
}

fn stored<T>(Key { pk, sk }: Key, record: T) -> Stored<T> {
    Stored { pk, sk, gsi1pk: None, gsi1sk: None, record }
}

fn balance_key(pk: &str) -> Key {
    Key::new(pk, "BOOK#BALANCE")
}

fn lot_key(pk: &str, lot: LotId) -> Key {
    Key::new(pk, format!("BOOK#LOT#{lot}"))
}

fn hold_key(pk: &str, reference: &str) -> Key {
    Key::new(pk, format!("HOLD#{reference}"))
}

fn entry_key(pk: &str, entry: EntryId) -> Key {
    Key::new(pk, format!("ENTRY#{entry}"))
}

fn refunded_key(pk: &str, entry: EntryId) -> Key {
    Key::new(pk, format!("REFUNDED#{entry}"))
}

/// The index partition of the entries with a reference.
fn referred(pk: &str, reference: &str) -> String {
    format!("{pk}#REF#{reference}")
}

fn look(at: Timestamp, lot: LotId) -> String {
    format!("{at}#{lot}")
}

impl Deps for Billing {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        Ok(Self { table: Table::new(clients, settings.required("BILLING_TABLE")?) })
    }
}

/// Balance and lots as their items say, and as they are by now.
struct Seen {
    stored: Vec<Lot>,
    standing: Standing,
}

impl Billing {
    fn enter(
        &self,
        transaction: &mut Transaction,
        pk: &str,
        kind: EntryKind,
        amount: u64,
        reference: &str,
        lots: Vec<Allocation>,
    ) {
        let (from, to) = kind.accounts();
        let entry = Entry {
            id: EntryId::new(),
            kind,
            from: from.to_owned(),
            to: to.to_owned(),
            amount,
            reference: reference.to_owned(),
            lots,
            at: now(),
        };
        let mut item = stored(entry_key(pk, entry.id), &entry);
        item.gsi1pk = Some(referred(pk, reference));
        item.gsi1sk = Some(entry.id.to_string());
        transaction.create("entry", &self.table, &item);
    }

    /// Adds a grant; the lot that it makes. The action `grant` is refused if this source id has had its grant.
    pub fn grant_in(&self, transaction: &mut Transaction, book: &Book, grant: &Grant) -> LotId {
        let fresh = Lot {
            id: LotId::new(),
            source: grant.source,
            source_id: grant.source_id.clone(),
            name: grant.name.clone(),
            amount: grant.amount,
            remaining: signed(grant.amount),
            priority: grant.priority,
            expires_at: grant.expires_at,
            expired: 0,
            refund: Claim::default(),
            chargeback: Claim::default(),
            granted_at: now(),
        };
        // A grant that comes late may have expired, or been asked back, before it came.
        let lot = fresh.clawed(grant.claimed, now());
        #[derive(Serialize)]
        struct Lock<'a> {
            pk: String,
            sk: &'static str,
            book: &'a str,
            lot: LotId,
        }
        let pk = format!("GRANT#{}#{}", grant.source.name(), grant.source_id);
        transaction.create("grant", &self.table, &Lock { pk, sk: "GRANT", book: &book.pk, lot: lot.id });
        let mut item = stored(lot_key(&book.pk, lot.id), &lot);
        if let Some(at) = lot.look_at(now()) {
            item.gsi1pk = Some(SWEPT.to_owned());
            item.gsi1sk = Some(look(at, lot.id));
        }
        transaction.create("lot", &self.table, &item);
        let mut update = Update::at(balance_key(&book.pk))
            .add("granted", signed(grant.amount))
            .add("available", lot.remaining)
            .add("clawed", lot.taken())
            .add("expired", signed(lot.expired));
        let label = if grant.known_only { "owner" } else { "balance" };
        if grant.known_only {
            update = update.when(Cond::Present("pk"));
        }
        transaction.update(label, &self.table, update);
        let lots = vec![Allocation { lot: lot.id, amount: grant.amount, expires_at: grant.expires_at }];
        self.enter(transaction, &book.pk, EntryKind::Grant, grant.amount, &grant.source_id, lots);
        self.enter_moves(transaction, &book.pk, &fresh, &lot);
        let data = serde_json::json!({ "source": grant.source, "source_id": grant.source_id, "amount": grant.amount });
        self.tell_in(transaction, book, "granted", lot.id, data);
        lot.id
    }

    /// Adds an event of the book, such as `billing.credits.granted`.
    fn tell_in(
        &self,
        transaction: &mut Transaction,
        book: &Book,
        what: &str,
        entity: impl ToString,
        data: serde_json::Value,
    ) {
        let event = DomainEvent::new(&format!("billing.{}.{what}", book.kind), book.workspace, entity, data);
        transaction.create("event", &self.table, &aws::event_item(&book.pk, &event));
    }

    /// Grants in a transaction of its own; `false` if this source id has had its grant.
    pub async fn grant(&self, book: &Book, grant: &Grant) -> Result<bool, Error> {
        let mut transaction = Transaction::new();
        self.grant_in(&mut transaction, book, grant);
        match transaction.commit().await {
            Ok(()) => Ok(true),
            Err(CommitError::Refused { label: "grant", .. }) => Ok(false),
            Err(error) => Err(aws::Error::from(error).into()),
        }
    }

    async fn see(&self, book: &Book) -> Result<Seen, Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Row {
            Lot(Box<Lot>),
            Balance(Balance),
        }
        let rows = self.table.query::<Row>(Query::partition(&book.pk).prefix("BOOK#")).await?;
        let (mut stored, mut balance) = (Vec::new(), Balance::default());
        for row in rows.items {
            match row {
                Row::Lot(lot) => stored.push(*lot),
                Row::Balance(b) => balance = b,
            }
        }
        let at = now();
        let lots: Vec<Lot> = stored.iter().map(|lot| lot.at(at)).collect();
        for (before, after) in stored.iter().zip(&lots) {
            balance = balance.moved(before, after);
        }
        Ok(Seen { stored, standing: Standing { balance, lots } })
    }

    /// Balance and lots of a book as they are by now, in one query.
    pub async fn standing(&self, book: &Book) -> Result<Standing, Error> {
        Ok(self.see(book).await?.standing)
    }

    /// A workspace's balance and grants, in one query.
    pub async fn credits(&self, workspace: WorkspaceId) -> Result<Credits, Error> {
        let Standing { balance, lots } = self.standing(&Book::credits(workspace)).await?;
        let low = balance.available < signed(LOW_BELOW);
        Ok(Credits { balance, low, low_below: LOW_BELOW, grants: lots })
    }

    /// Entries of a book, newest first.
    pub async fn history(&self, book: &Book, page: &PageRequest) -> Result<Found<Entry>, Error> {
        let query = Query::partition(&book.pk).prefix("ENTRY#").newest_first();
        Ok(self.table.query(query.limit(page.limit).start(page.start.clone())).await?)
    }

    /// An entry with its lots and a page of the entries that have its reference: a get, a batch of gets and a query.
    pub async fn trail(&self, book: &Book, id: EntryId, page: &PageRequest) -> Result<Found<Trail>, Error> {
        let entry: Entry = self.table.get(&entry_key(&book.pk, id)).await?.ok_or(Error::NoSuchEntry)?;
        let query = Query::index("gsi1", referred(&book.pk, &entry.reference));
        let same: Found<Entry> = self.table.query(query.limit(page.limit).start(page.start.clone())).await?;
        let keys: Vec<Key> = entry.lots.iter().map(|a| lot_key(&book.pk, a.lot)).collect();
        let mut lots: Vec<Lot> = self.table.get_many(&keys).await?;
        lots.sort_by_key(|lot| lot.id);
        let at = now();
        let lots = lots.iter().map(|lot| lot.at(at)).collect();
        Ok(Found {
            items: vec![Trail { entry, lots, entries: same.items, next_cursor: None }],
            next: same.next,
        })
    }

    /// Chooses lots for `amount`; [`Error::Insufficient`] says what is missing.
    pub async fn plan(&self, book: &Book, amount: u64) -> Result<Plan, Error> {
        let Seen { stored, standing } = self.see(book).await?;
        let available = u64::try_from(standing.balance.available).unwrap_or(0);
        let short = Error::Insufficient { required: amount, available };
        // Lots may have what another lot owes: the balance decides.
        let lots = allocate(&standing.lots, amount).filter(|_| amount <= available).ok_or(short)?;
        if lots.len() > MAX_LOTS {
            let cause = format!("{} lots for one debit", lots.len());
            return Err(aws::Error::Refused { service: "billing", operation: "plan", cause }.into());
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

    /// A lot as its item says.
    pub async fn lot(&self, book: &Book, lot: LotId) -> Result<Option<Lot>, Error> {
        Ok(self.table.get(&lot_key(&book.pk, lot)).await?)
    }

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
    fn enter_moves(&self, transaction: &mut Transaction, pk: &str, before: &Lot, after: &Lot) {
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
    fn taken(&self) -> i64 {
        signed(self.refund.taken) + signed(self.chargeback.taken)
    }
}

impl Balance {
    /// The balance after a lot's change by claims and expiry.
    fn moved(self, before: &Lot, after: &Lot) -> Self {
        let add = |account: u64, by: i64| account.saturating_add_signed(by);
        Self {
            available: self.available + after.remaining - before.remaining,
            clawed: add(self.clawed, after.taken() - before.taken()),
            expired: add(self.expired, signed(after.expired) - signed(before.expired)),
            ..self
        }
    }
}
