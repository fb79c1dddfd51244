//! The door: a notification is believed by its signature and where it comes from, kept, and answered at once. PayFast sends again
//! whatever is not answered with 200.

use aws::{Clients, Deps};
use piecework_core::{Kind, Problem, Settings, hex, settings::SettingError, sha256};

use super::{Notice, Sources, store::Shop};
use crate::inbound::{Call, Inbound, Kept, Status};

/// Takes PayFast's calls. Where no account is set, nothing is believed.
#[derive(Clone)]
pub struct Door {
    inbound: Inbound,
    shop: Option<Shop>,
    sources: Sources,
}

impl Deps for Door {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        let sources = settings.parsed("PAYFAST_SOURCES")?;
        Ok(Self {
            inbound: Inbound::new(settings, clients)?,
            shop: Shop::of(settings)?,
            sources: sources.ok_or(SettingError::Missing("PAYFAST_SOURCES"))?,
        })
    }
}

impl Door {
    /// Keeps a call. What is refused is not PayFast's, or will be when our settings are mended: a later try of theirs gets in then.
    pub async fn take(&self, call: Call) -> Result<(), Problem> {
        if Inbound::too_large(&call.body) {
            self.inbound.refuse(&call, Status::TooLarge, "longer than what is kept").await?;
            return Err(Problem::new(Kind::BodyTooLarge));
        }
        let notice = match Notice::parse(&call.body) {
            Ok(notice) => notice,
            Err(why) => {
                self.inbound.refuse(&call, Status::Malformed, &why.to_string()).await?;
                return Err(Problem::new(Kind::InvalidBody).detail("This is no notification of PayFast's."));
            }
        };
        let passphrase = self.shop.as_ref().map(|shop| shop.passphrase.as_ref());
        if !passphrase.is_some_and(|passphrase| notice.is_signed_with(passphrase)) {
            self.inbound
                .refuse(&call, Status::BadSignature, "the signature is not that of our account")
                .await?;
            return Err(Problem::new(Kind::Unauthenticated).detail("The call is not signed by PayFast."));
        }
        if !call.source.is_some_and(|source| self.sources.have(source)) {
            tracing::warn!("a signed notification comes from elsewhere than PayFast's networks");
            self.inbound
                .refuse(&call, Status::BadSignature, "it comes from outside PayFast's networks")
                .await?;
            return Err(Problem::new(Kind::Forbidden).detail("The call does not come from PayFast."));
        }
        // The same to the octet is the same event; PayFast's id and state alone would let a changed amount pass for a repeat.
        let id = hex(&sha256(&[notice.parameters().as_bytes()]));
        let name = notice.get("payment_status").unwrap_or("none");
        let kind: String = name.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
        match self.inbound.accept(&call, &id, &kind).await? {
            Kept::New(id) => tracing::info!(%id, notice = ?notice, "kept"),
            Kept::Repeat(id) => tracing::info!(%id, "sent again"),
        }
        Ok(())
    }
}
