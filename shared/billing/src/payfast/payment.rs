//! A payment: what was asked, what was heard of it, and what follows. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use piecework_core::{Currency, Money, UserId, WorkspaceId, typed_id};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Objection, Status};
use crate::LotId;

typed_id!(PaymentId, "pay", "A payment into a wallet.");

/// What PayFast takes at least, in cents of rand.
pub const LEAST: u64 = 500;
/// What one payment may be at most, in cents of rand: a larger one is more likely a slip than a wish.
pub const MOST: u64 = 5_000_000;

/// How far a payment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentState {
    /// Begun, and not yet paid as far as is known.
    Pending,
    /// Called off at PayFast.
    Cancelled,
    /// Tried, and not paid. The buyer may try again.
    Failed,
    /// Paid, and in the wallet.
    Complete,
    /// Paid, and taken back by the buyer's bank.
    ChargedBack,
}

impl PaymentState {
    /// Its name in the API, and in the kind of the event that tells of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Complete => "complete",
            Self::ChargedBack => "charged_back",
        }
    }
}

/// A payment, as its payer sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Payment {
    /// Its id.
    pub id: PaymentId,
    /// How far it is.
    pub state: PaymentState,
    /// How much, in cents.
    pub amount: u64,
    /// Of which currency.
    pub currency: Currency,
    /// When it was begun.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was known to be paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub completed_at: Option<Timestamp>,
}

/// A payment as kept: `PAYMENT#<pay>`/`<usr>`, so that another's is not found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its id.
    pub id: PaymentId,
    /// Whose wallet it is for.
    pub user: UserId,
    /// Whose events tell of it.
    pub workspace: WorkspaceId,
    /// What was asked, in cents.
    pub amount: u64,
    /// Of which currency.
    pub currency: Currency,
    /// What was heard, by PayFast's id of the payment: the furthest of what came, so that neither order nor repeats count.
    #[serde(default)]
    pub heard: BTreeMap<String, Status>,
    /// The id of PayFast's that the wallet got the money for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credited: Option<String>,
    /// What the wallet got.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lot: Option<LotId>,
    /// Whether the buyer's bank took it back.
    #[serde(default)]
    pub charged_back: bool,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it was known to be paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// Rises with every change.
    pub version: u64,
}

/// What a notification changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Nothing: it was known.
    None,
    /// The payment says more than before, and moves no money.
    Heard(Record),
    /// It is paid, for the first time.
    Paid(Record),
    /// It is paid a second time, under another id of PayFast's: people must look at it, and the wallet gets nothing more.
    Again(Record),
}

impl Record {
    /// What was asked.
    pub fn money(&self) -> Money {
        Money { cents: self.amount, currency: self.currency }
    }

    /// How far it is.
    pub fn state(&self) -> PaymentState {
        match self.heard.values().max() {
            _ if self.charged_back => PaymentState::ChargedBack,
            Some(Status::Complete) => PaymentState::Complete,
            Some(Status::Failed) => PaymentState::Failed,
            Some(Status::Cancelled) => PaymentState::Cancelled,
            Some(Status::Pending | Status::Unknown) | None => PaymentState::Pending,
        }
    }

    /// PayFast's ids of what was paid: more than one is a fault for people.
    pub fn paid(&self) -> impl Iterator<Item = &str> {
        self.heard
            .iter()
            .filter(|(_, status)| **status == Status::Complete)
            .map(|(theirs, _)| theirs.as_str())
    }

    /// Its payer's view.
    pub fn view(&self) -> Payment {
        Payment {
            id: self.id,
            state: self.state(),
            amount: self.amount,
            currency: self.currency,
            created_at: self.created_at,
            completed_at: self.completed_at,
        }
    }

    /// What it is once this was heard, at this time. What is furthest counts: `COMPLETE` over `FAILED` over `CANCELLED` over
    /// `PENDING`, whichever came first.
    pub fn hearing(&self, theirs: &str, status: Status, at: Timestamp) -> Change {
        let known = self.heard.get(theirs).copied();
        if status == Status::Unknown || known.is_some_and(|known| known >= status) {
            return Change::None;
        }
        let paid = self.paid().next().is_some();
        let mut next = Self { version: self.version + 1, ..self.clone() };
        next.heard.insert(theirs.to_owned(), status);
        match (status, paid) {
            (Status::Complete, false) => {
                Change::Paid(Self { completed_at: Some(at), credited: Some(theirs.to_owned()), ..next })
            }
            (Status::Complete, true) => Change::Again(next),
            _ => Change::Heard(next),
        }
    }
}

