//! Paddle: what is bought, refunded and charged back, by real notifications, whatever comes of them on their way (V12 to V14, V18).

mod door;
mod order;
mod story;

use account::Scope;
use local::Stack;
use local_parties::{PADDLE_SECRET, Paddle};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, App, until};

const WEBHOOK: &str = "/v1/webhooks/paddle";
const CHECKOUT: &str = "/v1/payments/paddle/checkout";

/// A customer, and somebody from support.
struct Till {
    app: App,
    support: App,
}

impl Till {
    async fn on(stack: &Stack) -> Self {
        let app = App::on(stack, &[Scope::Verify, Scope::Read, Scope::Credits, Scope::Keys]).await;
        Self { app, support: App::on(stack, &[Scope::Admin]).await }
    }

    /// Who buys, as our checkouts say it to Paddle.
    fn buyer(&self) -> Value {
        json!({ "workspace": self.app.workspace })
    }

    /// Begins a purchase through the API; Paddle's transaction.
    async fn checkout(&self, price: &str, quantity: u32) -> String {
        let body = json!({ "price_id": price, "quantity": quantity });
        let made = self.app.post(CHECKOUT, &body).await.expect(201);
        made["transaction_id"].as_str().unwrap().to_owned()
    }

    /// Sends octets as Paddle would, signed or not.
    async fn call(&self, body: impl Into<Vec<u8>>, signature: Option<&str>) -> Answer {
        let request = self.app.anonymous(Method::POST, WEBHOOK).header("content-type", "application/json");
        let request = match signature {
            Some(signature) => request.header("paddle-signature", signature),
            None => request,
        };
        self.app.send(request.body(body.into())).await
    }

    /// Sends a notification, well signed.
    async fn notify(&self, notification: &Value) -> Answer {
        let body = notification.to_string();
        let signature = Paddle::sign(PADDLE_SECRET, body.as_bytes());
        self.call(body, Some(&signature)).await
    }

    /// The calls that support sees, newest first.
    async fn calls(&self) -> Vec<Value> {
        self.support.get("/v1/admin/inbound?provider=paddle&limit=200").await.expect(200)["data"]
            .as_array()
            .unwrap()
            .clone()
    }

    /// What became of a notification, once something did.
    async fn outcome(&self, notification: &Value) -> Value {
        let id = &notification["event_id"];
        until("an outcome", || async {
            let calls = self.calls().await;
            calls.into_iter().find(|call| call["event_id"] == *id && call["status"] != "received")
        })
        .await
    }

    /// Sends a notification and waits for what becomes of it.
    async fn done(&self, notification: &Value, status: &str) -> Value {
        self.notify(notification).await.expect(200);
        let call = self.outcome(notification).await;
        assert_eq!(call["status"], status, "{call}");
        call
    }

    /// The sums of granted, available and clawed credits beyond those for signing up.
    async fn bought(&self) -> (i64, i64, i64) {
        let balance = self.app.balance().await;
        (balance["granted"] - 10_000, balance["available"] - 10_000 + balance["spent"], balance["clawed"])
    }
}
