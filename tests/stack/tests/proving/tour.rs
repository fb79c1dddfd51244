//! Every route and every processor at work once, on a stack where nothing else happens, with the calls that each one made.

mod account;
mod payfast;
mod personal;

use std::time::Duration;

use ::account::Scope;
use local::Stack;
use local_gate::{Call, Fault, Rule, Trigger};
use local_parties::{PADDLE_PRICES, PADDLE_SECRET, Paddle};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    chaos::outcome::settled,
    paddle::Till,
    support::{Answer, App, Operator, until},
};

/// The processors behind the queues.
const PROCESSORS: [&str; 4] =
    ["verify-split-list", "verify-check-chunk", "verify-finish-task", "verify-record-usage"];

/// How often the SDK makes a call before it gives up.
const ATTEMPTS: u32 = 3;

/// A request or a message and what its function asked of AWS.
pub struct Step {
    /// The route, or the function and what it was given.
    pub name: String,
    pub calls: Vec<Call>,
}

pub struct Tour<'a> {
    stack: &'a Stack,
    pub app: App,
    pub steps: Vec<Step>,
    seen: usize,
    /// Whether each request has a key that was never used: its first use is written.
    fresh_keys: bool,
}

impl<'a> Tour<'a> {
    /// Goes everywhere, with one key or a new one for each request.
    pub async fn of(stack: &'a Stack, fresh_keys: bool) -> Self {
        let app = App::person(stack, Some("ada@example.com")).await;
        // The key's last use is written once an hour, by whoever comes first.
        app.get("/v1/account/credits").await.expect(200);
        let mut tour = Tour { stack, app, steps: Vec::new(), seen: 0, fresh_keys };
        tour.ops().await;
        tour.keys_and_credits().await;
        tour.me().await;
        tour.sso().await;
        tour.workspaces().await;
        tour.check().await;
        tour.list().await;
        tour.uploads().await;
        tour.purchases().await;
        tour.payfast().await;
        tour.rest().await;
        tour.erasure().await;
        tour
    }

    fn take(&mut self, name: &str, function: &str) {
        let all = self.stack.gate().calls();
        let calls = all[self.seen..].iter().filter(|c| c.function == function).cloned().collect();
        self.steps.push(Step { name: name.to_owned(), calls });
    }

    /// Waits until a processor has made this call so often since then, and all messages have come to their end: a queue alone does
    /// not tell of an event that no dispatcher has read yet.
    async fn worked(&self, since: usize, function: &str, operation: &str, times: usize) {
        until(function, || async {
            let calls = self.stack.gate().calls();
            let made = |c: &&Call| c.function == function && c.operation.ends_with(operation);
            (calls[since..].iter().filter(made).count() >= times).then_some(())
        })
        .await;
        settled(&self.app).await;
    }

    fn forget(&mut self) {
        self.seen = self.stack.gate().calls().len();
    }

    /// One request; `route` as in the templates.
    async fn send(&mut self, route: &str, note: &str, request: reqwest::RequestBuilder) -> Answer {
        self.forget();
        let answer = self.app.send(request).await;
        assert!(answer.status < 400, "{route}: {}", answer.text());
        let routes = &self.stack.model().routes;
        let found = routes.iter().find(|r| format!("{} {}", r.method, r.path) == route);
        let function = found.unwrap_or_else(|| panic!("no route {route}")).function.clone();
        let name = if note.is_empty() { route.to_owned() } else { format!("{route}, {note}") };
        self.take(&name, &function);
        answer
    }

