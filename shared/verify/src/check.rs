//! One address, now (V1).

use aws::{
    Clients, CommitError, Deps, Transaction,
    idempotency::{self, Claim},
};
use billing::{Billing, Book, CREDITS_LABEL, Plan};
use email::{Status, Verification, inspect};
use jiff::{SignedDuration, Timestamp};
use piecework_core::{
    DomainEvent, Problem, Settings, UserId, WorkspaceId,
    idempotency::{Reply, Request},
    now,
    settings::SettingError,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Error, Network, Tasks};

piecework_core::typed_id!(CheckId, "chk", "A single check.");

/// How long a check under an idempotency key counts as being answered: longer than the function may take.
const LOCK: SignedDuration = SignedDuration::from_secs(30);

/// Checks single addresses.
#[derive(Clone)]
pub struct SingleCheck {
    tasks: Tasks,
    billing: Billing,
    network: Network,
}

impl Deps for SingleCheck {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        Ok(Self {
            tasks: Tasks::new(settings, clients)?,
            billing: Billing::new(settings, clients)?,
            network: Network::new(settings, clients)?,
        })
    }
}

/// An address to be checked.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckRequest {
    /// The address.
    #[schema(max_length = 1000, example = "ada@gmail.com")]
    pub email: String,
}

/// What was found out.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Checked {
    /// The result.
    #[serde(flatten)]
    pub result: Verification,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub validated_at: Timestamp,
    /// Credits charged: 1, or 0 for `unknown`.
    pub credits_charged: u64,
}

impl SingleCheck {
    /// Checks an address and charges for it, unless the result is `unknown`.
    pub async fn run(
        &self,
        workspace: WorkspaceId,
        actor: UserId,
        request: CheckRequest,
        once: Option<&Request>,
    ) -> Result<Reply, Problem> {
        idempotency::once(&self.tasks.table, once, self.run_once(workspace, actor, request, once)).await
    }

    async fn run_once(
        &self,
        workspace: WorkspaceId,
        actor: UserId,
        request: CheckRequest,
        once: Option<&Request>,
    ) -> Result<Reply, Error> {
        if request.email.len() > 1000 {
            return Err(Error::Unusable { pointer: "/email", detail: "must be at most 1000 octets".into() });
        }
        // Before the work: nobody waits for a result that they cannot pay for.
        let plan = self.billing.plan(&Book::credits(workspace), 1).await?;
        let claim = Claim::begin(&self.tasks.table, once, LOCK).await?;
        let outcome = self.answer(workspace, actor, request, plan, &claim).await;
        claim.end(outcome).await
    }

    /// Checks the address, then charges by the plan and keeps the answer under its key.
    async fn answer(
        &self,
        workspace: WorkspaceId,
        actor: UserId,
        request: CheckRequest,
        mut plan: Plan,
        claim: &Claim<'_>,
    ) -> Result<Reply, Error> {
        let found = inspect(&request.email);
        let (route, smtp) = match found.domain().map(str::to_owned) {
            None => (None, None),
            Some(domain) => {
                let route = self.network.route(&domain).await;
                let smtp = match &found.address {
                    Ok(address) => self.network.mailbox(address.normalized(), &domain, &route).await,
                    Err(_) => None,
                };
                (Some(route), smtp)
            }
        };
        let result = Verification::new(found, route.as_ref(), smtp);
        let credits_charged = u64::from(result.status != Status::Unknown);
        let status = result.status;
        let checked = Checked { result, validated_at: now(), credits_charged };
        let body = serde_json::to_string(&checked).map_err(|e| aws::Error::Shape(e.to_string()))?;
        let reply = Reply { status: 200, location: None, body };

        let id = CheckId::new();
        let data =
            serde_json::json!({ "verification_status": { name(status): 1 }, "charged": credits_charged });
        let event = DomainEvent::new("verification.address.checked", workspace, id, data).by(actor);
        loop {
            let mut transaction = Transaction::new();
            transaction.create(
                "event",
                &self.tasks.table,
                &aws::event_item(&format!("WSP#{workspace}"), &event),
            );
            if credits_charged > 0 {
                self.billing.charge_in(&mut transaction, &plan, &id.to_string());
            }
            claim.finish_in(&mut transaction, &reply);
            match transaction.commit().await {
                // The plan fails with the balance as it is now when others have spent it.
                Err(CommitError::Refused { label: CREDITS_LABEL, .. }) => {
                    plan = self.billing.plan(&Book::credits(workspace), 1).await?
                }
                outcome => {
                    outcome?;
                    let one = |wanted: Status| u64::from(status == wanted);
                    tracing::info!(
                        target: aws::metrics::WORK,
                        outcome = "checked", tasks = 0u64, checks = 1u64, valid = one(Status::Valid),
                        risky = one(Status::Risky), invalid = one(Status::Invalid),
                        unknown = one(Status::Unknown), charged = credits_charged, "checked"
                    );
                    return Ok(reply);
                }
            }
        }
    }
}

fn name(status: Status) -> &'static str {
    match status {
        Status::Valid => "valid",
        Status::Risky => "risky",
        Status::Invalid => "invalid",
        Status::Unknown => "unknown",
    }
}
