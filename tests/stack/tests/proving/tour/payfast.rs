//! A payment into a wallet, from its form to its chargeback.

use account::Scope;
use local_parties::payfast::Confirming;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::Tour;
use crate::{
    chaos::outcome::settled,
    support::{App, until},
};

const INITIATE: &str = "/v1/payments/payfast/initiate";

impl Tour<'_> {
    /// Somebody of support: with a key that was never used, or one that was.
    async fn support(&self) -> App {
        let support = App::on(self.stack, &[Scope::Admin]).await;
        if !self.fresh_keys {
            support.get("/v1/admin/verification/tasks").await.expect(200);
        }
        support
    }

    fn itn(&self, body: &str) -> RequestBuilder {
        let request = self.app.anonymous(Method::POST, "/v1/payments/payfast/itn");
        request.header("content-type", "application/x-www-form-urlencoded").body(body.to_owned())
    }

    async fn credited(&self, app: &App, payment: &str) {
        let path = format!("/v1/payments/payfast/status?payment_id={payment}");
        until("the payment", || async {
            (app.get(&path).await.expect(200)["state"] == "complete").then_some(())
        })
        .await;
        settled(&self.app).await;
    }

    /// A payment that PayFast has said is complete.
    async fn notified_of(&self, app: &App) -> String {
        let begun = app.post(INITIATE, &json!({ "amount": 1000 })).await.expect(201);
        let id = begun["payment"]["id"].as_str().unwrap().to_owned();
        let body = self.stack.payfast().notification(&id, "10.00", &[]);
        assert_eq!(self.app.send(self.itn(&body)).await.status, 200);
        id
    }

    /// Somebody pays into their wallet.
    pub(super) async fn paid_in(&self, app: &App) {
        let id = self.notified_of(app).await;
        self.credited(app, &id).await;
    }

    pub(super) async fn payfast(&mut self) {
        let route = "POST /v1/payments/payfast/initiate";
        let mut begun = Value::Null;
        for note in ["", "with an idempotency key", "a repeat of that"] {
            let request = self.request(Method::POST, INITIATE).await.json(&json!({ "amount": 1000 }));
            let request = match note {
                "" => request,
                _ => request.header("idempotency-key", "a-payment-of-the-tour"),
            };
            begun = self.send(route, note, request).await.json();
        }
        let id = begun["payment"]["id"].as_str().unwrap().to_owned();
        let status = format!("/v1/payments/payfast/status?payment_id={id}");
        self.get("GET /v1/payments/payfast/status", &status).await;
        for way in ["return", "cancel"] {
            let path = format!("/v1/payments/payfast/{way}");
            let request = self.app.anonymous(Method::GET, &format!("{path}?payment_id={id}"));
            self.send(&format!("GET {path}"), "", request).await;
        }
        let payfast = self.stack.payfast();
        let failed = payfast.notification(&id, "10.00", &[("payment_status", "FAILED")]);
        let good = payfast.notification(&id, "10.00", &[]);
        let second = payfast.notification(&id, "10.00", &[]);
        let route = "POST /v1/payments/payfast/itn";
        for (body, note) in [
            (&failed, "a payment that failed"),
            (&good, "a payment that is complete"),
            (&second, "a payment that was paid before"),
        ] {
            self.send(route, "", self.itn(body)).await;
            self.worked(self.seen, "billing-apply-itn", "TransactWriteItems", 1).await;
            self.take(&format!("billing-apply-itn, {note}"), "billing-apply-itn");
            // One row for the route will do.
            if note != "a payment that failed" {
                let at = self.steps.len() - 2;
                self.steps.remove(at);
            }
        }
        self.credited(&self.app, &id).await;
        self.send(route, "a repeat", self.itn(&good)).await;
        self.forget();
        let forged = good.replace("COMPLETE", "PENDING");
        self.app.send(self.itn(&forged)).await.problem(401, "unauthenticated");
        self.take("POST /v1/payments/payfast/itn, refused", "billing-take-itn");
        self.get("GET /v1/wallet/balance", "/v1/wallet/balance").await;
        for claim in ["chargeback", "chargeback/reversal"] {
            let path = format!("/v1/admin/payments/payfast/{id}/{claim}");
            let body = json!({ "reason": "the tour" });
            let route = format!("POST /v1/admin/payments/payfast/{{id}}/{claim}");
            for note in ["", "a repeat"] {
                let request = self.support().await.request(Method::POST, &path).json(&body);
                if note.is_empty() {
                    self.send(&route, note, request).await;
                    continue;
                }
                // Without a key it is refused, for it is done.
                self.app.send(request).await.problem(409, "wrong-state");
            }
        }
        settled(&self.app).await;
    }

    /// What is needed when PayFast does not answer, and of a chargeback that comes twice by its key.
    pub(super) async fn payfast_oddities(&self) {
        let payfast = self.stack.payfast();
        payfast.confirm(Confirming::Fails(500));
        let asked = payfast.confirmations();
        let id = self.notified_of(&self.app).await;
        until("the question", || async { (payfast.confirmations() > asked).then_some(()) }).await;
        payfast.confirm(Confirming::Truth);
        self.credited(&self.app, &id).await;
        for claim in ["chargeback", "chargeback/reversal"] {
            let (support, path) = (self.support().await, format!("/v1/admin/payments/payfast/{id}/{claim}"));
            for _ in 0..2 {
                support
                    .post_once(&path, "a-claim-of-the-tour", &json!({ "reason": "the tour" }))
                    .await
                    .expect(200);
            }
        }
    }
}
