//! The door: a call is believed by its signature alone, kept, and answered. Nothing is looked up.

use aws::{Clients, Deps};
use jiff::SignedDuration;
use piecework_core::{Kind, Problem, Settings, now, settings::SettingError};
use secrecy::SecretString;

use super::{
    event::Head,
    signature::{self, Refusal},
};
use crate::inbound::{Call, Inbound, Kept, Status};

/// How far the time of a signature may be away unless `PADDLE_TOLERANCE_SECONDS` says otherwise. Paddle's own libraries take 5 s,
/// which a cold start can use up.
const TOLERANCE: i64 = 300;

/// Takes Paddle's calls. `PADDLE_WEBHOOK_SECRETS` are the secrets of its notification destinations, separated by commas: two
/// while one is being rotated. Without any nothing is believed.
#[derive(Clone)]
pub struct PaddleDoor {
    inbound: Inbound,
    secrets: Vec<SecretString>,
    tolerance: SignedDuration,
}

impl Deps for PaddleDoor {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        let secrets = settings.text("PADDLE_WEBHOOK_SECRETS").unwrap_or_default();
        let secrets: Vec<&str> = secrets.split(',').map(str::trim).filter(|s| !s.is_empty()).collect();
        if secrets.iter().any(|secret| secret.len() < 16) {
            let why = "each must be at least 16 octets".to_owned();
            return Err(SettingError::Unusable { name: "PADDLE_WEBHOOK_SECRETS", why });
        }
        let tolerance = settings.parsed("PADDLE_TOLERANCE_SECONDS")?.unwrap_or(TOLERANCE);
        Ok(Self {
            inbound: Inbound::new(settings, clients)?,
            secrets: secrets.into_iter().map(|secret| secret.to_owned().into()).collect(),
            tolerance: SignedDuration::from_secs(tolerance),
        })
    }
}

impl PaddleDoor {
    /// Keeps a call and answers what makes Paddle do the right thing next: it sends again whatever is not answered with 200, for
    /// three days. `signature` is the header field.
    pub async fn take(&self, call: Call, signature: Option<&str>) -> Result<(), Problem> {
        if Inbound::too_large(&call.body) {
            self.inbound.refuse(&call, Status::TooLarge, "longer than what is kept").await?;
            return Err(Problem::new(Kind::BodyTooLarge));
        }
        let refused = match signature::verify(signature, &call.body, &self.secrets, self.tolerance, now()) {
            Ok(()) => None,
            Err(why @ (Refusal::Unsigned | Refusal::Wrong)) => Some((Status::BadSignature, why)),
            Err(why @ Refusal::Stale(_)) => Some((Status::Stale, why)),
        };
        if let Some((status, why)) = refused {
            self.inbound.refuse(&call, status, &why.to_string()).await?;
            return Err(
                Problem::new(Kind::Unauthenticated).detail("The call is not signed by Paddle, or not now.")
            );
        }
        let Some(head) = Head::read(&call.body) else {
            // It may be our reading that is wrong: while Paddle sends it again, that can be mended.
            tracing::error!("a signed call of Paddle's is no event");
            self.inbound.refuse(&call, Status::Malformed, "signed, and no event").await?;
            return Err(Problem::new(Kind::InvalidBody).detail("This is no event of Paddle's."));
        };
        match self.inbound.accept(&call, &head.event_id, &head.event_type).await? {
            Kept::New(id) => tracing::info!(%id, event_type = head.event_type, "kept"),
            Kept::Repeat(id) => tracing::info!(%id, event_type = head.event_type, "sent again"),
        }
        Ok(())
    }
}
