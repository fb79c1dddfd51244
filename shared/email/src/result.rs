//! What a caller gets back for one address.

use serde::{Deserialize, Serialize};

use crate::inspect::Inspection;
use crate::provider::Provider;
use crate::route::{MailRoute, MxHost, Resolver, SmtpOutcome, SmtpProbe};
use crate::syntax::EmailAddress;
use crate::syntax_error::SyntaxError;
use crate::verdict::{Status, SubStatus, Verdict, verdict};

/// One address, verified. `null` means not known or not applicable, never `false`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Verification {
    /// As given.
    pub email: String,
    /// As it goes into SMTP; null where the syntax is wrong.
    pub normalized: Option<String>,
    /// Whether to send.
    pub status: Status,
    /// Why.
    pub sub_status: SubStatus,
    /// The address that was probably meant.
    pub suggestion: Option<String>,
    /// What the text tells.
    pub syntax: Syntax,
    /// What the DNS tells.
    pub mx: Mx,
    /// What the mail server tells.
    pub server: Server,
    /// The local part names a function (`support`), not a person.
    pub role: bool,
    /// The domain gives out throw-away mailboxes.
    pub disposable: bool,
    /// Two less careful lists say that it does; a weaker flag.
    #[serde(default)]
    #[schema(required)]
    pub suspected_disposable: bool,
    /// Anyone can have a mailbox at the domain.
    pub free: bool,
    /// The server takes mail for any mailbox; null unless it was asked and answered.
    pub catch_all: Option<bool>,
}

/// What the text of an address tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = VerificationSyntax)]
pub struct Syntax {
    /// Whether it is an address.
    pub valid: bool,
    /// The first rule that it breaks.
    pub error: Option<SyntaxError>,
    /// The receiving server must offer SMTPUTF8 (RFC 6531).
    pub requires_smtputf8: bool,
    /// Before the `@`.
    pub local: Option<String>,
    /// After the `@`, in lower-case A-labels.
    pub domain: Option<String>,
    /// After the `@`, in U-labels, for display.
    pub domain_unicode: Option<String>,
}

/// What the DNS tells of a domain's mail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = VerificationMx)]
pub struct Mx {
    /// Whether the domain has an MX that mail can take; null where DNS was not asked or gave no answer.
    pub found: Option<bool>,
    /// The domain says that it takes no mail (RFC 7505).
    pub null: bool,
    /// The exchanger that a sender tries first.
    pub host: Option<String>,
    /// How many exchangers there are.
    pub hosts: u32,
    /// No MX; mail goes to the domain's own address (RFC 5321 section 5.1).
    pub implicit: bool,
    /// Who runs the first exchanger.
    pub provider: Option<Provider>,
}

/// What the mail server tells.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = VerificationServer)]
pub struct Server {
    /// Who runs it.
    pub provider: Option<Provider>,
    /// What it said of the mailbox; null unless probing is on and the route allowed it.
    pub smtp: Option<SmtpOutcome>,
}

impl From<&MailRoute> for Mx {
    fn from(route: &MailRoute) -> Self {
        let hosts = match route {
            MailRoute::Mx { hosts } => hosts.as_slice(),
            _ => &[],
        };
        Self {
            found: match route {
                MailRoute::Unanswered { .. } => None,
                _ => Some(!hosts.is_empty()),
            },
            null: *route == MailRoute::NullMx,
            host: hosts.first().map(|host| host.exchange.clone()),
            hosts: u32::try_from(hosts.len()).unwrap_or(u32::MAX),
            implicit: *route == MailRoute::ImplicitMx,
            provider: Provider::of_route(route),
        }
    }
}

impl Verification {
    /// Puts together what was found; the verdict is [`verdict`]'s. For callers that keep routes of their own.
    pub fn new(inspection: Inspection, route: Option<&MailRoute>, smtp: Option<SmtpOutcome>) -> Self {
        let Verdict { status, sub_status } = verdict(&inspection, route, smtp);
        let mx = route.map(Mx::from).unwrap_or_default();
        let Inspection { input, address, class, role, suggestion } = inspection;
        let syntax = Syntax {
            valid: address.is_ok(),
            error: address.as_ref().err().copied(),
            requires_smtputf8: address.as_ref().is_ok_and(EmailAddress::requires_smtputf8),
            local: address.as_ref().ok().map(|a| a.local().to_owned()),
            domain: address.as_ref().ok().map(|a| a.domain().to_owned()),
            domain_unicode: address.as_ref().ok().map(|a| a.domain_unicode().into_owned()),
        };
        Self {
            email: input,
            normalized: address.ok().map(String::from),
            status,
            sub_status,
            suggestion,
            syntax,
            server: Server { provider: mx.provider, smtp },
            mx,
            role,
            disposable: class.disposable,
            suspected_disposable: class.suspected_disposable,
            free: class.free,
            catch_all: match smtp {
                Some(SmtpOutcome::CatchAll) => Some(true),
                // A server that refuses one mailbox does not take them all.
                Some(SmtpOutcome::Deliverable | SmtpOutcome::NoSuchMailbox) => Some(false),
                _ => None,
            },
        }
    }
}

/// Verifies an address that was [`inspect`](crate::inspect())ed: asks for its route, and where mail can take that, and
/// there is a probe, the mail server. Asks nobody where the syntax settles it.
pub async fn verify<R: Resolver + Sync, P: SmtpProbe + Sync>(
    inspection: Inspection,
    resolver: &R,
    probe: Option<&P>,
) -> Verification {
    let Some(domain) = inspection.domain() else { return Verification::new(inspection, None, None) };
    let route = resolver.mail_route(domain).await;
    let smtp = match (probe, &route, &inspection.address) {
        (Some(probe), MailRoute::Mx { hosts }, Ok(address)) => {
            Some(probe.probe(address.normalized(), hosts).await)
        }
        (Some(probe), MailRoute::ImplicitMx, Ok(address)) => {
            let host = MxHost { preference: 0, exchange: address.domain().to_owned() };
            Some(probe.probe(address.normalized(), &[host]).await)
        }
        _ => None,
    };
    Verification::new(inspection, Some(&route), smtp)
}

/// No probe: `verify(inspection, &resolver, None::<&NoProbe>)`. Has no values.
#[derive(Debug, Clone, Copy)]
pub enum NoProbe {}

impl SmtpProbe for NoProbe {
    async fn probe(&self, _: &str, _: &[MxHost]) -> SmtpOutcome {
        match *self {}
    }
}
