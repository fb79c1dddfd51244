//! The areas that have something of a user: the one description of personal data (P19). What an export takes and what an erasure
//! ends is said here, goes into every export's README, and is held against `docs/personal-data.md`.

/// An area that has something of a user. An export has a part of each; an erasure waits for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Area {
    /// Profile, members, keys, invitations.
    Account,
    /// Tasks, their results and files.
    Verification,
    /// The ledger, which is kept under a pseudonym. Comes last in an erasure, when every area that settles with it is done.
    Billing,
}

/// What an area has of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PersonalData {
    /// What it is.
    pub what: &'static str,
    /// What of it an export has, and where in the zip.
    pub exported: &'static str,
    /// What becomes of it when the user is erased.
    pub erased: &'static str,
    /// How long it is kept otherwise.
    pub kept: &'static str,
}

impl Area {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Account, Self::Verification, Self::Billing];

    /// Its name: the first word of its events, and its folder in an export.
    pub fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Verification => "verification",
            Self::Billing => "billing",
        }
    }

    /// What it has of a user.
    pub fn personal_data(self) -> PersonalData {
        match self {
            Self::Account => PersonalData {
                what: "Name, verified address, identities, sessions, API keys, memberships, timeline, invitations by address.",
                exported: "`profile.json`, `identities.json`, `sessions.json`, `keys.json` without secrets, `workspaces.json`, `events.json`.",
                erased: "Deleted, but for a hash of each identity, a year, and a keyed hash of the user's id in the receipt. Others' workspaces keep their timelines, and of who left them before the ended keys, under an id that leads to nobody.",
                kept: "Sessions 30 days, invitations 30 days past their end, the rest until the user is erased.",
            },
            Self::Verification => PersonalData {
                what: "Lists of addresses, what was found out of them, usage.",
                exported: "By workspace: `tasks.json`, `usage.json`, and of each task the list as it came, `results.csv` and `events.json`.",
                erased: "Work under way is cancelled and paid for; then all is deleted.",
                kept: "Lists and results 30 days, the rest until the workspace ends.",
            },
            Self::Billing => PersonalData {
                what: "Grants, balance and the ledger of credits; the wallet, payments and what payment providers tell of them.",
                exported: "By workspace: `credits.json`, `ledger.json`, `ledger.csv`; `wallet.json`, `payments.json`, the same in each.",
                erased: "Kept under a random id that leads to nobody: accounts must be kept.",
                kept: "As long as accounts must be; the calls of payment providers, with what they say of a payer, 90 days.",
            },
        }
    }

    /// The area that says by an event of this kind that it is done with a workspace that ended.
    pub fn erased(kind: &str) -> Option<Self> {
        Self::of(kind.strip_suffix(".workspace.erased")?)
    }

    /// The area that says by an event of this kind that its parts of an export are written.
    pub fn exported(kind: &str) -> Option<Self> {
        match kind {
            "account.user.exported" => Some(Self::Account),
            _ => Self::of(kind.strip_suffix(".workspace.exported")?).filter(|area| *area != Self::Account),
        }
    }

    fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|area| area.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_area_is_known_by_its_word_that_it_is_done() {
        assert_eq!(Area::erased("verification.workspace.erased"), Some(Area::Verification));
        assert_eq!(Area::exported("verification.workspace.exported"), Some(Area::Verification));
        assert_eq!(Area::exported("account.user.exported"), Some(Area::Account));
        for other in
            ["account.workspace.exported", "billing.workspace.erased.twice", "nobody.workspace.exported"]
        {
            assert_eq!((Area::exported(other), Area::erased(other)), (None, None), "{other}");
        }
    }

    #[test]
    fn the_page_of_personal_data_says_what_the_code_says() {
        let page = include_str!("../../../docs/personal-data.md");
        for area in Area::ALL {
            let PersonalData { what, exported, erased, kept } = area.personal_data();
            let row = format!("| {} | {what} | {exported} | {erased} | {kept} |", area.name());
            assert!(page.contains(&row), "docs/personal-data.md should have the row\n{row}");
        }
    }
}
