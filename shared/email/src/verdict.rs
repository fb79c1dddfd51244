//! From what was found to what it means.

use serde::{Deserialize, Serialize};

use crate::inspect::Inspection;
use crate::provider::Provider;
use crate::route::{MailRoute, SmtpOutcome, Unanswered};

/// Whether to send.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[schema(as = VerificationStatus)]
pub enum Status {
    /// The domain takes mail and nothing speaks against the address.
    Valid,
    /// Mail may arrive, but something speaks against the address.
    Risky,
    /// Mail cannot arrive.
    Invalid,
    /// Not found out; asking again later may help. Not charged.
    Unknown,
}

/// Why the status is what it is. Each belongs to one [`Status`]: see [`Self::status`].
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[schema(as = VerificationSubStatus)]
#[non_exhaustive]
pub enum SubStatus {
    /// Valid: the domain takes mail and nothing speaks against the address; the mailbox itself was not asked, or its
    /// provider says yes to anything.
    AcceptsMail,
    /// Valid: the mail server takes mail for this mailbox and refuses it for another.
    MailboxExists,
    /// Risky: a throw-away mailbox.
    Disposable,
    /// Risky: one slip away from a big provider's domain.
    PossibleTypo,
    /// Risky: two of the less careful lists call the domain disposable.
    SuspectedDisposable,
    /// Risky: the server takes mail for any mailbox.
    CatchAll,
    /// Risky: the mailbox exists and is full.
    FullInbox,
    /// Risky: a function, not a person.
    Role,
    /// Risky: the domain has an address but no MX (RFC 5321 section 5.1 lets mail go there; few such hosts take it).
    NoMx,
    /// Invalid: not an address; `syntax.error` says why.
    Syntax,
    /// Invalid: the domain does not exist.
    DomainNotFound,
    /// Invalid: the domain says that it takes no mail (RFC 7505).
    NullMx,
    /// Invalid: every MX points where no mail can go.
    UnusableMx,
    /// Invalid: the domain has neither MX nor address.
    NoMailRecords,
    /// Invalid: the server does not know the mailbox.
    MailboxNotFound,
    /// Invalid: the mailbox is disabled.
    MailboxDisabled,
    /// Unknown: DNS was not asked.
    NotChecked,
    /// Unknown: DNS did not answer in time.
    DnsTimeout,
    /// Unknown: the name server failed or refused.
    DnsServerFailure,
    /// Unknown: the name server could not be reached.
    DnsUnreachable,
    /// Unknown: the mail server asked us to come back later.
    Greylisted,
    /// Unknown: the mail server refuses us, not the mailbox.
    SenderBlocked,
    /// Unknown: the mail server gave no answer.
    SmtpNoAnswer,
}

impl SubStatus {
    /// The status that this reason belongs to.
    pub fn status(self) -> Status {
        use SubStatus::*;
        match self {
            AcceptsMail | MailboxExists => Status::Valid,
            Disposable | PossibleTypo | SuspectedDisposable | CatchAll | FullInbox | Role | NoMx => {
                Status::Risky
            }
            Syntax | DomainNotFound | NullMx | UnusableMx | NoMailRecords | MailboxNotFound
            | MailboxDisabled => Status::Invalid,
            NotChecked | DnsTimeout | DnsServerFailure | DnsUnreachable | Greylisted | SenderBlocked
            | SmtpNoAnswer => Status::Unknown,
        }
    }
}

/// A status and its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether to send.
    pub status: Status,
    /// Why.
    pub sub_status: SubStatus,
}

impl From<SubStatus> for Verdict {
    fn from(sub_status: SubStatus) -> Self {
        Self { status: sub_status.status(), sub_status }
    }
}

