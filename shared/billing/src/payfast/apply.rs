//! The processor: a notification that was kept is held against the payment that it is about, confirmed by PayFast's server, and
//! merged into what is known of the payment; the wallet, the payment, its event and the call's outcome are one transaction.

use std::time::Duration;

use aws::{Clients, CommitError, Deps, Outside, Transaction};
use piecework_core::{Settings, now, settings::SettingError};

use super::{
    Notice, Objection, PaymentId, Status,
    payment::{Change, Record, theirs},
    store::{Payments, Shop, event},
};
use crate::{
    Billing, Book, Error, Grant, GrantSource,
    inbound::{self, Inbound, InboundCall, InboundMessage, Outcome},
};

/// How long PayFast may take to confirm.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest confirmation that is read, octets.
const MAX_ANSWER: usize = 4_096;
/// How soon, and how late at most, a confirmation that failed is asked for again, seconds.
const WAIT: (i64, i64) = (20, 900);

/// Why a notification could not be dealt with now.
#[derive(Debug, thiserror::Error)]
pub enum Pause {
    /// PayFast did not confirm and did not refuse: ask again.
    #[error("PayFast does not say whether the notification is its own: {cause}")]
    Unconfirmed {
        /// When to ask again.
        after: Duration,
        /// What happened instead.
        cause: String,
    },
    /// The store or the ledger.
    #[error(transparent)]
    Billing(#[from] Error),
}

impl From<aws::Error> for Pause {
    fn from(error: aws::Error) -> Self {
        Self::Billing(error.into())
    }
}

/// Acts on notifications.
#[derive(Clone)]
pub struct Notices {
    payments: Payments,
    billing: Billing,
    inbound: Inbound,
    shop: Option<Shop>,
    outside: Outside,
}

impl Deps for Notices {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        Ok(Self {
            payments: Payments::new(settings, clients)?,
            billing: Billing::new(settings, clients)?,
            inbound: Inbound::new(settings, clients)?,
            shop: Shop::of(settings)?,
            outside: Outside::default(),
        })
    }
}

/// What is to be done about a notification.
enum Step {
    /// Only its outcome is to be written.
    Settle(Outcome),
    /// The payment changes, once PayFast confirms.
    Change(Change),
}

/// Holds a notification against its payment: everything but PayFast's confirmation. Pure.
fn judge(notice: &Notice, shop: &Shop, record: &Record) -> Result<Step, Objection> {
    notice.check_merchant(&shop.id)?;
    let status = notice.status();
    if status == Status::Unknown {
        return Ok(Step::Settle(Outcome::ignored("a state that is not known here")));
    }
    let theirs = theirs(notice)?;
    if status == Status::Complete {
        notice.check_amount(record.money())?;
    }
    Ok(match record.hearing(theirs, status, now()) {
        Change::None => Step::Settle(told(record, theirs, status)),
        change => Step::Change(change),
    })
}

/// The outcome of a notification that has been merged: the same whenever it is asked.
fn told(record: &Record, theirs: &str, status: Status) -> Outcome {
    match record.credited.as_deref() {
        Some(first) if status == Status::Complete && first != theirs => {
            Outcome::failed("the payment was paid before, under another id of PayFast's")
        }
        _ => Outcome::applied(),
    }
}

impl Notices {
    /// Acts on a call. Acting on it again changes nothing.
    pub async fn apply(&self, message: InboundMessage) -> Result<(), Pause> {
        let Some((call, body)) = self.inbound.get(message.call).await? else {
            tracing::warn!(id = %message.call, "the call is no longer kept");
            return Ok(());
        };
        if !call.status.accepted() {
            return Ok(());
        }
        let outcome = self.act(&call, &body).await?;
        match &outcome.reason {
            Some(reason) if outcome.status == inbound::Status::Failed => {
                tracing::error!(id = %call.id, event_type = call.event_type, reason, "a notification of PayFast's failed");
            }
            reason => tracing::info!(id = %call.id, outcome = outcome.status.name(), reason, "done"),
        }
        Ok(())
    }

