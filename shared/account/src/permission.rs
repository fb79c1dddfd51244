//! What a caller may do: scopes of keys, roles in a workspace, and the types by which a handler asks for both.
//!
//! The list at [`PERMISSIONS`] is the one table of role × permission; `docs/permissions.md` shows it, and a test holds the two
//! together.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! scopes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal;)+) => {
        /// A scope of an API key.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Scope {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Scope {
            /// Every scope there is.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Its name in the API.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

scopes! {
    /// Verify addresses: spends credits.
    Verify = "verify";
    /// Read tasks, results and usage.
    Read = "read";
    /// Read balance, grants and history; begin a purchase.
    Credits = "credits";
    /// Create, list and revoke keys.
    Keys = "keys";
    /// Act for its user in the workspaces that they belong to: members, roles, invitations.
    Workspaces = "workspaces";
    /// Change, export and erase the personal data of its user (P7, P19).
    Personal = "personal";
    /// Support: any workspace's tasks, payment providers' calls, chargebacks (P23).
    Admin = "admin";
}

impl Scope {
    /// What a key for everyday use has: all but managing keys, workspaces and people, and support.
    pub const EVERYDAY: &[Self] = &[Self::Verify, Self::Read, Self::Credits];
}

impl std::str::FromStr for Scope {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|s| s.name() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|s| s.name()).collect();
            format!("{text:?} is not a scope: {}", names.join(", "))
        })
    }
}

/// What somebody is in a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May do all; a workspace has at least one.
    Owner,
    /// Works in it.
    Member,
}

impl Role {
    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Member => "member",
        }
    }

    /// The scopes that somebody with this role can have in the workspace, or give to a key: those of the permissions that the
    /// role has. Support is no matter of a workspace and never among them.
    pub fn scopes(self) -> BTreeSet<Scope> {
        PERMISSIONS.iter().filter(|p| p.roles.contains(&self)).map(|p| p.scope).collect()
    }
}

/// What a handler requires of its caller, as a type: `Caller<CanVerify>` in a signature is the check of the scope, and an operation
/// on a workspace checks the role.
pub trait Permission: Send + Sync + 'static {
    /// The scope that gives it.
    const SCOPE: Scope;
    /// The roles that have it.
    const ROLES: &'static [Role];
    /// What it allows.
    const ABOUT: &'static str;
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Allowed {
    /// Its type.
    pub name: &'static str,
    /// What it allows.
    pub about: &'static str,
    /// The scope that a key needs.
    pub scope: Scope,
    /// The roles that have it.
    pub roles: &'static [Role],
}

macro_rules! permissions {
    ($($name:ident = $scope:ident, [$($role:ident),*], $about:literal;)+) => {
        $(
            #[doc = $about]
            #[derive(Debug, Clone, Copy)]
            pub enum $name {}
            impl Permission for $name {
                const SCOPE: Scope = Scope::$scope;
                const ROLES: &'static [Role] = &[$(Role::$role),*];
                const ABOUT: &'static str = $about;
            }
        )+

        /// The table: every permission, the scope that a key needs for it, and the roles that have it.
        pub const PERMISSIONS: &[Allowed] = &[$(Allowed {
            name: stringify!($name), about: $about, scope: Scope::$scope, roles: &[$(Role::$role),*],
        },)+];
    };
}

permissions! {
    CanVerify = Verify, [Owner, Member], "Verify addresses and spend credits.";
    CanRead = Read, [Owner, Member], "Read tasks, results and usage.";
    CanReadCredits = Credits, [Owner, Member], "Read balance, grants and history.";
    CanBuy = Credits, [Owner, Member], "Begin a purchase, which somebody then pays.";
    CanManageKeys = Keys, [Owner], "Create, list and revoke keys.";
    CanSeeWorkspaces = Workspaces, [Owner, Member], "See the workspace, its members and its timeline; leave it; make another.";
    CanRenameWorkspace = Workspaces, [Owner], "Rename the workspace.";
    CanDeleteWorkspace = Workspaces, [Owner], "Delete the workspace and all that is in it.";
    CanManageMembers = Workspaces, [Owner], "Change roles, remove members, hand over the ownership.";
    CanInvite = Workspaces, [Owner], "Invite, list and revoke invitations.";
    CanManagePersonalData = Personal, [Owner, Member], "Change, export and erase one's own data.";
    IsAdmin = Admin, [], "List any workspace's tasks and the calls of payment providers, replay these, charge payments back.";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page's table, from the one in code.
    fn table() -> String {
        let mark = |allowed: &Allowed, role| if allowed.roles.contains(&role) { "yes" } else { "" };
        let mut text =
            "| permission | allows | scope of a key | owner | member |\n|---|---|---|---|---|\n".to_owned();
        for p in PERMISSIONS {
            let (owner, member) = (mark(p, Role::Owner), mark(p, Role::Member));
            text.push_str(&format!(
                "| `{}` | {} | `{}` | {owner} | {member} |\n",
                p.name,
                p.about,
                p.scope.name()
            ));
        }
        text
    }

    #[test]
    fn the_page_has_the_table_of_the_code() {
        let page = include_str!("../../../docs/permissions.md");
        assert!(page.contains(&table()), "docs/permissions.md must have:\n{}", table());
    }

    #[test]
    fn a_scope_is_written_by_its_name() {
        for scope in Scope::ALL {
            assert_eq!(serde_json::json!(scope), scope.name());
        }
    }

    #[test]
    fn an_owner_has_every_scope_but_support_and_a_member_fewer() {
        let all: BTreeSet<Scope> = Scope::ALL.iter().copied().filter(|s| *s != Scope::Admin).collect();
        assert_eq!(Role::Owner.scopes(), all);
        assert!(Role::Member.scopes().is_subset(&all) && !Role::Member.scopes().contains(&Scope::Keys));
    }
}
