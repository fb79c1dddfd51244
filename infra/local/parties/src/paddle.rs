//! Paddle Billing: its API as far as buying and refunding go, and the notifications that come of it, signed as Paddle signs them.
//!
//! Nobody pays here: [`Paddle::pay`] says that somebody did. Notifications can be had as they are, to be sent in whatever order, or
//! be delivered, and then as it is told to: again, the wrong way round, late, or with a stranger's signature before the right one.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, service::service_fn};
use ring::hmac;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The key of its API.
pub const PADDLE_KEY: &str = "pdl_local_apikey_01jzpiecework_standin";
/// The secret that it signs with.
pub const PADDLE_SECRET: &str = "pdl_ntfset_01jzpiecework_AbC/dEf+123";
/// A secret that is to be believed too: the one before the last rotation.
pub const PADDLE_OLD_SECRET: &str = "pdl_ntfset_01jyrotated_out/secret+ZyX";
/// What it sells, with the price of one unit in cents: 1,000 credits, 10,000 credits, 500 credits for thirty days, and something
/// that buys no credits.
pub const PADDLE_PRICES: [(&str, u64); 4] = [
    ("pri_01gsz8x8sawmvhz1pv30nge1ke", 1_000),
    ("pri_01jzpiecework10000credits0", 8_000),
    ("pri_01jzpiecework500credits30d", 400),
    ("pri_01jzpiecework000something0", 100),
];

/// How often it tries to deliver a notification that is not answered with 200.
const ATTEMPTS: u32 = 5;

/// How it delivers notifications.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PaddleManner {
    /// How often more than once.
    pub repeats: u32,
    /// The last first.
    pub reversed: bool,
    /// How long after they happened.
    pub late: Duration,
    /// Each first with a stranger's signature.
    pub forged: bool,
}

/// A running stand-in. Dropping it ends it.
pub struct Paddle {
    url: String,
    state: Arc<Mutex<State>>,
    serving: JoinHandle<()>,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

#[derive(Default)]
struct State {
    /// Where notifications go.
    destination: String,
    manner: PaddleManner,
    made: u64,
    /// When something happened last, epoch microseconds.
    time: i64,
    transactions: BTreeMap<String, Value>,
    adjustments: BTreeMap<String, Value>,
    /// How often a transaction was asked for.
    asked: u64,
    /// The status that the API answers with instead, if it is told to.
    failing: Option<u16>,
}

impl Paddle {
    /// Listens at an address.
    ///
    /// # Errors
    /// If it is taken.
    pub async fn start(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (state, stop) = (Arc::new(Mutex::new(State::default())), CancellationToken::new());
        let kept = Arc::clone(&state);
        let service = move |_| {
            let kept = Arc::clone(&kept);
            service_fn(move |request| {
                let kept = Arc::clone(&kept);
                async move { Ok::<_, Infallible>(answer(request, &kept).await) }
            })
        };
        let serving = tokio::spawn(local_serve::serve(listener, stop.clone(), Duration::ZERO, service));
        Ok(Self { url, state, serving, _stop_on_drop: stop.clone().drop_guard(), stop })
    }

    /// Where its API answers: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where notifications go from now on.
    pub fn notify(&self, destination: &str) {
        destination.clone_into(&mut lock(&self.state).destination);
    }

    /// How it delivers notifications from now on.
    pub fn behave(&self, manner: PaddleManner) {
        lock(&self.state).manner = manner;
    }

    /// The API answers with this status from now on; as it should, without one.
    pub fn fail(&self, status: Option<u16>) {
        lock(&self.state).failing = status;
    }

    /// How often a transaction was asked for.
    pub fn asked(&self) -> u64 {
        lock(&self.state).asked
    }

    /// A transaction that nobody asked the API for: so many units of each price, with this custom data.
    pub fn transaction(&self, items: &[(&str, i64)], custom_data: Value) -> String {
        let items: Vec<Value> = items
            .iter()
            .map(|(price, quantity)| json!({ "price_id": price, "quantity": quantity }))
            .collect();
        let made = lock(&self.state).make(&json!({ "items": items, "custom_data": custom_data }));
        made["id"].as_str().unwrap_or_default().to_owned()
    }

    /// Somebody pays: the notifications that it was paid and completed.
    pub fn pay(&self, transaction: &str) -> Vec<Value> {
        lock(&self.state).pay(transaction)
    }

    /// An adjustment of this action to a transaction, in all of it or, by line, in so many cents of its price: its notification.
    pub fn adjust(&self, transaction: &str, action: &str, parts: Option<&[(usize, u64)]>) -> Value {
        lock(&self.state).adjust(transaction, action, parts)
    }

    /// An adjustment gets another status: its notification.
    pub fn decide(&self, adjustment: &str, status: &str) -> Value {
        lock(&self.state).decide(adjustment, status)
    }

    /// The header field that signs a body now, with this secret.
    pub fn sign(secret: &str, body: &[u8]) -> String {
        Self::sign_at(secret, now().as_secs(), body)
    }

