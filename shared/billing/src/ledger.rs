//! The ledger's records.

use jiff::Timestamp;
use piecework_core::typed_id;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::rules::Allocation;

typed_id!(LotId, "lot", "A lot of granted credits.");
typed_id!(EntryId, "ent", "An entry in the ledger.");

/// Where granted credits come from. Together with the source id it is unique: a grant happens once (V12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GrantSource {
    /// A new user; the source id is the user's id.
    Signup,
    /// An operator; the source id is theirs to choose.
    Manual,
}

impl GrantSource {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Signup => "signup",
            Self::Manual => "manual",
        }
    }
}

/// Credits to be granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Where from.
    pub source: GrantSource,
    /// Which signup or the like.
    pub source_id: String,
    /// How many; more than zero.
    pub credits: u64,
}

/// Granted credits, and how many of them are left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lot {
    /// Its id; older lots sort first and are spent first.
    pub id: LotId,
    /// Where from.
    pub source: GrantSource,
    /// Which signup or the like.
    pub source_id: String,
    /// Credits granted.
    pub credits: u64,
    /// Credits neither held nor spent.
    pub remaining: u64,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub granted_at: Timestamp,
}

/// A workspace's credits by account. `granted = available + held + spent`, always.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Balance {
    /// Ever granted.
    #[serde(default)]
    pub granted: u64,
    /// Free to use.
    #[serde(default)]
    pub available: u64,
    /// Set aside for work under way.
    #[serde(default)]
    pub held: u64,
    /// Charged.
    #[serde(default)]
    pub spent: u64,
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
    /// source → available.
    Grant,
    /// available → held.
    Hold,
    /// held → spent.
    Settle,
    /// held → available.
    Refund,
    /// available → spent, for work done at once.
    Charge,
}

impl EntryKind {
    /// The accounts that it moves credits from and to.
    pub fn accounts(self) -> (&'static str, &'static str) {
        match self {
            Self::Grant => ("granted", "available"),
            Self::Hold => ("available", "held"),
            Self::Settle => ("held", "spent"),
            Self::Refund => ("held", "available"),
            Self::Charge => ("available", "spent"),
        }
    }
}

/// One entry: so many credits from one account to another, and why. Never changed, never deleted.
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
    /// How many.
    pub credits: u64,
    /// The task, check or grant behind it.
    pub reference: String,
    /// The lots it touches.
    pub lots: Vec<Allocation>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// Credits set aside for one task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// What they are held for.
    pub reference: String,
    /// How many.
    pub credits: u64,
    /// From which lots.
    pub lots: Vec<Allocation>,
    /// Credits charged, once settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<u64>,
}
