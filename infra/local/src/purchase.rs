//! `piecework purchase`: a purchase at Paddle from the checkout to the refund, through the API and real notifications, with every
//! grant checked (V18).

use std::time::Duration;

use local_parties::PADDLE_PRICES;
use serde_json::{Value, json};

use crate::rehearsal::{Api, failed, line, until};
use crate::{Error, StackFile, keys};

/// How long anything may take before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Buys on a running stack and writes what happened.
///
/// # Errors
/// If a step fails, or ends in another balance than it should.
pub async fn run(stack: &StackFile) -> Result<(), Error> {
    let key = keys::create(stack, "purchase", &[]).await?;
    let api = Api::new(stack, key);
    let (price, units) = (PADDLE_PRICES[0].0, 3);
    let begin = available(&api).await?.as_i64().unwrap_or_default();
    line(&format!("  balance     {begin}"))?;

    let body = json!({ "price_id": price, "quantity": units });
    let checkout = api.client.post(format!("{}/v1/payments/paddle/checkout", stack.base_url));
    let checkout = api.json(checkout.header("idempotency-key", "a-purchase").json(&body)).await?;
    let transaction = checkout["transaction_id"].as_str().unwrap_or_default();
    let bought = checkout["credits"].as_i64().unwrap_or_default();
    line(&format!("  checkout    {transaction}, {bought} credits: {}", checkout["checkout_url"]))?;

    happen(&api, &json!({ "pay": transaction })).await?;
    reach(&api, begin + bought).await?;
    line(&format!("  paid        balance {}", begin + bought))?;
    let purchases = api.get("/v1/account/purchases").await?;
    let purchase = &purchases["data"][0];
    if purchase["transaction_id"] != transaction || purchase["credits"] != bought {
        return Err(Error::Demo(format!("the purchase is not among the purchases: {purchases}")));
    }
    // Paddle says everything at least once.
    happen(&api, &json!({ "pay": transaction })).await?;

    happen(&api, &json!({ "refund": transaction })).await?;
    reach(&api, begin).await?;
    line(&format!("  refunded    balance {begin}"))?;
    let credits = api.get("/v1/account/credits").await?;
    let balance = &credits["balance"];
    if balance["granted"] != begin + bought || balance["clawed"] != bought {
        return Err(Error::Demo(format!("the accounts do not add up: {balance}")));
    }
    line("  Each event had one effect.")
}

/// Lets something happen at the stand-in, which notifies the stack.
async fn happen(api: &Api<'_>, what: &Value) -> Result<(), Error> {
    let control = format!("{}/control", api.stack.endpoints.paddle);
    let told: Value =
        api.client.post(control).json(what).send().await.map_err(failed)?.json().await.map_err(failed)?;
    line(&format!("  notified    {} answered {}", told["events"], told["answers"]))?;
    match told["answers"].as_array() {
        Some(answers) if !answers.is_empty() && answers.iter().all(|status| *status == 200) => Ok(()),
        _ => Err(Error::Demo(format!("a notification was not taken: {told}"))),
    }
}

async fn available(api: &Api<'_>) -> Result<Value, Error> {
    Ok(api.get("/v1/account/credits").await?["balance"]["available"].clone())
}

/// Waits until so many credits are available.
async fn reach(api: &Api<'_>, wanted: i64) -> Result<(), Error> {
    until(PATIENCE, || available(api), |now| *now == wanted).await?;
    Ok(())
}
