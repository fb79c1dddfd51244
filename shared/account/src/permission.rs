//! What a key may do, and the types by which a handler asks for it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A scope of an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub enum Scope {
    /// Verify addresses: spends credits.
    #[serde(rename = "verify")]
    Verify,
    /// Read tasks, results and usage.
    #[serde(rename = "read")]
    Read,
    /// Read balance, grants and history; begin a purchase.
    #[serde(rename = "credits")]
    Credits,
    /// Create, list and revoke keys.
    #[serde(rename = "keys")]
    Keys,
    /// Change, export and erase the personal data of its user (P7, P19).
    #[serde(rename = "personal")]
    Personal,
    /// Support: read any workspace's tasks (P23).
    #[serde(rename = "admin")]
    Admin,
}

impl Scope {
    /// What a key for everyday use has: all but managing keys and support.
    pub const EVERYDAY: &[Self] = &[Self::Verify, Self::Read, Self::Credits];
    /// What somebody who signed in has in a workspace of their own: all but support.
    pub const SIGNED_IN: &[Self] = &[Self::Verify, Self::Read, Self::Credits, Self::Keys, Self::Personal];

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Read => "read",
            Self::Credits => "credits",
            Self::Keys => "keys",
            Self::Personal => "personal",
            Self::Admin => "admin",
        }
    }
}

impl std::str::FromStr for Scope {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Verify, Self::Read, Self::Credits, Self::Keys, Self::Personal, Self::Admin]
            .into_iter()
            .find(|s| s.name() == text)
            .ok_or_else(|| format!("{text:?} is not a scope: verify, read, credits, keys, personal, admin"))
    }
}

/// What a handler requires of its caller, as a type: `Caller<CanVerify>` in a signature is the check.
pub trait Permission: Send + Sync + 'static {
    /// The scope that gives it.
    const SCOPE: Scope;
}

macro_rules! permissions {
    ($($(#[doc = $doc:literal])+ $name:ident = $scope:ident;)+) => {$(
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy)]
        pub enum $name {}
        impl Permission for $name {
            const SCOPE: Scope = Scope::$scope;
        }
    )+};
}

permissions! {
    /// May verify addresses and spend credits.
    CanVerify = Verify;
    /// May read tasks, results and usage.
    CanRead = Read;
    /// May read balance, grants and history.
    CanReadCredits = Credits;
    /// May begin a purchase, which somebody then pays.
    CanBuy = Credits;
    /// May create, list and revoke keys.
    CanManageKeys = Keys;
    /// May change, export and erase one's own data.
    CanManagePersonalData = Personal;
    /// May look at any workspace, for support (P23).
    IsAdmin = Admin;
}
