//! The ledger's records.

use jiff::{SignedDuration, Timestamp};
use piecework_core::typed_id;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::rules::{Allocation, Clawback};

typed_id!(LotId, "lot", "A lot of what was granted.");
typed_id!(EntryId, "ent", "An entry in the ledger.");

/// How soon a lot that a refund still claims from is looked at again, at first.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_hours(1);

/// Where a grant comes from. Together with the source id it is unique: a grant happens once (V12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GrantSource {
    /// A new user; the source id is the user's id.
    Signup,
    /// An operator; the source id is theirs to choose.
    Manual,
    /// Credits bought; the source id is the provider's transaction.
    Purchase,
    /// Money paid into a wallet; the source id is the payment.
    TopUp,
}

impl GrantSource {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Signup => "signup",
            Self::Manual => "manual",
            Self::Purchase => "purchase",
            Self::TopUp => "top_up",
        }
    }

    /// Which lots are spent first: those given, then those paid for.
    fn priority(self) -> u8 {
        match self {
            Self::Signup | Self::Manual => 10,
            Self::Purchase | Self::TopUp => 20,
        }
    }
}

/// What is to be granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Where from.
    pub source: GrantSource,
    /// Which signup, purchase or the like.
    pub source_id: String,
    /// How much; more than zero.
    pub amount: u64,
    /// Lots of a lower number are spent first.
    pub priority: u8,
    /// From when on it is worth nothing, if ever.
    pub expires_at: Option<Timestamp>,
    /// What was bought, in words.
    pub name: Option<String>,
    /// How much of its payment has been asked back by now.
    pub claimed: Clawback,
    /// Whether only an owner that the ledger knows may have it.
    pub(crate) known_only: bool,
}

impl Grant {
    /// A grant that never expires, with its source's priority.
    pub fn new(source: GrantSource, source_id: impl ToString, amount: u64) -> Self {
        Self {
            source,
            source_id: source_id.to_string(),
            amount,
            priority: source.priority(),
            expires_at: None,
            name: None,
            claimed: Clawback::default(),
            known_only: false,
        }
    }

    /// Worth nothing from `at` on.
    #[must_use]
    pub fn expiring(mut self, at: Option<Timestamp>) -> Self {
        self.expires_at = at;
        self
    }

    /// Called so.
    #[must_use]
    pub fn named(mut self, name: Option<String>) -> Self {
        self.name = name;
        self
    }

    /// Of which so much was asked back before it came.
    #[must_use]
    pub fn claimed(mut self, asked: Clawback) -> Self {
        self.claimed = asked;
        self
    }

    /// Only for an owner that the ledger knows; otherwise the action `owner` is refused.
    #[must_use]
    pub fn known_only(mut self) -> Self {
        self.known_only = true;
        self
    }
}

/// What the payer has back, or asks back, of a lot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Claim {
    /// How much of the lot it is about.
    pub asked: u64,
    /// How much of that was taken out of the lot.
    pub taken: u64,
}

/// What was granted at once, and how much of it is left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lot {
    /// Its id; older lots sort first.
    pub id: LotId,
    /// Where from.
    pub source: GrantSource,
    /// Which signup, purchase or the like.
    pub source_id: String,
    /// What was bought, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How much was granted.
    pub amount: u64,
    /// Neither held nor spent, expired nor taken back. Below zero if more was charged back than was left: that is owed.
    pub remaining: i64,
    /// Lots of a lower number are spent first; then the one that expires first; then the older.
    pub priority: u8,
    /// From when on it is worth nothing, if ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// How much expired.
    #[serde(default)]
    pub expired: u64,
    /// Refunds by the merchant: they take no more than is left, and the rest if it comes back.
    #[serde(default)]
    pub refund: Claim,
    /// Chargebacks by the payer's bank: they take all that did not expire.
    #[serde(default)]
    pub chargeback: Claim,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub granted_at: Timestamp,
}

