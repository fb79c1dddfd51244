//! The ledger in DynamoDB. Partition `WSP#<workspace>`: `CREDIT#BALANCE`, `CREDIT#LOT#<lot>`, `HOLD#<reference>`, `ENTRY#<entry>`;
//! and `GRANT#<source>#<source id>`, the lock that makes a grant happen once.

use std::collections::BTreeMap;

use aws::{Clients, CommitError, Cond, Deps, Found, Key, Query, Table, Transaction, Update};
use piecework_core::{DomainEvent, PageRequest, Settings, WorkspaceId, now, settings::SettingError};
use serde::{Deserialize, Serialize};

use crate::{
    Allocation, Balance, Credits, Entry, EntryKind, Error, Grant, Hold, Lot, LotId, allocate, give_back,
    ledger::EntryId,
};

/// Credits that a new user starts with.
pub const SIGNUP_GRANT: u64 = 10_000;
/// The label of every action here whose refusal means that the credits moved in between: plan again.
pub const CREDITS_LABEL: &str = "credits";
/// Below this the low-credit flag is up.
const LOW_BELOW: u64 = 1_000;
/// Lots that one hold may draw from: a transaction has a hundred actions, and others need room in it.
const MAX_LOTS: usize = 40;

/// The ledger.
#[derive(Clone)]
pub struct Billing {
    pub(crate) table: Table,
}

/// Lots chosen to cover an amount, not yet taken.
#[derive(Debug, Clone)]
pub struct Plan {
    workspace: WorkspaceId,
    credits: u64,
    lots: Vec<Allocation>,
}

#[derive(Serialize, Deserialize)]
struct Stored<T> {
    pk: String,
    sk: String,
    #[serde(flatten)]
    record: T,
}

pub(crate) fn partition(workspace: WorkspaceId) -> String {
    format!("WSP#{workspace}")
}

fn stored<T>(workspace: WorkspaceId, sk: String, record: T) -> Stored<T> {
    Stored { pk: partition(workspace), sk, record }
}

fn balance_key(workspace: WorkspaceId) -> Key {
    Key::new(partition(workspace), "CREDIT#BALANCE")
}

fn lot_key(workspace: WorkspaceId, lot: LotId) -> Key {
    Key::new(partition(workspace), format!("CREDIT#LOT#{lot}"))
}

fn hold_key(workspace: WorkspaceId, reference: &str) -> Key {
    Key::new(partition(workspace), format!("HOLD#{reference}"))
}

fn signed(credits: u64) -> i64 {
    i64::try_from(credits).unwrap_or(i64::MAX)
}

impl Deps for Billing {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        Ok(Self { table: Table::new(clients, settings.required("BILLING_TABLE")?) })
    }
}

impl Billing {
    fn enter(
        &self,
        transaction: &mut Transaction,
        workspace: WorkspaceId,
        kind: EntryKind,
        credits: u64,
        reference: &str,
        lots: Vec<Allocation>,
    ) {
        let (from, to) = kind.accounts();
        let entry = Entry {
            id: EntryId::new(),
            kind,
            from: from.to_owned(),
            to: to.to_owned(),
            credits,
            reference: reference.to_owned(),
            lots,
            at: now(),
        };
        transaction.create("entry", &self.table, &stored(workspace, format!("ENTRY#{}", entry.id), &entry));
    }

    /// Adds a grant. The action `grant` is refused if this source id has had its grant.
    pub fn grant_in(&self, transaction: &mut Transaction, workspace: WorkspaceId, grant: &Grant) {
        let lot = Lot {
            id: LotId::new(),
            source: grant.source,
            source_id: grant.source_id.clone(),
            credits: grant.credits,
            remaining: grant.credits,
            granted_at: now(),
        };
        #[derive(Serialize)]
        struct Lock {
            pk: String,
            sk: &'static str,
            workspace: WorkspaceId,
            lot: LotId,
        }
        let pk = format!("GRANT#{}#{}", grant.source.name(), grant.source_id);
        transaction.create("grant", &self.table, &Lock { pk, sk: "GRANT", workspace, lot: lot.id });
        let Key { pk, sk } = lot_key(workspace, lot.id);
        transaction.create("lot", &self.table, &Stored { pk, sk, record: &lot });
        let update = Update::at(balance_key(workspace))
            .add("granted", signed(grant.credits))
            .add("available", signed(grant.credits));
        transaction.update("balance", &self.table, update);
        let lots = vec![Allocation { lot: lot.id, credits: grant.credits }];
        self.enter(transaction, workspace, EntryKind::Grant, grant.credits, &grant.source_id, lots);
        let event = DomainEvent::new(
            "billing.credits.granted",
            workspace,
            lot.id,
            serde_json::json!({ "source": grant.source, "credits": grant.credits }),
        );
        transaction.create("event", &self.table, &aws::event_item(&partition(workspace), &event));
    }

    /// Grants credits in a transaction of its own; `false` if this source id has had its grant.
    pub async fn grant(&self, workspace: WorkspaceId, grant: &Grant) -> Result<bool, Error> {
        let mut transaction = Transaction::new();
        self.grant_in(&mut transaction, workspace, grant);
        match transaction.commit().await {
            Ok(()) => Ok(true),
            Err(CommitError::Refused { label: "grant", .. }) => Ok(false),
            Err(error) => Err(aws::Error::from(error).into()),
        }
    }

