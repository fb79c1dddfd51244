//! A payer's bank takes a payment back, or gives it again: PayFast sends nothing for that, so an administrator says it (S6).

use aws::{Clients, CommitError, Deps, Transaction, idempotency};
use piecework_core::{
    Fault, Kind, Problem, Settings, UserId,
    idempotency::{Reply, Request},
    settings::SettingError,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Payment, PaymentId, PaymentState,
    payment::Record,
    store::{Payments, event},
};
use crate::{Billing, Book, CREDITS_LABEL, Clawback, Error};

/// Takes payments out of wallets again, and gives them back.
#[derive(Clone)]
pub struct Chargebacks {
    payments: Payments,
    billing: Billing,
}

impl Deps for Chargebacks {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        Ok(Self { payments: Payments::new(settings, clients)?, billing: Billing::new(settings, clients)? })
    }
}

/// Why an administrator does it: kept with the event.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChargebackNote {
    /// A sentence or a case number, without personal data.
    #[schema(min_length = 1, max_length = 200, example = "case 4711 of the bank")]
    pub reason: String,
}

/// What is done to a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The bank took it back.
    Chargeback,
    /// The bank gave it again.
    Reversal,
}

impl Claim {
    /// The state that a payment must be in for it, and what its event is called.
    fn terms(self) -> (PaymentState, &'static str) {
        match self {
            Self::Chargeback => (PaymentState::Complete, "charged_back"),
            Self::Reversal => (PaymentState::ChargedBack, "chargeback_reversed"),
        }
    }
}

/// A payment after its chargeback or the reversal of it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Claimed {
    /// The payment.
    pub payment: Payment,
    /// How much of it is taken back by now, in cents.
    pub taken_back: u64,
    /// How much of that was spent before, in cents: the wallet owes it, and pays for nothing until it has it.
    pub owed: u64,
}

impl Chargebacks {
    /// Takes a payment out of its wallet again, all of it and below zero if need be, or gives it back.
    pub async fn claim(
        &self,
        id: PaymentId,
        claim: Claim,
        note: &ChargebackNote,
        actor: UserId,
        request: Option<&Request>,
    ) -> Result<Reply, Problem> {
        let effect = self.claim_once(id, claim, note, actor, request);
        idempotency::once(&self.payments.table, request, effect).await
    }

    async fn claim_once(
        &self,
        id: PaymentId,
        claim: Claim,
        note: &ChargebackNote,
        actor: UserId,
        request: Option<&Request>,
    ) -> Result<Reply, Problem> {
        let fine =
            (1..=200).contains(&note.reason.chars().count()) && !note.reason.chars().any(char::is_control);
        if !fine {
            let detail = "must be 1 to 200 characters, none of them a control character";
            return Err(Problem::new(Kind::InvalidBody).fault(Fault::body("/reason", detail)));
        }
        let (wanted, what) = claim.terms();
        for _ in 0..aws::RACES {
            let record = self.payments.find(id).await?.ok_or(Error::NoSuchPayment)?;
            let state = record.state();
            let lot = match record.lot {
                Some(lot) if state == wanted => lot,
                _ => {
                    let detail = format!("The payment is {}.", state.name());
                    return Err(Problem::new(Kind::WrongState).detail(detail).with("state", state.name()));
                }
            };
            let book = Book::wallet(record.user, record.currency, record.workspace);
            let lot = self.billing.lot(&book, lot).await?;
            let lot = lot.ok_or_else(|| aws::Error::Shape("a payment whose lot is gone".to_owned()))?;
            let charged_back = claim == Claim::Chargeback;
            let asked = Clawback { refund: 0, chargeback: if charged_back { record.amount } else { 0 } };
            let next = Record { charged_back, version: record.version + 1, ..record };
            let mut transaction = Transaction::new();
            let after = self.billing.claw_in(&mut transaction, &book, &lot, asked)?;
            let claimed = Claimed {
                payment: next.view(),
                taken_back: after.chargeback.taken,
                owed: after.remaining.min(0).unsigned_abs(),
            };
            let body = serde_json::to_string(&claimed).map_err(Problem::internal)?;
            let reply = Reply { status: 200, location: None, body };
            let mut event = event(&next, what).by(actor);
            event.data["reason"] = note.reason.as_str().into();
            event.data["owed"] = claimed.owed.into();
            self.payments.replace_in(&mut transaction, &next);
            self.payments.tell_in(&mut transaction, &next, &event);
            if let Some(request) = request {
                idempotency::complete_in(&mut transaction, &self.payments.table, request, &reply);
            }
            match transaction.commit().await {
                Ok(()) => {
                    tracing::warn!(payment = %id, what, taken_back = claimed.taken_back, owed = claimed.owed, "claimed");
                    return Ok(reply);
                }
                Err(CommitError::Refused { label: "payment" | CREDITS_LABEL, .. }) => {}
                Err(error) => return Err(aws::Error::from(error).into()),
            }
        }
        Err(aws::Error::races("billing").into())
    }
}
