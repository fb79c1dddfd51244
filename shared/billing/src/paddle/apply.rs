//! The processor: one call merged into what is known of its transaction, and the difference entered into the ledger, in one
//! transaction with the call's outcome.

use aws::{Clients, CommitError, Cond, Deps, Key, Table, Transaction};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use piecework_core::{Settings, settings::SettingError};
use serde::{Deserialize, Serialize};

use super::{
    deal::{Adjustment, Deal, Granted, Sale},
    event::{self, AdjustmentEntity, Event},
    prices::Prices,
};
use crate::{
    Billing, Book, CREDITS_LABEL, Error, Grant, GrantSource,
    inbound::{Inbound, InboundCall, InboundMessage, Outcome},
};

/// How long a transaction is remembered of which nobody says that it was completed.
const UNPAID: SignedDuration = SignedDuration::from_hours(90 * 24);

/// What is known of Paddle's transactions.
#[derive(Clone)]
pub struct Paddle {
    pub(super) billing: Billing,
    pub(super) inbound: Inbound,
    prices: Prices,
}

impl Deps for Paddle {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        Ok(Self {
            billing: Billing::new(settings, clients)?,
            inbound: Inbound::new(settings, clients)?,
            prices: Prices::new(settings)?,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct Item {
    pk: String,
    sk: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    #[serde(flatten)]
    deal: Deal,
}

/// Where what is known of a transaction is kept.
pub(crate) fn deal_key(transaction: &str) -> Key {
    Key::new(format!("PADDLE#{transaction}"), "DEAL")
}

/// Reads what is known of a transaction.
pub(super) async fn known(table: &Table, transaction: &str) -> Result<Option<Deal>, aws::Error> {
    table.get(&deal_key(transaction)).await
}

/// Adds what is known of a transaction. The action `deal` is refused if it changed since it was read at `version`.
pub(super) fn keep_in(transaction: &mut Transaction, table: &Table, mut deal: Deal) {
    let same = match deal.version {
        0 => Cond::Absent("pk"),
        version => Cond::eq("version", version),
    };
    deal.version += 1;
    let Key { pk, sk } = deal_key(&deal.transaction);
    // A checkout that nobody pays is forgotten, and with it who began it.
    let expires_at = deal.sale.is_none().then(|| (Timestamp::now() + UNPAID).as_second());
    transaction.put("deal", table, &Item { pk, sk, expires_at, deal }, Some(same));
}

/// An id that may be part of a key.
fn is_id(text: &str, prefix: &str) -> bool {
    let rest = text.strip_prefix(prefix).unwrap_or_default();
    (1..=60).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// What a call says, read.
enum Said {
    Sale(Box<event::Transaction>),
    Adjustment { id: String, transaction: String, said: Adjustment },
    Nothing(Outcome),
}

impl Said {
    fn transaction(&self) -> &str {
        match self {
            Self::Sale(transaction) => &transaction.id,
            Self::Adjustment { transaction, .. } => transaction,
            Self::Nothing(_) => "",
        }
    }
}

fn read(event: &Event<'_>) -> Said {
    let unreadable = || Said::Nothing(Outcome::failed("its entity cannot be read"));
    match event.event_type.as_str() {
        "transaction.completed" => match serde_json::from_str::<event::Transaction>(event.data.get()) {
            Ok(t) if t.origin.as_deref() == Some("subscription_payment_method_change") => {
                Said::Nothing(Outcome::ignored("only the way of paying changed"))
            }
            Ok(t) if is_id(&t.id, "txn_") => Said::Sale(Box::new(t)),
            _ => unreadable(),
        },
        "adjustment.created" | "adjustment.updated" => {
            let entity: AdjustmentEntity = match serde_json::from_str(event.data.get()) {
                Ok(entity) => entity,
                Err(_) => return unreadable(),
            };
            if !(is_id(&entity.id, "adj_") && is_id(&entity.transaction_id, "txn_")) {
                return unreadable();
            }
            match Adjustment::read(&entity, event.occurred_at, &event.event_id) {
                None => {
                    if entity.action == "chargeback_warning" {
                        tracing::warn!(adjustment = entity.id, "a chargeback is announced");
                    }
                    Said::Nothing(Outcome::ignored(format!("a {} moves no credits", plain(&entity.action))))
                }
                Some(Err(unfit)) => Said::Nothing(Outcome::failed(unfit)),
                Some(Ok(said)) => {
                    Said::Adjustment { id: entity.id, transaction: entity.transaction_id, said }
                }
            }
        }
        _ => Said::Nothing(Outcome::ignored("events of this type move no credits")),
    }
}

/// An adjustment that takes nothing, whether it came before its transaction or after.
fn foreign() -> Outcome {
    Outcome::failed("it is in another currency than the transaction")
}

/// A word of Paddle's as far as it can be shown.
fn plain(word: &str) -> String {
    word.chars().filter(|c| c.is_ascii_lowercase() || *c == '_').take(40).collect()
}

impl Paddle {
    /// Acts on a call. Acting on it again changes nothing.
    pub async fn apply(&self, message: InboundMessage) -> Result<(), Error> {
        let Some((call, body)) = self.inbound.get(message.call).await? else {
            tracing::warn!(id = %message.call, "the call is no longer kept");
            return Ok(());
        };
        if !call.status.accepted() {
            return Ok(());
        }
        let outcome = self.act(&call, &body).await?;
        match &outcome.reason {
            Some(reason) if outcome.status == crate::inbound::Status::Failed => {
                tracing::error!(id = %call.id, event_type = call.event_type, reason, "a call of Paddle's failed");
            }
            reason => tracing::info!(id = %call.id, outcome = outcome.status.name(), reason, "done"),
        }
        Ok(())
    }

    async fn act(&self, call: &InboundCall, body: &Bytes) -> Result<Outcome, Error> {
        let said = match serde_json::from_slice::<Event<'_>>(body) {
            Ok(event) => read(&event),
            Err(_) => Said::Nothing(Outcome::failed("the event cannot be read")),
        };
        if let Said::Nothing(outcome) = said {
            self.inbound.settle(call, &outcome).await?;
            return Ok(outcome);
        }
        let event: Event<'_> = serde_json::from_slice(body).map_err(|e| aws::Error::Shape(e.to_string()))?;
        for _ in 0..aws::RACES {
            match self.merge(call, &event, &said).await {
                Ok(outcome) => return Ok(outcome),
                Err(CommitError::Refused { label: "grant" | "deal" | CREDITS_LABEL, .. }) => {}
                // Nobody whom the ledger knows: the sale is not kept, so that it can be replayed once they are.
                Err(CommitError::Refused { label: "owner", .. }) => {
                    let outcome = Outcome::failed("its custom data names a workspace that is not known");
                    self.inbound.settle(call, &outcome).await?;
                    return Ok(outcome);
                }
                Err(error) => return Err(aws::Error::from(error).into()),
            }
        }
        Err(aws::Error::races("billing").into())
    }

    /// Merges what was said, and enters the difference.
    async fn merge(
        &self,
        call: &InboundCall,
        event: &Event<'_>,
        said: &Said,
    ) -> Result<Outcome, CommitError> {
        let table = &self.billing.table;
        let before = known(table, said.transaction()).await?;
        let mut deal = before.clone().unwrap_or_else(|| Deal::new(said.transaction().to_owned()));
        let mut outcome = Outcome::applied();
        match said {
            Said::Sale(_) if deal.sale.is_some() => {}
            Said::Sale(transaction) => {
                let transaction = event::Transaction::clone(transaction);
                match Sale::read(transaction, deal.owner, &self.prices, event.occurred_at) {
                    Ok(sale) => deal.merge_sale(sale),
                    Err(unfit) => {
                        let outcome = Outcome::failed(unfit);
                        self.inbound.settle(call, &outcome).await.map_err(aws_error)?;
                        return Ok(outcome);
                    }
                }
            }
            Said::Adjustment { id, said, .. } => {
                deal.merge_adjustment(id, said.clone());
                if !said.effective {
                    outcome = Outcome::ignored("a refund takes credits once it is approved");
                } else if deal.sale.is_none() {
                    deal.park(call.id);
                    outcome = Outcome::parked("the transaction is not known yet");
                } else if !deal.in_its_currency(said) {
                    outcome = foreign();
                }
            }
            Said::Nothing(_) => {}
        }
        let freed = if deal.sale.is_some() { std::mem::take(&mut deal.parked) } else { Default::default() };
        let merged = deal.clone();
        let mut transaction = Transaction::new();
        // What is known of the transaction and what the ledger says of it change together, under one version. Who has nothing new to
        // say enters nothing: others may have said more since this was read, and it would take their effect back.
        if before.as_ref() != Some(&deal) {
            self.enter_in(&mut transaction, &mut deal).await?;
            keep_in(&mut transaction, table, deal);
        }
        for parked in freed.iter().filter_map(|id| id.parse().ok()).filter(|id| *id != call.id).take(20) {
            if let Some((parked, body)) = self.inbound.get(parked).await.map_err(aws_error)? {
                let outcome = match serde_json::from_slice::<Event<'_>>(&body).as_ref().map(read) {
                    Ok(Said::Adjustment { said, .. }) if !merged.in_its_currency(&said) => foreign(),
                    _ => Outcome::applied(),
                };
                self.inbound.settle_in(&mut transaction, &parked, &outcome);
            }
        }
        self.inbound.settle_in(&mut transaction, call, &outcome);
        transaction.commit().await?;
        Ok(outcome)
    }

    /// Adds the grant, if there is none yet, or what is asked back beyond what the lot has lost already.
    async fn enter_in(&self, transaction: &mut Transaction, deal: &mut Deal) -> Result<(), CommitError> {
        let Some(sale) = &deal.sale else { return Ok(()) };
        let asked = deal.asked();
        let book = Book::credits(sale.owner.workspace);
        match deal.granted {
            None => {
                let mut grant = Grant::new(GrantSource::Purchase, &deal.transaction, sale.credits())
                    .named(Some(sale.name.clone()))
                    .expiring(sale.expires_at)
                    .claimed(asked);
                // A checkout of ours was asked for by somebody whom we know.
                if deal.owner.is_none() {
                    grant = grant.known_only();
                }
                let lot = self.billing.grant_in(transaction, &book, &grant);
                deal.granted = Some(Granted { lot, workspace: sale.owner.workspace });
            }
            Some(Granted { lot, .. }) => {
                if let Some(lot) = self.billing.lot(&book, lot).await.map_err(aws_error)? {
                    self.billing.claw_in(transaction, &book, &lot, asked).map_err(aws_error)?;
                }
            }
        }
        Ok(())
    }
}

/// Reads fail by the store alone.
fn aws_error(error: Error) -> CommitError {
    CommitError::Aws(match error {
        Error::Aws(error) => error,
        other => aws::Error::Shape(other.to_string()),
    })
}
