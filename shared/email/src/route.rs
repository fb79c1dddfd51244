//! What the DNS says of a domain's mail, and who is asked: the one door through which the rules see a network.

use std::future::Future;

/// Where mail for a domain goes, as far as DNS tells (RFC 5321 section 5.1, RFC 7505).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum MailRoute {
    /// MX records, by rising preference; never empty.
    Mx {
        /// The hosts, in the order in which a sender tries them.
        hosts: Vec<MxHost>,
    },
    /// No MX, but an A or AAAA record: the domain itself is the host (implicit MX).
    ImplicitMx,
    /// A single MX of `0 .`: the domain says that it takes no mail (RFC 7505).
    NullMx,
    /// MX records, but every one points where no mail can go: localhost, an IP literal, a private address.
    UnusableMx,
    /// The domain exists, with neither MX nor address.
    NoRecords,
    /// The domain does not exist.
    NxDomain,
    /// No answer that settles anything: never grounds for `invalid`, nor for `valid`.
    Unanswered {
        /// Why there was none.
        reason: Unanswered,
    },
}

/// A mail exchanger.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MxHost {
    /// Preference; lower is tried first.
    pub preference: u16,
    /// Host name, lower-case A-labels, without the trailing dot.
    pub exchange: String,
}

/// Why a look-up settled nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unanswered {
    /// No answer in time.
    Timeout,
    /// The name server said SERVFAIL, REFUSED or the like.
    ServerFailure,
    /// The name server could not be reached.
    Unreachable,
}

/// Asks the DNS where a domain's mail goes.
pub trait Resolver {
    /// The route for `domain` (A-labels, lower-case, no trailing dot). Failures are routes too: see [`MailRoute::Unanswered`].
    fn mail_route(&self, domain: &str) -> impl Future<Output = MailRoute> + Send;
}

/// What a mail server said when asked about a mailbox, without sending to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SmtpOutcome {
    /// RCPT TO accepted, and a random mailbox of the same domain refused.
    Deliverable,
    /// RCPT TO accepted, but so is any mailbox: nothing is known of this one.
    CatchAll,
    /// The mailbox does not exist.
    NoSuchMailbox,
    /// The mailbox exists and is disabled.
    Disabled,
    /// The mailbox exists and is full.
    FullInbox,
    /// A temporary refusal (450, 451, 4.x): ask again later.
    Greylisted,
    /// The server refuses us, not the mailbox: our address is on a blocklist or lacks reverse DNS.
    SenderBlocked,
    /// No connection, no answer in time, or an answer outside the protocol.
    NoAnswer,
}

/// Asks a mail server about a mailbox.
pub trait SmtpProbe {
    /// What the servers of `hosts`, tried in order, say of `address` (already normalised; domain in A-labels).
    fn probe(&self, address: &str, hosts: &[MxHost]) -> impl Future<Output = SmtpOutcome> + Send;
}