/// Decides. The first row that applies counts, so *invalid* beats *unknown* beats *risky* beats *valid*:
///
/// | # | found | status | sub_status |
/// |---|---|---|---|
/// | 1 | not an address | invalid | `syntax` |
/// | 2 | NXDOMAIN | invalid | `domain_not_found` |
/// | 3 | null MX | invalid | `null_mx` |
/// | 4 | MX, none usable | invalid | `unusable_mx` |
/// | 5 | neither MX nor address | invalid | `no_mail_records` |
/// | 6 | DNS not asked | unknown | `not_checked` |
/// | 7 | DNS gave no answer | unknown | `dns_timeout`, `dns_server_failure`, `dns_unreachable` |
/// | 8 | SMTP: no such mailbox, disabled | invalid | `mailbox_not_found`, `mailbox_disabled` |
/// | 9 | SMTP: greylisted, we are blocked, no answer | unknown | `greylisted`, `sender_blocked`, `smtp_no_answer` |
/// | 10 | slip of a provider's domain | risky | `possible_typo` |
/// | 11 | disposable domain | risky | `disposable` |
/// | 12 | suspected disposable | risky | `suspected_disposable` |
/// | 13 | SMTP: catch-all, full | risky | `catch_all`, `full_inbox` |
/// | 14 | role local part | risky | `role` |
/// | 15 | SMTP: deliverable, and the provider's yes means something | valid | `mailbox_exists` |
/// | 16 | an address but no MX | risky | `no_mx` |
/// | 17 | MX | valid | `accepts_mail` |
///
/// - Rows 6, 7 and 9 stand above the flags of rows 10 to 14: a question that was asked and not answered is `unknown`,
///   which is not charged and may be asked again, whatever else is known. Nothing unanswered is ever `valid` or `invalid`.
/// - Row 10 stands above row 11: domains like `gmial.com` are on lists of disposable ones because somebody collects what
///   is mistyped to them. Whoever is in a contact list with one meant the provider; `disposable` is still flagged.
/// - An SMTP outcome without a route that mail could take (rows 1 to 7) is not looked at.
/// - Providers that take mail for any mailbox and return it later (Gmail, Yahoo) are asked in vain: their yes counts as
///   no answer at all, so row 16 or 17 decides, as without SMTP. Their no counts.
pub fn verdict(inspection: &Inspection, route: Option<&MailRoute>, smtp: Option<SmtpOutcome>) -> Verdict {
    decide(inspection, route, smtp).into()
}

fn decide(inspection: &Inspection, route: Option<&MailRoute>, smtp: Option<SmtpOutcome>) -> SubStatus {
    if inspection.address.is_err() {
        return SubStatus::Syntax;
    }
    let Some(route) = route else { return SubStatus::NotChecked };
    let without_probe = match route {
        MailRoute::Mx { .. } => SubStatus::AcceptsMail,
        MailRoute::ImplicitMx => SubStatus::NoMx,
        MailRoute::NxDomain => return SubStatus::DomainNotFound,
        MailRoute::NullMx => return SubStatus::NullMx,
        MailRoute::UnusableMx => return SubStatus::UnusableMx,
        MailRoute::NoRecords => return SubStatus::NoMailRecords,
        MailRoute::Unanswered { reason: Unanswered::Timeout } => return SubStatus::DnsTimeout,
        MailRoute::Unanswered { reason: Unanswered::ServerFailure } => return SubStatus::DnsServerFailure,
        MailRoute::Unanswered { reason: Unanswered::Unreachable } => return SubStatus::DnsUnreachable,
    };
    match smtp {
        Some(SmtpOutcome::NoSuchMailbox) => return SubStatus::MailboxNotFound,
        Some(SmtpOutcome::Disabled) => return SubStatus::MailboxDisabled,
        Some(SmtpOutcome::Greylisted) => return SubStatus::Greylisted,
        Some(SmtpOutcome::SenderBlocked) => return SubStatus::SenderBlocked,
        Some(SmtpOutcome::NoAnswer) => return SubStatus::SmtpNoAnswer,
        Some(SmtpOutcome::Deliverable | SmtpOutcome::CatchAll | SmtpOutcome::FullInbox) | None => {}
    }
    let flagged = [
        (inspection.is_typo(), SubStatus::PossibleTypo),
        (inspection.class.disposable, SubStatus::Disposable),
        (inspection.class.suspected_disposable, SubStatus::SuspectedDisposable),
        (smtp == Some(SmtpOutcome::CatchAll), SubStatus::CatchAll),
        (smtp == Some(SmtpOutcome::FullInbox), SubStatus::FullInbox),
        (inspection.role, SubStatus::Role),
    ];
    if let Some((_, risk)) = flagged.into_iter().find(|(is, _)| *is) {
        return risk;
    }
    let trusted = || !Provider::of_route(route).is_some_and(Provider::accepts_then_bounces);
    match smtp {
        Some(SmtpOutcome::Deliverable) if trusted() => SubStatus::MailboxExists,
        _ => without_probe,
    }
}
