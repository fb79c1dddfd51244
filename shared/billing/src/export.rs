//! What an export of a user's data has of a workspace's ledger (P19).

use archive::{Exports, Order, Part, csv_line};
use aws::{Clients, Deps, Query, Transaction};
use piecework_core::{Currency, Settings, WorkspaceId, settings::SettingError};

use crate::{
    Billing, Book, Entry, Error,
    payfast::{Record, payments_of},
};

/// Entries read at once.
const AT_ONCE: u32 = 200;

/// Exports ledgers.
#[derive(Clone)]
pub struct LedgerExport {
    billing: Billing,
    exports: Exports,
}

impl Deps for LedgerExport {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        Ok(Self { billing: Billing::new(settings, clients)?, exports: Exports::new(settings, clients)? })
    }
}

/// How the entries are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Csv,
}

impl LedgerExport {
    /// Writes balance, grants and entries, and says that it is done. A repeat says it again.
    pub async fn run(&self, order: &Order) -> Result<(), Error> {
        let workspace = order.workspace;
        if let Some(mut part) = self.exports.part(order, &format!("billing/{workspace}")).await? {
            let folder = format!("billing/{workspace}");
            part.json(&format!("{folder}/credits.json"), &self.billing.credits(workspace).await?).await?;
            part.begin_rows(&format!("{folder}/ledger.json")).await?;
            self.entries(&mut part, workspace, Form::Json).await?;
            part.end_rows().await?;
            part.begin(&format!("{folder}/ledger.csv")).await?;
            let header = ["id", "at", "kind", "from", "to", "amount", "reference"];
            part.write(csv_line(&header).as_bytes()).await?;
            self.entries(&mut part, workspace, Form::Csv).await?;
            let wallet = Book::wallet(order.user, Currency::ZAR, workspace);
            part.json(&format!("{folder}/wallet.json"), &self.billing.standing(&wallet).await?).await?;
            part.begin_rows(&format!("{folder}/payments.json")).await?;
            let mut start = None;
            loop {
                let listed = Query::index("gsi1", payments_of(order.user)).limit(AT_ONCE).start(start);
                let page = self.billing.table.query::<Record>(listed).await?;
                for payment in &page.items {
                    part.row(&payment.view()).await?;
                }
                start = page.next;
                if start.is_none() {
                    break;
                }
            }
            part.end_rows().await?;
            part.finish().await?;
        }
        let mut transaction = Transaction::new();
        let event = order.written("billing", 1);
        let item = aws::passing_event_item(&Book::credits(workspace).pk, &event);
        transaction.create("event", &self.billing.table, &item);
        Ok(transaction.commit().await.map_err(aws::Error::from)?)
    }

    /// Writes the entries, oldest first.
    async fn entries(&self, part: &mut Part, workspace: WorkspaceId, form: Form) -> Result<(), Error> {
        let all = Query::partition(Book::credits(workspace).pk).prefix("ENTRY#").limit(AT_ONCE);
        let mut start = None;
        loop {
            let page = self.billing.table.query::<Entry>(all.clone().start(start)).await?;
            for entry in &page.items {
                match form {
                    Form::Json => part.row(entry).await?,
                    Form::Csv => part.write(line(entry).as_bytes()).await?,
                }
            }
            start = page.next;
            if start.is_none() {
                return Ok(());
            }
        }
    }
}

fn line(entry: &Entry) -> String {
    let kind = format!("{:?}", entry.kind).to_ascii_lowercase();
    let (id, at, amount) = (entry.id.to_string(), entry.at.to_string(), entry.amount.to_string());
    csv_line(&[&id, &at, &kind, &entry.from, &entry.to, &amount, &entry.reference])
}
