//! The ledger in DynamoDB. A book's partition (`WSP#<workspace>` for credits, `WALLET#<user>#<currency>` for money):
//! `BOOK#BALANCE`, `BOOK#LOT#<lot>`, `HOLD#<reference>`, `ENTRY#<entry>`, `REFUNDED#<entry>`; and `GRANT#<source>#<source id>`,
//! the lock that makes a grant happen once.

use aws::{Clients, CommitError, Cond, Deps, Found, Key, Query, Table, Transaction, Update};
use jiff::Timestamp;
use piecework_core::{
    DomainEvent, PageRequest, Settings, WorkspaceId, now, settings::SettingError, sortable,
};
use serde::{Deserialize, Serialize};

use crate::{
    Allocation, Balance, Book, Credits, Entry, EntryId, EntryKind, Error, Grant, GrantSource, Lot, LotId,
    Standing, Trail, ledger::Claim, paddle::Purchase, rules::signed,
};

/// Credits that a new user starts with.
pub const SIGNUP_GRANT: u64 = 10_000;
/// The label of every action here whose refusal means that the book moved in between: look and plan again.
pub const CREDITS_LABEL: &str = "credits";
/// Below this the low-credit flag is up.
const LOW_BELOW: u64 = 1_000;
/// The index partition of the lots that the sweep is to look at, by when.
pub(crate) const SWEPT: &str = "LOTS";

/// The ledger.
#[derive(Clone)]
pub struct Billing {
    pub(crate) table: Table,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Stored<T> {
    pub pk: String,
    pub sk: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gsi1pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gsi1sk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gsi2pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gsi2sk: Option<String>,
    #[serde(flatten)]
    pub record: T,
}

pub(crate) fn stored<T>(Key { pk, sk }: Key, record: T) -> Stored<T> {
    Stored { pk, sk, gsi1pk: None, gsi1sk: None, gsi2pk: None, gsi2sk: None, record }
}

pub(crate) fn balance_key(pk: &str) -> Key {
    Key::new(pk, "BOOK#BALANCE")
}

pub(crate) fn lot_key(pk: &str, lot: LotId) -> Key {
    Key::new(pk, format!("BOOK#LOT#{lot}"))
}

pub(crate) fn hold_key(pk: &str, reference: &str) -> Key {
    Key::new(pk, format!("HOLD#{reference}"))
}

fn entry_key(pk: &str, entry: EntryId) -> Key {
    Key::new(pk, format!("ENTRY#{entry}"))
}

pub(crate) fn refunded_key(pk: &str, entry: EntryId) -> Key {
    Key::new(pk, format!("REFUNDED#{entry}"))
}

/// The index partition of the entries with a reference.
fn referred(pk: &str, reference: &str) -> String {
    format!("{pk}#REF#{reference}")
}

pub(crate) fn look(at: Timestamp, lot: LotId) -> String {
    format!("{}#{lot}", sortable(at))
}

impl Deps for Billing {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        Ok(Self { table: Table::new(clients, settings.required("BILLING_TABLE")?) })
    }
}

/// Balance and lots as their items say, and as they are by now.
pub(crate) struct Seen {
    pub stored: Vec<Lot>,
    pub standing: Standing,
}

impl Billing {
    pub(crate) fn enter(
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
        if lot.source == GrantSource::Purchase {
            item.gsi2pk = Some(format!("{}#PURCHASES", book.pk));
            item.gsi2sk = Some(lot.id.to_string());
        }
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
    pub(crate) fn tell_in(
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

    pub(crate) async fn see(&self, book: &Book) -> Result<Seen, Error> {
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

    /// The purchases of a workspace, newest first. They are lots, and stand among them.
    pub async fn purchases(
        &self,
        workspace: WorkspaceId,
        page: &PageRequest,
    ) -> Result<Found<Purchase>, Error> {
        let Book { pk, .. } = Book::credits(workspace);
        let query = Query::index("gsi2", format!("{pk}#PURCHASES")).newest_first();
        let found: Found<Lot> = self.table.query(query.limit(page.limit).start(page.start.clone())).await?;
        let at = now();
        let items = found.items.iter().filter_map(|lot| Purchase::of(lot.at(at))).collect();
        Ok(Found { items, next: found.next })
    }

    /// Entries of a book, newest first.
    pub async fn history(&self, book: &Book, page: &PageRequest) -> Result<Found<Entry>, Error> {
        let query = Query::partition(&book.pk).prefix("ENTRY#").newest_first();
        Ok(self.table.query(query.limit(page.limit).start(page.start.clone())).await?)
    }

    /// An entry with its lots and a page of the entries that have its reference: a get, a batch of gets and a query.
    pub async fn trail(
        &self,
        book: &Book,
        id: EntryId,
        page: &PageRequest,
    ) -> Result<(Trail, Found<Entry>), Error> {
        let entry: Entry = self.table.get(&entry_key(&book.pk, id)).await?.ok_or(Error::NoSuchEntry)?;
        let query = Query::index("gsi1", referred(&book.pk, &entry.reference));
        let same: Found<Entry> = self.table.query(query.limit(page.limit).start(page.start.clone())).await?;
        let keys: Vec<Key> = entry.lots.iter().map(|a| lot_key(&book.pk, a.lot)).collect();
        let mut lots: Vec<Lot> = self.table.get_many(&keys).await?;
        lots.sort_by_key(|lot| lot.id);
        let at = now();
        let lots = lots.iter().map(|lot| lot.at(at)).collect();
        Ok((Trail { entry, lots, entries: Vec::new(), next_cursor: None }, same))
    }

    /// A lot as its item says.
    pub async fn lot(&self, book: &Book, lot: LotId) -> Result<Option<Lot>, Error> {
        Ok(self.table.get(&lot_key(&book.pk, lot)).await?)
    }
}