    /// Balance and grants, in one query.
    pub async fn credits(&self, workspace: WorkspaceId) -> Result<Credits, Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Row {
            Lot(Lot),
            Balance(Balance),
        }
        let rows = self.table.query::<Row>(Query::partition(partition(workspace)).prefix("CREDIT#")).await?;
        let mut balance = Balance::default();
        let mut grants = Vec::new();
        for row in rows.items {
            match row {
                Row::Lot(lot) => grants.push(lot),
                Row::Balance(b) => balance = b,
            }
        }
        Ok(Credits { balance, low: balance.available < LOW_BELOW, low_below: LOW_BELOW, grants })
    }

    /// Entries, newest first.
    pub async fn history(&self, workspace: WorkspaceId, page: &PageRequest) -> Result<Found<Entry>, Error> {
        let query = Query::partition(partition(workspace)).prefix("ENTRY#").newest_first();
        Ok(self.table.query(query.limit(page.limit).start(page.start.clone())).await?)
    }

    /// Chooses lots for `credits`; [`Error::Insufficient`] says what is missing.
    pub async fn plan(&self, workspace: WorkspaceId, credits: u64) -> Result<Plan, Error> {
        let now = self.credits(workspace).await?;
        let short = Error::Insufficient { required: credits, available: now.balance.available };
        let lots = allocate(&now.grants, credits).ok_or(short)?;
        if lots.len() > MAX_LOTS {
            let cause = format!("{} lots for one hold", lots.len());
            return Err(aws::Error::Refused { service: "billing", operation: "plan", cause }.into());
        }
        Ok(Plan { workspace, credits, lots })
    }

    fn take_in(&self, transaction: &mut Transaction, plan: &Plan, to: &'static str) {
        for a in &plan.lots {
            let update = Update::at(lot_key(plan.workspace, a.lot))
                .add("remaining", -signed(a.credits))
                .when(Cond::is("remaining", ">=", a.credits));
            transaction.update(CREDITS_LABEL, &self.table, update);
        }
        let update = Update::at(balance_key(plan.workspace))
            .add("available", -signed(plan.credits))
            .add(to, signed(plan.credits))
            .when(Cond::is("available", ">=", plan.credits));
        transaction.update(CREDITS_LABEL, &self.table, update);
    }

    /// Adds a hold of the planned credits. Actions labelled [`CREDITS_LABEL`] are refused if the lots moved since: plan again.
    pub fn hold_in(&self, transaction: &mut Transaction, plan: &Plan, reference: &str) {
        if plan.credits == 0 {
            return;
        }
        self.take_in(transaction, plan, "held");
        let hold = Hold {
            reference: reference.to_owned(),
            credits: plan.credits,
            lots: plan.lots.clone(),
            settled: None,
        };
        let Key { pk, sk } = hold_key(plan.workspace, reference);
        transaction.create("hold", &self.table, &Stored { pk, sk, record: &hold });
        self.enter(transaction, plan.workspace, EntryKind::Hold, plan.credits, reference, plan.lots.clone());
    }

    /// Adds a charge of the planned credits for work done at once.
    pub fn charge_in(&self, transaction: &mut Transaction, plan: &Plan, reference: &str) {
        if plan.credits == 0 {
            return;
        }
        self.take_in(transaction, plan, "spent");
        self.enter(
            transaction,
            plan.workspace,
            EntryKind::Charge,
            plan.credits,
            reference,
            plan.lots.clone(),
        );
    }

    /// The hold for `reference`, settled or not.
    pub async fn hold(&self, workspace: WorkspaceId, reference: &str) -> Result<Option<Hold>, Error> {
        Ok(self.table.get(&hold_key(workspace, reference)).await?)
    }

    /// Adds the end of a hold: `charge` of it is spent, the rest goes back to the lots that it came from. The action `settle`
    /// is refused if the hold has been settled.
    pub fn settle_in(&self, transaction: &mut Transaction, workspace: WorkspaceId, hold: &Hold, charge: u64) {
        let charge = charge.min(hold.credits);
        let refund = hold.credits - charge;
        let update = Update::at(hold_key(workspace, &hold.reference))
            .set("settled", charge)
            .when(Cond::Absent("settled"));
        transaction.update("settle", &self.table, update.when(Cond::Present("pk")));
        let update = Update::at(balance_key(workspace))
            .add("held", -signed(hold.credits))
            .add("spent", signed(charge))
            .add("available", signed(refund));
        transaction.update("balance", &self.table, update);
        let back = give_back(&hold.lots, charge);
        for a in &back {
            let update = Update::at(lot_key(workspace, a.lot)).add("remaining", signed(a.credits));
            transaction.update("lot", &self.table, update);
        }
        if charge > 0 {
            let returned: BTreeMap<LotId, u64> = back.iter().map(|a| (a.lot, a.credits)).collect();
            let spent = hold.lots.iter().filter_map(|a| {
                let credits = a.credits - returned.get(&a.lot).copied().unwrap_or(0);
                (credits > 0).then_some(Allocation { lot: a.lot, credits })
            });
            let spent = spent.collect();
            self.enter(transaction, workspace, EntryKind::Settle, charge, &hold.reference, spent);
        }
        if refund > 0 {
            self.enter(transaction, workspace, EntryKind::Refund, refund, &hold.reference, back);
        }
    }
}
