//! Buying: a transaction at Paddle with the buyer in it, and the address where it is paid.

use std::time::Duration;

use aws::{Clients, CommitError, Deps, Outside, OutsideError, Transaction, idempotency};
use jiff::{SignedDuration, Timestamp};
use piecework_core::{
    Fault, Kind, Problem, Settings, UserId, WorkspaceId,
    idempotency::{Reply, Request},
    settings::SettingError,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    apply::{keep_in, known},
    deal::{Deal, Owner},
    prices::Prices,
};
use crate::{Billing, Claim, Error, GrantSource, Lot, LotId};

/// How long Paddle may take. The gateway gives up after 30 s.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a request under an idempotency key counts as being answered: longer than the function may take.
const LOCK: SignedDuration = SignedDuration::from_secs(30);
/// Longest answer that is read, octets.
const MAX_ANSWER: usize = 256 * 1024;
/// Units that one checkout may have.
const MOST: u32 = 10_000;

/// Makes checkouts at Paddle.
#[derive(Clone)]
pub struct Checkout {
    billing: Billing,
    prices: Prices,
    outside: Outside,
    url: String,
    key: Option<SecretString>,
}

impl Deps for Checkout {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        let url = settings.text("PADDLE_API_URL").unwrap_or("https://api.paddle.com");
        Ok(Self {
            billing: Billing::new(settings, clients)?,
            prices: Prices::new(settings)?,
            outside: Outside::default(),
            url: url.trim_end_matches('/').to_owned(),
            key: settings.text("PADDLE_API_KEY").map(|key| key.to_owned().into()),
        })
    }
}

/// What is to be bought.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCheckout {
    /// A price of Paddle's that is sold here.
    #[schema(max_length = 100, example = "pri_01gsz8x8sawmvhz1pv30nge1ke")]
    pub price_id: String,
    /// How many of it; one unless given.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 10000, default = 1)]
    pub quantity: u32,
}

fn one() -> u32 {
    1
}

/// A checkout.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CheckoutMade {
    /// Paddle's transaction; the purchase has it as `transaction_id`.
    pub transaction_id: String,
    /// Where it is paid: a page with Paddle.js. That a browser comes back from there proves nothing; the credits come when Paddle
    /// says that the transaction is completed.
    pub checkout_url: String,
    /// Credits that it buys.
    pub credits: u64,
}

/// A purchase of credits (V14).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Purchase {
    /// The provider's transaction.
    pub transaction_id: String,
    /// The lot of credits that it bought.
    pub lot: LotId,
    /// What was bought, in words.
    pub name: Option<String>,
    /// Credits bought.
    pub credits: u64,
    /// Of which so many are neither used nor gone. Below zero: so many are owed.
    pub remaining: i64,
    /// Refunded, in credits: `asked` by the refund, `taken` out of the lot.
    pub refund: Claim,
    /// Charged back, in credits.
    pub chargeback: Claim,
    /// From when on they are worth nothing, if ever.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// When they were granted.
    #[schema(value_type = String, format = DateTime)]
    pub granted_at: Timestamp,
}

impl Purchase {
    /// The purchase that a lot came of, if it did.
    pub fn of(lot: Lot) -> Option<Self> {
        (lot.source == GrantSource::Purchase).then_some(Self {
            transaction_id: lot.source_id,
            lot: lot.id,
            name: lot.name,
            credits: lot.amount,
            remaining: lot.remaining,
            refund: lot.refund,
            chargeback: lot.chargeback,
            expires_at: lot.expires_at,
            granted_at: lot.granted_at,
        })
    }
}

impl Checkout {
    /// Makes a transaction at Paddle for a workspace, once per idempotency key. If the answer is lost on its way, a repeat may
    /// leave an unpaid transaction at Paddle, which buys nothing.
    pub async fn make(
        &self,
        workspace: WorkspaceId,
        user: UserId,
        new: NewCheckout,
        request: Option<&Request>,
    ) -> Result<Reply, Problem> {
        let effect = self.make_once(Owner { workspace, user: Some(user) }, new, request);
        idempotency::once(&self.billing.table, request, effect).await
    }

