//! PayFast: a payer goes there and comes back, and what PayFast says of it is believed only when it all fits (S5).

mod checkout;

use local::Stack;
use reqwest::{Client, Method, Url};
use serde_json::{Value, json};

use crate::support::{Answer, App};

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