    async fn act(&self, call: &InboundCall, body: &[u8]) -> Result<Outcome, Pause> {
        let settle = async |outcome: Outcome| {
            self.inbound.settle(call, &outcome).await?;
            Ok(outcome)
        };
        let Some(shop) = &self.shop else {
            return settle(Outcome::failed("PayFast is not switched on")).await;
        };
        let Ok(notice) = Notice::parse(body) else {
            return settle(Outcome::failed("it cannot be read")).await;
        };
        let id: Option<PaymentId> = notice.payment().and_then(|id| id.parse().ok());
        let mut confirmed = false;
        for _ in 0..aws::RACES {
            let record = match id {
                Some(id) => self.payments.find(id).await?,
                None => None,
            };
            let Some(record) = record else {
                return settle(Outcome::failed("there is no such payment")).await;
            };
            let change = match judge(&notice, shop, &record) {
                Ok(Step::Change(change)) => change,
                Ok(Step::Settle(outcome)) => return settle(outcome).await,
                Err(objection) => return settle(Outcome::failed(objection)).await,
            };
            if !confirmed && !self.confirm(shop, &notice, call).await? {
                return settle(Outcome::failed("PayFast says that it is not its own")).await;
            }
            confirmed = true;
            match self.write(call, change).await {
                Ok(outcome) => return Ok(outcome),
                // Another notification of the same payment was faster: look again.
                Err(CommitError::Refused { label: "grant" | "payment", .. }) => {}
                Err(error) => return Err(aws::Error::from(error).into()),
            }
        }
        Err(aws::Error::races("billing").into())
    }

    /// Asks PayFast's server whether the notification is its own, with the parameters as they were signed.
    async fn confirm(&self, shop: &Shop, notice: &Notice, call: &InboundCall) -> Result<bool, Pause> {
        let url = format!("{}/eng/query/validate", shop.url);
        let headers = [("content-type", "application/x-www-form-urlencoded".to_owned())];
        let asked = self.outside.post(&url, &headers, notice.parameters(), PATIENCE, MAX_ANSWER).await;
        let cause = match asked {
            Ok(got) => match got.body.trim_ascii() {
                b"VALID" => return Ok(true),
                b"INVALID" => return Ok(false),
                _ => "the answer is neither VALID nor INVALID".to_owned(),
            },
            Err(error) => error.to_string(),
        };
        // Four times as late each time: after five tries, half an hour later, the queue gives up.
        let age = now().as_second() - call.received_at.as_second();
        let after = age.saturating_mul(3).clamp(WAIT.0, WAIT.1);
        Err(Pause::Unconfirmed { after: Duration::from_secs(after.unsigned_abs()), cause })
    }

    async fn write(&self, call: &InboundCall, change: Change) -> Result<Outcome, CommitError> {
        let mut transaction = Transaction::new();
        let (record, what, outcome) = match change {
            Change::None => return Ok(Outcome::applied()),
            Change::Heard(record) => {
                let what = record.state().name();
                (record, what, Outcome::applied())
            }
            Change::Again(record) => {
                let why = "the payment was paid before, under another id of PayFast's";
                (record, "paid_again", Outcome::failed(why))
            }
            Change::Paid(mut record) => {
                let book = Book::wallet(record.user, record.currency, record.workspace);
                let grant = Grant::new(GrantSource::TopUp, record.id, record.amount);
                record.lot = Some(self.billing.grant_in(&mut transaction, &book, &grant));
                (record, "completed", Outcome::applied())
            }
        };
        self.payments.replace_in(&mut transaction, &record);
        self.payments.tell_in(&mut transaction, &record, &event(&record, what));
        self.inbound.settle_in(&mut transaction, call, &outcome);
        transaction.commit().await?;
        Ok(outcome)
    }
}