/// Checks the bounds of an amount, in cents.
pub fn in_bounds(cents: u64) -> bool {
    (LEAST..=MOST).contains(&cents)
}

/// PayFast's id of the payment that a notification is about. Only one that says it was called off may come without.
pub fn theirs(notice: &super::Notice) -> Result<&str, Objection> {
    match notice.theirs() {
        Err(_) if notice.status() == Status::Cancelled && notice.get("pf_payment_id").is_none() => Ok("none"),
        given => given,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record() -> Record {
        Record {
            id: PaymentId::new(),
            user: UserId::new(),
            workspace: WorkspaceId::new(),
            amount: 1000,
            currency: Currency::ZAR,
            heard: BTreeMap::new(),
            credited: None,
            lot: None,
            charged_back: false,
            created_at: Timestamp::UNIX_EPOCH,
            completed_at: None,
            version: 0,
        }
    }

    /// The payment after all of these, how often it was credited, and how often people were called.
    fn after(start: &Record, heard: &[(&str, Status)]) -> (Record, usize, usize) {
        let (mut record, mut credits, mut calls) = (start.clone(), 0, 0);
        for (theirs, status) in heard {
            match record.hearing(theirs, *status, Timestamp::UNIX_EPOCH) {
                Change::None => {}
                Change::Heard(next) => record = next,
                Change::Paid(next) => (record, credits) = (next, credits + 1),
                Change::Again(next) => (record, calls) = (next, calls + 1),
            }
        }
        (record, credits, calls)
    }

    #[test]
    fn a_payment_goes_as_far_as_the_furthest_that_was_heard() {
        let state = |heard: &[(&str, Status)]| after(&record(), heard).0.state();
        assert_eq!(state(&[]), PaymentState::Pending);
        assert_eq!(state(&[("1", Status::Pending)]), PaymentState::Pending);
        assert_eq!(state(&[("1", Status::Unknown)]), PaymentState::Pending);
        assert_eq!(state(&[("1", Status::Failed), ("2", Status::Pending)]), PaymentState::Failed);
        assert_eq!(state(&[("none", Status::Cancelled)]), PaymentState::Cancelled);
        assert_eq!(state(&[("1", Status::Complete), ("1", Status::Failed)]), PaymentState::Complete);
        assert_eq!(
            state(&[("1", Status::Failed), ("2", Status::Complete)]),
            PaymentState::Complete,
            "tried again"
        );
        let taken = Record { charged_back: true, ..after(&record(), &[("1", Status::Complete)]).0 };
        assert_eq!(taken.state(), PaymentState::ChargedBack);
        assert_eq!(after(&taken, &[("1", Status::Complete)]).1, 0);
    }

    #[test]
    fn a_second_payment_under_one_id_is_credited_once_and_calls_people() {
        let (record, credits, calls) =
            after(&record(), &[("1", Status::Complete), ("2", Status::Complete), ("2", Status::Complete)]);
        assert_eq!((credits, calls), (1, 1));
        assert_eq!(record.paid().collect::<Vec<_>>(), ["1", "2"]);
    }

    fn any_status() -> impl Strategy<Value = Status> {
        prop::sample::select(vec![
            Status::Complete,
            Status::Failed,
            Status::Pending,
            Status::Cancelled,
            Status::Unknown,
        ])
    }

    proptest! {
        #[test]
        fn neither_order_nor_repeats_count(
            heard in prop::collection::vec((prop::sample::select(vec!["1", "2", "none"]), any_status()), 0..8), seed in any::<u64>(),
        ) {
            let start = record();
            let (one, credits, calls) = after(&start, &heard);
            let mut other: Vec<_> = heard.iter().chain(&heard).copied().collect();
            // A shuffle that proptest can repeat.
            let mut state = seed | 1;
            for at in (1..other.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                other.swap(at, usize::try_from(state >> 33).unwrap() % (at + 1));
            }
            let (two, credits_two, calls_two) = after(&start, &other);
            prop_assert_eq!((&one.heard, one.state(), credits, calls), (&two.heard, two.state(), credits_two, calls_two));
            prop_assert_eq!(credits, usize::from(one.paid().next().is_some()));
            prop_assert_eq!(calls, one.paid().count().saturating_sub(1));
        }
    }
}
