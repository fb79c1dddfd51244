//! Who runs a domain's mail, read from the name of its first mail exchanger.

use serde::{Deserialize, Serialize};

use crate::route::MailRoute;

/// A class of mail server. Filters (Mimecast, Proofpoint …) are named as such: what stands behind them is not visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MailProvider)]
#[non_exhaustive]
pub enum Provider {
    /// Gmail's own mailboxes.
    Google,
    /// Google Workspace: a customer's domain at Google.
    GoogleWorkspace,
    /// Microsoft 365: a customer's domain.
    #[serde(rename = "microsoft_365")]
    Microsoft365,
    /// outlook.com, hotmail.*, live.*, msn.com.
    OutlookConsumer,
    /// Yahoo and AOL.
    Yahoo,
    /// iCloud.
    Apple,
    /// Zoho.
    Zoho,
    /// Proton.
    Proton,
    /// Fastmail.
    Fastmail,
    /// Yandex.
    Yandex,
    /// Mail.ru.
    MailRu,
    /// GMX, web.de, mail.com and IONOS.
    #[serde(rename = "united_internet")]
    UnitedInternet,
    /// Tencent: QQ and Exmail.
    Tencent,
    /// Amazon SES or WorkMail.
    Amazon,
    /// Rackspace.
    Rackspace,
    /// GoDaddy.
    Godaddy,
    /// OVH.
    Ovh,
    /// Cloudflare's forwarding.
    Cloudflare,
    /// Mimecast (a filter).
    Mimecast,
    /// Proofpoint (a filter).
    Proofpoint,
    /// Barracuda (a filter).
    Barracuda,
    /// Cisco (a filter).
    Cisco,
    /// Symantec, now Broadcom (a filter).
    Broadcom,
    /// None of these.
    Other,
}

/// Endings of exchanger names, on a label boundary; the first that matches counts.
const SUFFIXES: &[(&str, Provider)] = &[
    ("gmail-smtp-in.l.google.com", Provider::Google),
    ("google.com", Provider::GoogleWorkspace),
    ("googlemail.com", Provider::GoogleWorkspace),
    ("olc.protection.outlook.com", Provider::OutlookConsumer),
    ("protection.outlook.com", Provider::Microsoft365),
    ("mx.microsoft", Provider::Microsoft365),
    ("yahoodns.net", Provider::Yahoo),
    ("mail.icloud.com", Provider::Apple),
    ("zoho.com", Provider::Zoho),
    ("zoho.eu", Provider::Zoho),
    ("zoho.in", Provider::Zoho),
    ("zohomail.com", Provider::Zoho),
    ("protonmail.ch", Provider::Proton),
    ("messagingengine.com", Provider::Fastmail),
    ("yandex.net", Provider::Yandex),
    ("yandex.ru", Provider::Yandex),
    ("mail.ru", Provider::MailRu),
    ("gmx.net", Provider::UnitedInternet),
    ("web.de", Provider::UnitedInternet),
    ("mail.com", Provider::UnitedInternet),
    ("ionos.com", Provider::UnitedInternet),
    ("ionos.de", Provider::UnitedInternet),
    ("kundenserver.de", Provider::UnitedInternet),
    ("qq.com", Provider::Tencent),
    ("amazonaws.com", Provider::Amazon),
    ("emailsrvr.com", Provider::Rackspace),
    ("secureserver.net", Provider::Godaddy),
    ("ovh.net", Provider::Ovh),
    ("mx.cloudflare.net", Provider::Cloudflare),
    ("mimecast.com", Provider::Mimecast),
    ("mimecast.co.za", Provider::Mimecast),
    ("pphosted.com", Provider::Proofpoint),
    ("ppe-hosted.com", Provider::Proofpoint),
    ("gpphosted.com", Provider::Proofpoint),
    ("barracudanetworks.com", Provider::Barracuda),
    ("iphmx.com", Provider::Cisco),
    ("messagelabs.com", Provider::Broadcom),
];

impl Provider {
    /// The provider behind a mail exchanger (lower-case A-labels, no trailing dot).
    pub fn of_exchange(host: &str) -> Self {
        let under = |suffix: &str| {
            host.strip_suffix(suffix).is_some_and(|before| before.is_empty() || before.ends_with('.'))
        };
        SUFFIXES.iter().find(|(suffix, _)| under(suffix)).map_or(Self::Other, |(_, provider)| *provider)
    }

    /// The provider of a route's first host; none where no mail goes anywhere, or nothing is known.
    pub fn of_route(route: &MailRoute) -> Option<Self> {
        match route {
            MailRoute::Mx { hosts } => hosts.first().map(|host| Self::of_exchange(&host.exchange)),
            MailRoute::ImplicitMx => Some(Self::Other),
            _ => None,
        }
    }

    /// Whether the server takes mail for mailboxes that it does not have, and returns it later: its yes to RCPT TO says
    /// nothing (its no does).
    pub fn accepts_then_bounces(self) -> bool {
        matches!(self, Self::Google | Self::Yahoo)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exchangers_are_classed_by_suffix_on_label_boundaries() {
        for (host, provider) in [
            ("gmail-smtp-in.l.google.com", Provider::Google),
            ("alt1.gmail-smtp-in.l.google.com", Provider::Google),
            ("aspmx.l.google.com", Provider::GoogleWorkspace),
            ("smtp.google.com", Provider::GoogleWorkspace),
            ("aspmx2.googlemail.com", Provider::GoogleWorkspace),
            ("contoso-com.mail.protection.outlook.com", Provider::Microsoft365),
            ("contoso-com.a-v1.mx.microsoft", Provider::Microsoft365),
            ("hotmail-com.olc.protection.outlook.com", Provider::OutlookConsumer),
            ("mta5.am0.yahoodns.net", Provider::Yahoo),
            ("mx01.mail.icloud.com", Provider::Apple),
            ("mx.zoho.eu", Provider::Zoho),
            ("mailsec.protonmail.ch", Provider::Proton),
            ("eu-smtp-inbound-1.mimecast.com", Provider::Mimecast),
            ("mx0a-00000.pphosted.com", Provider::Proofpoint),
            ("d1.ess.barracudanetworks.com", Provider::Barracuda),
            ("notgoogle.com", Provider::Other),
            ("mail.example.org", Provider::Other),
            ("", Provider::Other),
        ] {
            assert_eq!(Provider::of_exchange(host), provider, "{host}");
        }
    }
}