impl Lot {
    /// When the sweep is to look at it next, if ever: when it expires; and now and then, ever more seldom, while a refund
    /// claims what is held or spent, for that may come back.
    pub(crate) fn look_at(&self, now: Timestamp) -> Option<Timestamp> {
        let expires = self.expires_at.filter(|&at| at > now);
        let claimed = (self.refund.asked > self.refund.taken).then(|| {
            let age = now.duration_since(self.granted_at);
            now + (age / 8).max(LOOK_AGAIN)
        });
        match (expires, claimed) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}

/// A book's accounts. `granted = available + held + spent + clawed + expired`, and `available` is what remains of the lots,
/// always.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Balance {
    /// Ever granted.
    #[serde(default)]
    pub granted: u64,
    /// Free to use. Below zero after a chargeback of what was spent: nothing can be spent until it is above zero again.
    #[serde(default)]
    pub available: i64,
    /// Set aside for work under way.
    #[serde(default)]
    pub held: u64,
    /// Charged.
    #[serde(default)]
    pub spent: u64,
    /// Taken back because its payment was refunded or charged back.
    #[serde(default)]
    pub clawed: u64,
    /// Not used in time.
    #[serde(default)]
    pub expired: u64,
}

/// Balance and lots of a book, with what has expired by now taken off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// By account.
    pub balance: Balance,
    /// Every lot, oldest first.
    pub lots: Vec<Lot>,
}

/// Balance, grants and the low-credit flag (V11).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Credits {
    /// By account.
    pub balance: Balance,
    /// True when fewer are available than `low_below`.
    pub low: bool,
    /// The bound of the low-credit flag.
    pub low_below: u64,
    /// The grants, oldest first.
    pub grants: Vec<Lot>,
}

/// What an entry does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// granted → available.
    Grant,
    /// available → held.
    Hold,
    /// held → spent.
    Settle,
    /// held → available.
    Void,
    /// available → spent, for work done at once.
    Charge,
    /// spent → available, into the lots that paid.
    Refund,
    /// available → clawed, because the payment was refunded.
    ClawBack,
    /// available → clawed, because the payment was charged back.
    Chargeback,
    /// clawed → available, because a refund or chargeback was reversed.
    GiveBack,
    /// available → expired.
    Expire,
}

impl EntryKind {
    /// The accounts that it moves an amount from and to.
    pub fn accounts(self) -> (&'static str, &'static str) {
        match self {
            Self::Grant => ("granted", "available"),
            Self::Hold => ("available", "held"),
            Self::Settle => ("held", "spent"),
            Self::Void => ("held", "available"),
            Self::Charge => ("available", "spent"),
            Self::Refund => ("spent", "available"),
            Self::ClawBack | Self::Chargeback => ("available", "clawed"),
            Self::GiveBack => ("clawed", "available"),
            Self::Expire => ("available", "expired"),
        }
    }
}

/// One entry: so much from one account to another, and why. Never changed, never deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Entry {
    /// Its id; later entries sort later.
    pub id: EntryId,
    /// What it does.
    pub kind: EntryKind,
    /// Account debited.
    pub from: String,
    /// Account credited.
    pub to: String,
    /// How much.
    pub amount: u64,
    /// The task, check, order, grant or payment behind it.
    pub reference: String,
    /// The lots it touches.
    pub lots: Vec<Allocation>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// An entry and what it hangs together with, from the payment to the refund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Trail {
    /// The entry.
    pub entry: Entry,
    /// The lots it touches; `source` and `source_id` say which payment, signup or gift each came from.
    pub lots: Vec<Lot>,
    /// The entries with the same reference, oldest first: hold, settle and void of a task; grant, claw back and give back of a
    /// payment.
    pub entries: Vec<Entry>,
    /// Where the next page of `entries` starts; absent on the last.
    pub next_cursor: Option<String>,
}

/// What is set aside for one task or order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// What it is held for.
    pub reference: String,
    /// How much.
    pub amount: u64,
    /// From which lots.
    pub lots: Vec<Allocation>,
    /// How much was charged, once settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<u64>,
}
