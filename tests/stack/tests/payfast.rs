//! PayFast: a payer goes there and comes back, and what PayFast says of it is believed only when it all fits (S5).

mod chargeback;
mod checkout;
mod confirmation;
mod door;
mod order;

use account::Scope;
use local::{Stack, StackOptions};
use reqwest::{Client, Method, Url};
use serde_json::{Value, json};

use crate::support::{Answer, App, start, until};

/// A payment that was begun.
struct Begun {
    /// Its id.
    id: String,
    /// Where the form goes.
    url: String,
    /// Its fields, in order.
    fields: Vec<(String, String)>,
}

/// A form's body.
fn form(fields: &[(String, String)]) -> String {
    Url::parse_with_params("http://form.test", fields).unwrap().query().unwrap_or_default().to_owned()
}

/// A browser's post of a form; it follows nothing by itself.
async fn post(url: &str, body: String) -> Answer {
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let media = "application/x-www-form-urlencoded";
    Answer::to(client.post(url).header("content-type", media).body(body)).await
}

impl Begun {
    fn of(answer: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let fields = answer["checkout"]["fields"].as_array().unwrap();
        Self {
            id: text(&answer["payment"]["id"]),
            url: text(&answer["checkout"]["url"]),
            fields: fields.iter().map(|f| (text(&f["name"]), text(&f["value"]))).collect(),
        }
    }

    fn value(&self, name: &str) -> &str {
        &self.fields.iter().find(|(known, _)| known == name).unwrap().1
    }

    /// The checkout page.
    async fn page(&self) -> Answer {
        post(&self.url, form(&self.fields)).await
    }

    /// Goes to PayFast and pays or cancels; where the browser is sent then.
    async fn leave(&self, stack: &Stack, way: &str) -> String {
        let page = self.page().await;
        assert_eq!(page.status, 200, "{}", page.text());
        let text = page.text();
        let action = text.split('"').find(|part| part.ends_with(&format!("/{way}"))).unwrap();
        let answer = post(&format!("{}{action}", stack.payfast().url()), String::new()).await;
        assert_eq!(answer.status, 302, "{}", answer.text());
        answer.header("location").unwrap().to_owned()
    }
}

/// Begins a payment of so many cents.
async fn begin(app: &App, cents: u64) -> Begun {
    Begun::of(&app.post("/v1/payments/payfast/initiate", &json!({ "amount": cents })).await.expect(201))
}

async fn status(app: &App, id: &str) -> Answer {
    app.send(app.request(Method::GET, &format!("/v1/payments/payfast/status?payment_id={id}"))).await
}

/// A stack with a shop that is paid by PayFast, a payer, and somebody of support.
struct Till {
    stack: Stack,
    payer: App,
    support: App,
}

impl Till {
    async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    async fn open_with(change: impl FnOnce(&mut StackOptions)) -> Self {
        let stack = start(change).await;
        let payer = App::on(&stack, &[Scope::Credits, Scope::Read]).await;
        let support = App::on(&stack, &[Scope::Admin]).await;
        Self { stack, payer, support }
    }

    /// Posts a notification, from where PayFast's come.
    async fn notify(&self, body: &str) -> Answer {
        post(&format!("{}/v1/payments/payfast/itn", self.stack.base_url()), body.to_owned()).await
    }

    /// What was kept of every call.
    async fn calls(&self) -> Vec<Value> {
        let calls = self.support.get("/v1/admin/inbound?provider=payfast&limit=200").await.expect(200);
        assert_eq!(calls["next_cursor"], Value::Null);
        calls["data"].as_array().unwrap().clone()
    }

    /// The call with this body, once it is no longer on its way.
    async fn call(&self, body: &str) -> Value {
        let hash = piecework_core::hex(&piecework_core::sha256(&[body.as_bytes()]));
        until("the end of a call", || async {
            self.calls()
                .await
                .into_iter()
                .find(|call| call["sha256"] == hash.as_str() && call["status"] != "received")
        })
        .await
    }

    /// Posts a notification that is taken; what becomes of it.
    async fn told(&self, body: &str) -> Value {
        let answer = self.notify(body).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, ""), "{body}");
        self.call(body).await
    }

    async fn state(&self, begun: &Begun) -> Value {
        status(&self.payer, &begun.id).await.expect(200)["state"].clone()
    }

    /// The payer's balance, and the entries that moved it.
    async fn wallet(&self) -> (Value, Vec<Value>) {
        let wallet = self.payer.get("/v1/wallet/balance?limit=200").await.expect(200);
        assert_eq!(
            (&wallet["currency"], &wallet["transactions"]["next_cursor"]),
            (&json!("ZAR"), &Value::Null)
        );
        let entries = wallet["transactions"]["data"].as_array().unwrap().clone();
        (wallet["balance"].clone(), entries)
    }

    async fn available(&self) -> i64 {
        self.wallet().await.0["available"].as_i64().unwrap()
    }

    async fn close(self) {
        self.stack.stop().await;
    }
}
