//! `piecework top-up`: a payment into a wallet from end to end, at PayFast's stand-in, with every step checked.

use std::io::Write as _;
use std::time::{Duration, Instant};

use account::Scope;
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

use crate::accounts::Accounts;
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
    let payer = accounts.create("payer", &[Scope::Credits]).await?.key.token;
    let support = accounts.create("support", &[Scope::Admin]).await?.key.token;
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().map_err(failed)?;
    let till = Till { stack, client, payer, support };

    till.order(&json!({ "confirm": "truth", "say": ["PENDING", "COMPLETE", "COMPLETE"] })).await?;
    let begun =
        till.api(Method::POST, "/v1/payments/payfast/initiate", Some(json!({ "amount": AMOUNT }))).await?;
    let id = text(&begun["payment"]["id"]);
    till.check("a payment is begun", &begun["payment"]["state"], &json!("pending"))?;
    let fields = begun["checkout"]["fields"].as_array().cloned().unwrap_or_default();
    let fields: Vec<_> = fields.iter().map(|f| (text(&f["name"]), text(&f["value"]))).collect();
    let page = till.post(&text(&begun["checkout"]["url"]), &fields).await?;
    till.check("PayFast takes its form", &json!(page.status().as_u16()), &json!(200))?;
    let page = page.text().await.map_err(failed)?;
    let pay = page.split('"').find(|part| part.ends_with("/pay")).unwrap_or_default();
    let back = till.post(&format!("{}{pay}", stack.endpoints.payfast), &[]).await?;
    let back = back.headers().get("location").and_then(|to| to.to_str().ok()).unwrap_or_default().to_owned();
    let expected = format!("{}/v1/payments/payfast/return?payment_id={id}", stack.base_url);
    till.check("the payer is sent back", &json!(back), &json!(expected))?;
    till.wait(&id, "complete").await?;
    till.check("the wallet has it, once", &till.available().await?, &json!(AMOUNT))?;

    let note = json!({ "reason": "a rehearsal" });
    let path = format!("/v1/admin/payments/payfast/{id}/chargeback");
    let taken = till.api(Method::POST, &path, Some(note.clone())).await?;
    till.check("the bank takes it back", &taken["payment"]["state"], &json!("charged_back"))?;
    till.check("the wallet is empty", &till.available().await?, &json!(0))?;
    let given = till.api(Method::POST, &format!("{path}/reversal"), Some(note)).await?;
    till.check("the bank gives it again", &given["payment"]["state"], &json!("complete"))?;
    till.check("the wallet has it again", &till.available().await?, &json!(AMOUNT))?;
    till.order(&json!({ "say": ["COMPLETE"] })).await
}

struct Till<'a> {
    stack: &'a StackFile,
    client: Client,
    payer: String,
    support: String,
}

fn failed(error: reqwest::Error) -> Error {
    Error::Demo(error.to_string())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl Till<'_> {
    fn check(&self, what: &str, given: &Value, expected: &Value) -> Result<(), Error> {
        if given != expected {
            return Err(Error::Demo(format!("NOT {what}: {given} instead of {expected}")));
        }
        Ok(writeln!(std::io::stdout(), "  {what}: {given}")?)
    }

    /// A request of the payer's; of support's where that is asked for.
    async fn api(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, Error> {
        let key = if path.starts_with("/v1/admin/") { &self.support } else { &self.payer };
        let request = self.client.request(method, format!("{}{path}", self.stack.base_url));
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let answer = request.header("x-api-key", key).send().await.map_err(failed)?;
        match answer.status().is_success() {
            true => answer.json().await.map_err(failed),
            false => {
                let (status, body) = (answer.status(), answer.text().await.unwrap_or_default());
                Err(Error::Demo(format!("{path} answered {status}: {body}")))
            }
        }
    }

    /// A browser's form.
    async fn post(&self, url: &str, fields: &[(String, String)]) -> Result<Response, Error> {
        let form = reqwest::Url::parse_with_params(url, fields).map_err(|e| Error::Demo(e.to_string()))?;
        let body = form.query().unwrap_or_default().to_owned();
        let request = self.client.post(url).header("content-type", "application/x-www-form-urlencoded");
        request.body(body).send().await.map_err(failed)
    }

    /// Tells the stand-in how to behave.
    async fn order(&self, order: &Value) -> Result<(), Error> {
        let url = format!("{}/control", self.stack.endpoints.payfast);
        self.client
            .post(url)
            .json(order)
            .send()
            .await
            .and_then(Response::error_for_status)
            .map_err(failed)?;
        Ok(())
    }

    async fn wait(&self, id: &str, state: &str) -> Result<(), Error> {
        let begun = Instant::now();
        loop {
            let path = format!("/v1/payments/payfast/status?payment_id={id}");
            let payment = self.api(Method::GET, &path, None).await?;
            if payment["state"] == state || begun.elapsed() > PATIENCE {
                return self.check("PayFast's notification has come", &payment["state"], &json!(state));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn available(&self) -> Result<Value, Error> {
        Ok(self.api(Method::GET, "/v1/wallet/balance", None).await?["balance"]["available"].clone())
    }
}
