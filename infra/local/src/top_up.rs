//! `piecework top-up`: a payment into a wallet from end to end, at PayFast's stand-in, with every step checked.

use std::time::Duration;

use account::Scope;
use reqwest::{Client, Response, redirect::Policy};
use serde_json::{Value, json};

use crate::accounts::Accounts;
use crate::rehearsal::{Api, check, failed, until};
use crate::{Error, StackFile};

/// What is paid, in cents.
const AMOUNT: u64 = 12_345;
/// How long the notification may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Pays into the wallet of a new user, lets the notification come twice, has the payment charged back and given again, and says what
/// held.
///
/// # Errors
/// If a step does not end as it should.
pub async fn run(stack: &StackFile) -> Result<(), Error> {
    let accounts = Accounts::of_file(stack)?;
    let payer = Api::new(stack, accounts.create("payer", &[Scope::Credits]).await?.key.token);
    let support = Api::new(stack, accounts.create("support", &[Scope::Admin]).await?.key.token);
    let browser = Client::builder().redirect(Policy::none()).build().map_err(failed)?;

    order(&payer, &json!({ "confirm": "truth", "say": ["PENDING", "COMPLETE", "COMPLETE"] })).await?;
    let begun = payer.post("/v1/payments/payfast/initiate", &json!({ "amount": AMOUNT })).await?;
    let id = text(&begun["payment"]["id"]);
    check("a payment is begun", &begun["payment"]["state"], &json!("pending"))?;
    let fields = begun["checkout"]["fields"].as_array().cloned().unwrap_or_default();
    let fields: Vec<_> = fields.iter().map(|f| (text(&f["name"]), text(&f["value"]))).collect();
    let page = submit(&browser, &text(&begun["checkout"]["url"]), &fields).await?;
    check("PayFast takes its form", &json!(page.status().as_u16()), &json!(200))?;
    let page = page.text().await.map_err(failed)?;
    let pay = page.split('"').find(|part| part.ends_with("/pay")).unwrap_or_default();
    let back = submit(&browser, &format!("{}{pay}", stack.endpoints.payfast), &[]).await?;
    let back = back.headers().get("location").and_then(|to| to.to_str().ok()).unwrap_or_default().to_owned();
    let expected = format!("{}/v1/payments/payfast/return?payment_id={id}", stack.base_url);
    check("the payer is sent back", &json!(back), &json!(expected))?;
    let status = format!("/v1/payments/payfast/status?payment_id={id}");
    let told = until(PATIENCE, || payer.get(&status), |payment| payment["state"] == "complete").await?;
    check("PayFast's notification has come", &told["state"], &json!("complete"))?;
    check("the wallet has it, once", &available(&payer).await?, &json!(AMOUNT))?;

    let note = json!({ "reason": "a rehearsal" });
    let path = format!("/v1/admin/payments/payfast/{id}/chargeback");
    let taken = support.post(&path, &note).await?;
    check("the bank takes it back", &taken["payment"]["state"], &json!("charged_back"))?;
    check("the wallet is empty", &available(&payer).await?, &json!(0))?;
    let given = support.post(&format!("{path}/reversal"), &note).await?;
    check("the bank gives it again", &given["payment"]["state"], &json!("complete"))?;
    check("the wallet has it again", &available(&payer).await?, &json!(AMOUNT))?;
    order(&payer, &json!({ "say": ["COMPLETE"] })).await
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A browser's form.
async fn submit(browser: &Client, url: &str, fields: &[(String, String)]) -> Result<Response, Error> {
    let form = reqwest::Url::parse_with_params(url, fields).map_err(failed)?;
    let body = form.query().unwrap_or_default().to_owned();
    let request = browser.post(url).header("content-type", "application/x-www-form-urlencoded");
    request.body(body).send().await.map_err(failed)
}

/// Tells the stand-in how to behave.
async fn order(api: &Api<'_>, order: &Value) -> Result<(), Error> {
    let url = format!("{}/control", api.stack.endpoints.payfast);
    let told = api.client.post(url).json(order).send().await;
    told.and_then(Response::error_for_status).map_err(failed)?;
    Ok(())
}

async fn available(api: &Api<'_>) -> Result<Value, Error> {
    Ok(api.get("/v1/wallet/balance").await?["balance"]["available"].clone())
}