    async fn make_once(
        &self,
        owner: Owner,
        new: NewCheckout,
        request: Option<&Request>,
    ) -> Result<Reply, Problem> {
        let invalid =
            |pointer, detail: &str| Problem::new(Kind::InvalidBody).fault(Fault::body(pointer, detail));
        let price = self.prices.get(&new.price_id).ok_or_else(|| invalid("/price_id", "is not sold here"))?;
        if !(1..=MOST).contains(&new.quantity) {
            return Err(invalid("/quantity", &format!("must be 1 to {MOST}")));
        }
        let claim = idempotency::Claim::begin(&self.billing.table, request, LOCK).await?;
        let outcome = self.ask_and_keep(owner, &new, price.credits, &claim).await;
        claim.end(outcome).await
    }

    async fn ask_and_keep(
        &self,
        owner: Owner,
        new: &NewCheckout,
        credits_each: u64,
        claim: &idempotency::Claim<'_>,
    ) -> Result<Reply, Problem> {
        let (transaction_id, checkout_url) = self.ask(owner, new).await?;
        let credits = credits_each * u64::from(new.quantity);
        let made = CheckoutMade { transaction_id, checkout_url, credits };
        let body = serde_json::to_string(&made).map_err(Problem::internal)?;
        let reply = Reply { status: 201, location: None, body };
        loop {
            // Paddle may have told of it already.
            let deal = known(&self.billing.table, &made.transaction_id).await?;
            let mut deal = deal.unwrap_or_else(|| Deal::new(made.transaction_id.clone()));
            deal.owner = Some(owner);
            let mut transaction = Transaction::new();
            keep_in(&mut transaction, &self.billing.table, deal);
            claim.finish_in(&mut transaction, &reply);
            match transaction.commit().await {
                Err(CommitError::Refused { label: "deal", .. }) => {}
                outcome => {
                    outcome.map_err(|error| Error::from(aws::Error::from(error)))?;
                    return Ok(reply);
                }
            }
        }
    }

    /// `POST /transactions` (<https://developer.paddle.com/api-reference/transactions/create-transaction>): its id and address.
    async fn ask(&self, owner: Owner, new: &NewCheckout) -> Result<(String, String), Problem> {
        #[derive(Deserialize)]
        struct Answer {
            data: Made,
        }
        #[derive(Deserialize)]
        struct Made {
            id: String,
            checkout: Address,
        }
        #[derive(Deserialize)]
        struct Address {
            url: String,
        }
        let key = self.key.as_ref().ok_or_else(|| {
            Problem::new(Kind::Unavailable).detail("Nothing is sold here: Paddle is not set up.")
        })?;
        let body = serde_json::json!({
            "items": [{ "price_id": new.price_id, "quantity": new.quantity }],
            "collection_mode": "automatic",
            "custom_data": owner,
        });
        let headers = [
            ("authorization", format!("Bearer {}", key.expose_secret())),
            ("content-type", "application/json".to_owned()),
            ("accept", "application/json".to_owned()),
            ("paddle-version", "1".to_owned()),
        ];
        let url = format!("{}/transactions", self.url);
        let answer = self.outside.post(&url, &headers, body.to_string(), PATIENCE, MAX_ANSWER).await;
        let got = answer.map_err(|error| {
            let kind = match error {
                // Paddle refuses what we ask: no use in trying again.
                OutsideError::Status(400..=428) | OutsideError::Address(_) => Kind::Internal,
                _ => Kind::Unavailable,
            };
            let mut problem = Problem::new(kind);
            problem.cause = Some(Box::new(error));
            problem
        })?;
        let Answer { data } = serde_json::from_slice(&got.body).map_err(Problem::internal)?;
        Ok((data.id, data.checkout.url))
    }
}
