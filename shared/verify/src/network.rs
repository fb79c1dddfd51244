//! Who is asked: the DNS, and mail servers if that is switched on.

use std::{net::SocketAddr, time::Duration};

use aws::{Clients, Deps};
use email::route::{MailRoute, MxHost, Resolver, SmtpOutcome, SmtpProbe};
use piecework_core::{Settings, settings::SettingError};
use probe::{CacheSettings, CachedResolver, DnsResolver, DnsSettings, NameServer, SmtpClient, SmtpSettings};

/// The network side of verification. `DNS_SERVER` (`ip:port`) asks that server and not the system's, and `DNS_SECONDS` gives a
/// domain so long before its addresses are `unknown`, instead of 5; `SMTP_PROBE=on` asks mail servers too (off by default: from Lambda
/// it needs a VPC and an exempted address), as `SMTP_HELLO` and `SMTP_FROM`.
#[derive(Clone)]
pub struct Network {
    resolver: CachedResolver<DnsResolver>,
    probe: Option<SmtpClient>,
}

impl Deps for Network {
    fn new(settings: &Settings, _: &Clients) -> Result<Self, SettingError> {
        let server = match settings.parsed::<SocketAddr>("DNS_SERVER")? {
            Some(at) => NameServer::At(at),
            None => NameServer::System,
        };
        let mut dns = DnsSettings { server, ..DnsSettings::default() };
        if let Some(seconds) = settings.parsed("DNS_SECONDS")? {
            dns.total = Duration::from_secs(seconds);
            // Two attempts, with a little of the time left over.
            dns.timeout = dns.total * 2 / 5;
        }
        let dns = DnsResolver::new(&dns)
            .map_err(|e| SettingError::Unusable { name: "DNS_SERVER", why: e.to_string() })?;
        let probe = match settings.text("SMTP_PROBE") {
            Some("on") => {
                let mut smtp =
                    SmtpSettings::new(settings.required("SMTP_HELLO")?, settings.required("SMTP_FROM")?);
                smtp.connect_to = settings.parsed("SMTP_CONNECT_TO")?;
                Some(SmtpClient::new(smtp, dns.clone()))
            }
            Some("off") | None => None,
            Some(_) => {
                return Err(SettingError::Unusable { name: "SMTP_PROBE", why: "must be on or off".into() });
            }
        };
        Ok(Self { resolver: CachedResolver::new(dns, CacheSettings::default()), probe })
    }
}

impl Network {
    /// Where a domain's mail goes.
    pub(crate) async fn route(&self, domain: &str) -> MailRoute {
        self.resolver.mail_route(domain).await
    }

    /// What a mail server says of an address; `None` if none is asked.
    pub(crate) async fn mailbox(
        &self,
        address: &str,
        domain: &str,
        route: &MailRoute,
    ) -> Option<SmtpOutcome> {
        let probe = self.probe.as_ref()?;
        match route {
            MailRoute::Mx { hosts } => Some(probe.probe(address, hosts).await),
            MailRoute::ImplicitMx => {
                let host = MxHost { preference: 0, exchange: domain.to_owned() };
                Some(probe.probe(address, &[host]).await)
            }
            _ => None,
        }
    }

    /// Whether mail servers are asked at all.
    pub(crate) fn probes(&self) -> bool {
        self.probe.is_some()
    }
}