    async fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        match self.fresh_keys {
            true => {
                let scopes = ["verify", "read", "credits", "keys", "workspaces", "personal"];
                self.app.narrowed(&scopes).await.request(method, path)
            }
            false => self.app.request(method, path),
        }
    }

    async fn get(&mut self, route: &str, path: &str) -> Answer {
        let request = self.request(Method::GET, path).await;
        self.send(route, "", request).await
    }

    async fn ops(&mut self) {
        for path in
            ["/openapi.json", "/v1/openapi.json", "/docs", "/v1/docs", "/v1/health", "/v1/thin/health"]
        {
            self.get(&format!("GET {path}"), path).await;
        }
        self.forget();
        self.app.get("/nowhere").await.problem(404, "not-found");
        self.take("ANY (no such route)", "ops-refuse-route");
    }

    async fn check(&mut self) {
        let route = "POST /v1/verify";
        for note in ["", "with an idempotency key", "a repeat of that"] {
            let request = self.request(Method::POST, "/v1/verify").await;
            let request = request.json(&json!({ "email": "ada@gmail.com" }));
            let request = match note {
                "" => request,
                _ => request.header("idempotency-key", "a-check-of-the-tour"),
            };
            self.send(route, note, request).await;
        }
        self.used(2).await;
    }

    /// Waits until the usage says so many valid addresses, and nothing is under way.
    async fn used(&self, valid: u64) {
        until("the usage", || async {
            (self.app.get("/v1/usage").await.expect(200)["total"]["valid"] == valid).then_some(())
        })
        .await;
        settled(&self.app).await;
    }

    /// A pasted list of three addresses at two domains, from the request to the download.
    async fn list(&mut self) {
        let request = self.request(Method::POST, "/v1/verification/tasks").await;
        let body = json!({ "emails": ["ada@gmail.com", "bob@a.corp.example", "cyd@gmail.com"] });
        let route = "POST /v1/verification/tasks";
        let request = request.header("idempotency-key", "a-list-of-the-tour").json(&body);
        let repeated = request.try_clone().unwrap();
        let made = self.send(route, "", request).await.json();
        let id = made["id"].as_str().unwrap().to_owned();
        self.app.finished(&id).await;
        self.used(5).await;
        for function in PROCESSORS {
            self.take(&format!("{function}, a list of 3 addresses at 2 domains"), function);
        }
        self.send(route, "a repeat", repeated).await;
        let task = format!("/v1/verification/tasks/{id}");
        self.get("GET /v1/verification/tasks/{id}", &task).await;
        self.get("GET /v1/verification/tasks", "/v1/verification/tasks").await;
        self.get("GET /v1/verification/tasks/{id}/jobs", &format!("{task}/jobs")).await;
        self.get("GET /v1/verification/tasks/{id}/events", &format!("{task}/events")).await;
        self.get("GET /v1/verification/tasks/{id}/download", &format!("{task}/download")).await;
        self.get("GET /v1/usage", "/v1/usage").await;
    }

    async fn uploads(&mut self) {
        let route = "POST /v1/verification/uploads";
        let file = "email\nada@gmail.com\nbob@a.corp.example\ncyd@gmail.com\n";
        let body = json!({ "file_name": "three.csv", "size": file.len() });
        let request = self.request(Method::POST, "/v1/verification/uploads").await.json(&body);
        let link = self.send(route, "", request).await.json();
        self.get("GET /v1/verification/uploads", "/v1/verification/uploads").await;
        self.get("GET /v1/verification/uploads/latest", "/v1/verification/uploads/latest").await;
        settled(&self.app).await;
        self.forget();
        assert_eq!(self.app.put(&link, file).await.status, 200);
        self.app.finished(link["task"]["id"].as_str().unwrap()).await;
        settled(&self.app).await;
        self.take("verify-split-list, an upload of 3 addresses", "verify-split-list");
        for note in ["with an idempotency key", "a repeat of that"] {
            let request = self.request(Method::POST, "/v1/verification/uploads").await.json(&body);
            let request = request.header("idempotency-key", "an-upload-of-the-tour");
            self.send(route, note, request).await;
        }
        // Never used: cancelled, which gives one event.
        let request = self.request(Method::POST, "/v1/verification/uploads").await.json(&body);
        let unused = self.app.send(request).await.expect(201);
        settled(&self.app).await;
        let path = format!("/v1/verification/tasks/{}/cancel", unused["task"]["id"].as_str().unwrap());
        let request = self.request(Method::POST, &path).await;
        self.send("POST /v1/verification/tasks/{id}/cancel", "", request).await;
        self.worked(self.seen, "verify-record-usage", "", 1).await;
        self.take("ops-dispatch-events, one event with one subscriber", "ops-dispatch-events");
    }

    /// A request of support's, by a route of theirs.
    async fn admin(&mut self, support: &App, method: Method, route: &str, path: &str) -> Answer {
        let fresh = match self.fresh_keys {
            true => Some(App::on(self.stack, &[Scope::Admin]).await),
            false => None,
        };
        let request = fresh.as_ref().unwrap_or(support).request(method, path);
        self.send(route, "", request).await
    }

    /// A notification of Paddle's, until it has been acted on.
    async fn notified(&mut self, note: &str, notification: &Value) -> Value {
        let till = Till::on(self.stack).await;
        settled(&self.app).await;
        let body = notification.to_string();
        let request = self.app.anonymous(Method::POST, "/v1/webhooks/paddle");
        let request = request.header("content-type", "application/json");
        let request = request.header("paddle-signature", Paddle::sign(PADDLE_SECRET, body.as_bytes()));
        self.send("POST /v1/webhooks/paddle", note, request.body(body)).await;
        let call = till.outcome(notification).await;
        settled(&self.app).await;
        if !note.contains("again") {
            self.take(&format!("billing-apply-paddle, {note}"), "billing-apply-paddle");
        }
        call
    }

    /// A purchase at Paddle, from the checkout to the refund, and what support sees of it.
    async fn purchases(&mut self) {
        let paddle = self.stack.paddle();
        let (route, body) = ("POST /v1/payments/paddle/checkout", json!({ "price_id": PADDLE_PRICES[2].0 }));
        let mut transaction = String::new();
        for note in ["", "with an idempotency key", "a repeat of that"] {
            let request = self.request(Method::POST, "/v1/payments/paddle/checkout").await.json(&body);
            let request = match note {
                "" => request,
                _ => request.header("idempotency-key", "a-checkout-of-the-tour"),
            };
            let made = self.send(route, note, request).await.json();
            made["transaction_id"].as_str().unwrap().clone_into(&mut transaction);
        }
        let told = paddle.pay(&transaction);
        self.notified("something that moves no credits", &told[0]).await;
        let call = self.notified("a purchase", &told[1]).await;
        self.notified("the purchase again", &told[1]).await;
        let asked = paddle.adjust(&transaction, "refund", Some(&[(0, 100)]));
        let approved = paddle.decide(asked["data"]["id"].as_str().unwrap(), "approved");
        self.notified("a refund", &approved).await;
        self.forget();
        let unsigned = self.app.anonymous(Method::POST, "/v1/webhooks/paddle").body("{}");
        self.app.send(unsigned).await.problem(401, "unauthenticated");
        self.take("POST /v1/webhooks/paddle, not signed", "billing-take-paddle");

        self.get("GET /v1/account/purchases", "/v1/account/purchases").await;
        self.get("GET /v1/overview", "/v1/overview").await;
        let entries = self.app.all("/v1/account/credits/history", 200).await;
        let held = entries.iter().find(|e| e["kind"] == "hold").unwrap();
        let path = format!("/v1/account/credits/entries/{}/trail", held["id"].as_str().unwrap());
        self.get("GET /v1/account/credits/entries/{id}/trail", &path).await;
        let support = App::on(self.stack, &[Scope::Admin]).await;
        support.get("/v1/admin/verification/tasks").await.expect(200);
        let list = "/v1/admin/inbound?provider=paddle";
        self.admin(&support, Method::GET, "GET /v1/admin/inbound", list).await;
        let applied = format!("{list}&status=applied");
        let request = support.request(Method::GET, &applied);
        self.send("GET /v1/admin/inbound", "of one status", request).await;
        let path = format!("/v1/admin/inbound/{}", call["id"].as_str().unwrap());
        self.admin(&support, Method::GET, "GET /v1/admin/inbound/{id}", &path).await;
        let route = "POST /v1/admin/inbound/{id}/replay";
        self.admin(&support, Method::POST, route, &format!("{path}/replay")).await;
        self.worked(self.seen, "billing-apply-paddle", "", 1).await;
        self.take("billing-apply-paddle, the purchase replayed", "billing-apply-paddle");

        // Nothing has expired; then the purchase has.
        for note in ["nothing to do", "a lot whose time is over"] {
            self.forget();
            self.stack.run_schedule("billing-expire-lots").await.unwrap();
            self.take(&format!("billing-expire-lots, {note}"), "billing-expire-lots");
            Operator::of(self.stack).let_the_lots_end(&self.app).await;
        }
    }

    async fn rest(&mut self) {
        let support = App::on(self.stack, &[Scope::Admin]).await;
        support.get("/v1/admin/verification/tasks").await.expect(200);
        let request = support.request(Method::GET, "/v1/admin/verification/tasks");
        self.send("GET /v1/admin/verification/tasks", "", request).await;
        // Nothing is open; then an upload whose link has ended.
        for note in ["nothing to do", "an upload that never came"] {
            self.forget();
            self.stack.run_schedule("verify-sweep-tasks").await.unwrap();
            self.take(&format!("verify-sweep-tasks, {note}"), "verify-sweep-tasks");
            let link = self.app.link(&json!({ "file_name": "never.csv", "size": 10 })).await;
            let id = link["task"]["id"].as_str().unwrap().to_owned();
            Operator::of(self.stack).let_the_link_end(&self.app, &id).await;
        }
    }

    fn rule(&self, function: &str, nth: u32, times: u32, fault: Fault) -> Trigger {
        self.stack.gate().arm(Rule { function: function.to_owned(), nth, times, fault })
    }

    /// What few requests do, for the grants that they need.
    pub async fn odds_and_ends(&self) {
        let (app, operator) = (&self.app, Operator::of(self.stack));
        let rule = |function, nth, times, fault| self.rule(function, nth, times, fault);
        let slow = |function| rule(function, 1, 1, Fault::Delay(Duration::from_secs(3)));
        let sweep = async |id: &str| {
            operator.let_the_sweep_come(app, id).await;
            self.stack.run_schedule("verify-sweep-tasks").await.unwrap();
        };
        let task = async |id: &str| app.get(&format!("/v1/verification/tasks/{id}")).await.expect(200);
        let list = ["ada@gmail.com", "bob@a.corp.example"];

        // Swept and cancelled before it is split.
        slow("verify-split-list");
        let id = app.task(&list).await;
        sweep(&id).await;
        let cancel = format!("/v1/verification/tasks/{id}/cancel");
        assert_eq!(app.post(&cancel, &json!(null)).await.expect(200)["state"], "cancelled");
        // A file that comes after its task was cancelled.
        let link = app.link(&json!({ "file_name": "late.csv", "size": 20 })).await;
        let cancel = format!("/v1/verification/tasks/{}/cancel", link["task"]["id"].as_str().unwrap());
        app.post(&cancel, &json!(null)).await.expect(200);
        assert_eq!(app.put(&link, "email\nada@gmail.com\n").await.status, 200);
        settled(app).await;
        // Swept and looked at before its chunk is checked.
        slow("verify-check-chunk");
        let id = app.task(&list).await;
        until("the split", || async { (task(&id).await["state"] == "running").then_some(()) }).await;
        sweep(&id).await;
        app.get(&format!("/v1/verification/tasks/{id}/jobs")).await.expect(200);
        app.finished(&id).await;
        // Swept before it is finished.
        slow("verify-finish-task");
        let id = app.task(&list).await;
        until("the check", || async { (task(&id).await["job_status"]["completed"] == 2).then_some(()) })
            .await;
        sweep(&id).await;
        app.finished(&id).await;
        // Split, and its messages not sent.
        let trigger = rule("verify-split-list", 6, 1, Fault::KillBefore);
        app.finished(&app.task(&list).await).await;
        assert!(trigger.hit());
        // Every processor fails once, and says when it wants its message again. What went before must be over, to the last address
        // of three lists in the usage: a second message in hand would share the failures, and each would pass by trying again.
        self.used(8 + 3 * 2).await;
        let failures = PROCESSORS.map(|function| rule(function, 1, ATTEMPTS, Fault::Fail));
        let id = app.task(&list).await;
        app.finished(&id).await;
        until("the failures", || async { failures.iter().all(Trigger::hit).then_some(()) }).await;
        settled(app).await;
        self.personal_oddities().await;
        // Its results have aged out.
        let (bucket, objects) = (self.stack.bucket("VerifyBucket").unwrap(), self.stack.objects());
        for key in objects.list(bucket).await.unwrap().iter().filter(|key| key.contains(&id)) {
            objects.delete(bucket, key).await.unwrap();
        }
        for what in ["download", "jobs"] {
            app.get(&format!("/v1/verification/tasks/{id}/{what}")).await.problem(410, "gone");
        }
        // Paddle's processor fails once.
        let (paddle, till) = (self.stack.paddle(), Till::on(self.stack).await);
        let failure = rule("billing-apply-paddle", 1, ATTEMPTS, Fault::Fail);
        let transaction = paddle.transaction(&[(PADDLE_PRICES[0].0, 1)], till.buyer());
        till.done(&paddle.pay(&transaction)[1], "applied").await;
        assert!(failure.hit());
        // A check cannot be charged, and gives up its claim on the key.
        let failure = rule("verify-check-address", 5, ATTEMPTS, Fault::Fail);
        let body = json!({ "email": "ada@gmail.com" });
        let check = || app.post_once("/v1/verify", "a-check-that-failed", &body);
        check().await.problem(503, "unavailable");
        assert!(failure.hit());
        check().await.expect(200);
        self.payfast_oddities().await;
        // Messages of somebody else's.
        let bad = [
            "PaddleQueue",
            "PayfastQueue",
            "SplitQueue",
            "ChunkQueue",
            "FinishQueue",
            "UsageQueue",
            "LeaveQueue",
            "CloseQueue",
            "ReceiptQueue",
            "PseudonymQueue",
            "EraseQueue",
            "ExportQueue",
            "MailQueue",
            "StatementQueue",
            "PortfolioQueue",
            "ArchiveQueue",
        ];
        for queue in bad {
            let url = self.stack.queue_url(queue).unwrap();
            self.stack.sqs().send(&url, "not a message of ours").await.unwrap();
        }
        until("the dead letters", || async {
            let health = app.get("/v1/health").await.expect(200);
            let dead =
                health["queues"].as_object().unwrap().iter().filter(|(name, _)| name.ends_with("-dead"));
            (dead.filter(|(_, q)| q["waiting"] == 1).count() == bad.len()).then_some(())
        })
        .await;
    }
}