    /// The header field that signs a body at a time, epoch seconds.
    pub fn sign_at(secret: &str, seconds: u64, body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let tag = hmac::sign(&key, &[format!("{seconds}:").as_bytes(), body].concat());
        let h1: String = tag.as_ref().iter().map(|octet| format!("{octet:02x}")).collect();
        format!("ts={seconds};h1={h1}")
    }

    /// Delivers notifications in its present manner; the status that each attempt was answered with.
    pub async fn deliver(&self, notifications: &[Value]) -> Vec<u16> {
        let (destination, manner) = {
            let state = lock(&self.state);
            (state.destination.clone(), state.manner.clone())
        };
        deliver(&destination, &manner, notifications).await
    }

    /// Ends it.
    pub async fn shutdown(self) {
        self.stop.cancel();
        // It ends when it is told to.
        let _ = self.serving.await;
    }
}

async fn deliver(destination: &str, manner: &PaddleManner, notifications: &[Value]) -> Vec<u16> {
    tokio::time::sleep(manner.late).await;
    let mut all: Vec<&Value> = notifications.iter().collect();
    if manner.reversed {
        all.reverse();
    }
    let mut answers = Vec::new();
    for _ in 0..=manner.repeats {
        for notification in &all {
            let body = notification.to_string();
            if manner.forged {
                let signature = Paddle::sign("pdl_ntfset_somebody_else", body.as_bytes());
                answers.push(post(destination, &body, &signature).await.unwrap_or(0));
            }
            for attempt in 1..=ATTEMPTS {
                let signature = Paddle::sign(PADDLE_SECRET, body.as_bytes());
                let status = post(destination, &body, &signature).await.unwrap_or(0);
                answers.push(status);
                if status == 200 {
                    break;
                }
                // As Paddle does, only sooner.
                tokio::time::sleep(Duration::from_millis(100) * attempt).await;
            }
        }
    }
    answers
}

/// Sends a notification; the status of the answer.
async fn post(url: &str, body: &str, signature: &str) -> io::Result<u16> {
    let wrong = || io::Error::other("not an address of this machine");
    let (host, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).ok_or_else(wrong)?;
    let mut stream = TcpStream::connect(host).await?;
    let head = format!(
        "POST /{path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\nuser-agent: Paddle\r\npaddle-signature: {signature}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let status = answer.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
    status.and_then(|digits| digits.parse().ok()).ok_or_else(|| io::Error::other("not an answer"))
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// An id as Paddle's are: a prefix and 26 characters. Those of two stand-ins must not meet, for tables outlive them.
    fn id(&mut self, prefix: &str) -> String {
        self.made += 1;
        format!("{prefix}_{:014x}{:012x}", now().as_micros() & 0xff_ffff_ffff_ffff, self.made)
    }

    /// A time later than every one before it.
    fn time(&mut self) -> String {
        self.time = jiff::Timestamp::now().as_microsecond().max(self.time + 1);
        jiff::Timestamp::from_microsecond(self.time).unwrap_or_default().to_string()
    }

    fn event(&mut self, kind: &str, data: &Value) -> Value {
        json!({ "event_id": self.id("evt"), "event_type": kind, "occurred_at": self.time(),
            "notification_id": self.id("ntf"), "data": data })
    }

    fn make(&mut self, asked: &Value) -> Value {
        let id = self.id("txn");
        let (mut items, mut lines, mut total) = (Vec::new(), Vec::new(), 0);
        for item in asked["items"].as_array().into_iter().flatten() {
            let (price, quantity) = (item["price_id"].clone(), item["quantity"].as_i64().unwrap_or(1));
            let known = PADDLE_PRICES.iter().find(|(id, _)| price == **id);
            let cents = known.map_or(100, |(_, cents)| *cents) * quantity.unsigned_abs();
            total += cents;
            items.push(json!({ "price": { "id": price, "billing_cycle": null }, "quantity": quantity }));
            lines.push(json!({ "id": self.id("txnitm"), "price_id": price, "quantity": quantity,
                "totals": { "subtotal": cents.to_string(), "tax": "0", "total": cents.to_string() } }));
        }
        let totals =
            json!({ "total": total.to_string(), "grand_total": total.to_string(), "currency_code": "USD" });
        let made = json!({ "id": id, "status": "ready", "origin": "api", "currency_code": "USD",
            "custom_data": asked["custom_data"], "items": items,
            "details": { "totals": totals, "line_items": lines },
            "checkout": { "url": format!("http://localhost:3000/pay?_ptxn={id}") } });
        self.transactions.insert(id, made.clone());
        made
    }

    fn pay(&mut self, id: &str) -> Vec<Value> {
        let Some(mut paid) = self.transactions.get(id).cloned() else { return Vec::new() };
        let mut told = Vec::new();
        for status in ["paid", "completed"] {
            paid["status"] = status.into();
            told.push(self.event(&format!("transaction.{status}"), &paid));
        }
        self.transactions.insert(id.to_owned(), paid);
        told
    }

    fn adjust(&mut self, id: &str, action: &str, parts: Option<&[(usize, u64)]>) -> Value {
        let transaction = self.transactions.get(id).cloned().unwrap_or_default();
        let lines = &transaction["details"]["line_items"];
        let mut items = Vec::new();
        match parts {
            Some(parts) => {
                for (line, cents) in parts {
                    items.push(
                        json!({ "id": self.id("adjitm"), "item_id": lines[*line]["id"], "type": "partial",
                        "amount": cents.to_string(), "totals": { "total": cents.to_string() } }),
                    );
                }
            }
            None => {
                for line in lines.as_array().into_iter().flatten() {
                    items.push(json!({ "id": self.id("adjitm"), "item_id": line["id"], "type": "full",
                        "amount": null, "totals": line["totals"] }));
                }
            }
        }
        let status = if action == "refund" { "pending_approval" } else { "approved" };
        let kind = if parts.is_some() { "partial" } else { "full" };
        let made = json!({ "id": self.id("adj"), "action": action, "type": kind, "status": status,
            "transaction_id": id, "currency_code": transaction["currency_code"], "items": items,
            "totals": { "total": transaction["details"]["totals"]["total"] } });
        self.adjustments.insert(made["id"].as_str().unwrap_or_default().to_owned(), made.clone());
        self.event("adjustment.created", &made)
    }

    fn decide(&mut self, id: &str, status: &str) -> Value {
        let Some(mut adjustment) = self.adjustments.get(id).cloned() else { return Value::Null };
        adjustment["status"] = status.into();
        self.adjustments.insert(id.to_owned(), adjustment.clone());
        self.event("adjustment.updated", &adjustment)
    }
}

type Answer = Response<Full<bytes::Bytes>>;

fn reply(status: StatusCode, body: &Value) -> Answer {
    let mut answer = Response::new(Full::from(body.to_string()));
    *answer.status_mut() = status;
    answer.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    answer
}

fn refused(status: StatusCode, code: &str) -> Answer {
    let error = json!({ "type": "request_error", "code": code, "detail": "See the documentation." });
    reply(status, &json!({ "error": error, "meta": { "request_id": "standin" } }))
}

/// The API, and `POST /control` for whoever runs it: `{"pay": "txn_…"}`, `{"refund": "txn_…"}` (approved at once),
/// `{"chargeback": "txn_…"}` and `{"status": "reversed", "adjustment": "adj_…"}` happen, and are delivered.
async fn answer(request: Request<Incoming>, state: &Mutex<State>) -> Answer {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let path = parts.uri.path();
    if path == "/control" {
        return control(&asked, state).await;
    }
    let key = parts.headers.get("authorization").and_then(|value| value.to_str().ok());
    if key != Some(&format!("Bearer {PADDLE_KEY}")) {
        return refused(StatusCode::FORBIDDEN, "authentication_malformed");
    }
    let mut state = lock(state);
    if let Some(status) = state.failing.and_then(|status| StatusCode::from_u16(status).ok()) {
        return refused(status, "told_to_fail");
    }
    let found = |thing: Option<&Value>| match thing {
        Some(data) => reply(StatusCode::OK, &json!({ "data": data, "meta": { "request_id": "standin" } })),
        None => refused(StatusCode::NOT_FOUND, "not_found"),
    };
    match (&parts.method, path) {
        (&Method::POST, "/transactions") => {
            state.asked += 1;
            let fits = |item: &Value| {
                item["price_id"].is_string() && item["quantity"].as_i64().is_some_and(|q| q > 0)
            };
            if !asked["items"].as_array().is_some_and(|items| !items.is_empty() && items.iter().all(fits)) {
                return refused(StatusCode::BAD_REQUEST, "bad_request");
            }
            let made = state.make(&asked);
            reply(StatusCode::CREATED, &json!({ "data": made, "meta": { "request_id": "standin" } }))
        }
        (&Method::GET, path) => match path.strip_prefix("/transactions/") {
            Some(id) => found(state.transactions.get(id)),
            None => found(path.strip_prefix("/adjustments/").and_then(|id| state.adjustments.get(id))),
        },
        _ => refused(StatusCode::NOT_FOUND, "not_found"),
    }
}

async fn control(asked: &Value, state: &Mutex<State>) -> Answer {
    let (destination, manner, told) = {
        let mut state = lock(state);
        let text = |name: &str| asked[name].as_str().map(str::to_owned);
        let mut told = Vec::new();
        if let Some(transaction) = text("pay") {
            told.extend(state.pay(&transaction));
        }
        if let Some(transaction) = text("refund") {
            let asked_for = state.adjust(&transaction, "refund", None);
            let adjustment = asked_for["data"]["id"].as_str().unwrap_or_default().to_owned();
            told.push(asked_for);
            told.push(state.decide(&adjustment, "approved"));
        }
        if let Some(transaction) = text("chargeback") {
            told.push(state.adjust(&transaction, "chargeback", None));
        }
        if let (Some(adjustment), Some(status)) = (text("adjustment"), text("status")) {
            told.push(state.decide(&adjustment, &status));
        }
        (state.destination.clone(), state.manner.clone(), told)
    };
    let answers = deliver(&destination, &manner, &told).await;
    let events: Vec<&Value> = told.iter().map(|event| &event["event_type"]).collect();
    reply(StatusCode::OK, &json!({ "events": events, "answers": answers, "told": told }))
}
