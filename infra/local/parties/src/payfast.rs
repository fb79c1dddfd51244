//! PayFast: a checkout page that checks the form's signature, notifications (ITNs) that are posted until they are taken, and the
//! confirmation of what was posted. It does as told, well or badly, and repeats and reorders.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

mod form;
mod pages;

pub use form::sign;
use form::{Fields, fault, parsed, text, value};

/// The merchant's id: that of the sandbox, which PayFast's documentation prints.
pub const MERCHANT_ID: &str = "10000100";
/// Its key, likewise.
pub const MERCHANT_KEY: &str = "46f0cd694581a";
/// Its passphrase, likewise.
pub const PASSPHRASE: &str = "jt7NOE43FZPn";
/// Longest body that is read.
const MAX_BODY: usize = 64 * 1024;
/// How often a notification is posted before it is given up.
const TRIES: usize = 6;
/// The pause before the third try, doubled before each that follows; ten minutes at PayFast.
const PAUSE: Duration = Duration::from_millis(200);

/// How it answers who asks whether a notification is its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Confirming {
    /// `VALID` if it is, `INVALID` if not.
    #[default]
    Truth,
    /// This, whatever it is asked.
    Says(String),
    /// Accepts and says nothing.
    Hangs,
    /// This status.
    Fails(u16),
}

/// A notification on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The body.
    pub body: String,
    /// What each try was answered; `None` if nothing was.
    pub answers: Vec<Option<u16>>,
}

/// A running stand-in. Dropping it ends it.
pub struct PayFast {
    url: String,
    shared: Shared,
    serving: JoinHandle<()>,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

#[derive(Clone)]
struct Shared {
    state: Arc<Mutex<State>>,
    client: Client<HttpConnector, Full<Bytes>>,
}

struct State {
    confirming: Confirming,
    /// The states that a payment's notifications say, in order.
    says: Vec<String>,
    /// Checkouts that were let in.
    checkouts: Vec<Fields>,
    /// Parameters of every notification made.
    made: BTreeSet<String>,
    deliveries: Vec<Delivery>,
    confirmations: usize,
    payments: u64,
}

impl PayFast {
    /// Starts it.
    ///
    /// # Errors
    /// If the address is not free.
    pub async fn start(addr: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let state = State {
            confirming: Confirming::Truth,
            says: vec!["COMPLETE".to_owned()],
            checkouts: Vec::new(),
            made: BTreeSet::new(),
            deliveries: Vec::new(),
            confirmations: 0,
            payments: 1_089_249,
        };
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
        let shared = Shared { state: Arc::new(Mutex::new(state)), client };
        let stop = CancellationToken::new();
        let served = shared.clone();
        let service = move |_| {
            let shared = served.clone();
            service_fn(move |request| {
                let shared = shared.clone();
                async move { Ok::<_, Infallible>(shared.answer(request).await) }
            })
        };
        let serving = tokio::spawn(local_serve::serve(listener, stop.clone(), Duration::ZERO, service));
        Ok(Self { url, shared, serving, _stop_on_drop: stop.clone().drop_guard(), stop })
    }

    /// Where it answers: `http://127.0.0.1:PORT`, in the place of `https://www.payfast.co.za`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How it answers who asks whether a notification is its own, from now on.
    pub fn confirm(&self, confirming: Confirming) {
        self.shared.lock().confirming = confirming;
    }

    /// What the notifications of a payment say from now on, in this order: `COMPLETE` unless told. One that stands twice is sent twice,
    /// the same to the octet.
    pub fn say(&self, states: &[&str]) {
        self.shared.lock().says = states.iter().map(|state| (*state).to_owned()).collect();
    }

    /// Every notification posted since the start, oldest first.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.shared.lock().deliveries.clone()
    }

    /// How often it was asked for a confirmation.
    pub fn confirmations(&self) -> usize {
        self.shared.lock().confirmations
    }

    /// The body of a notification that is its own, with these fields changed before it is signed, or put in before `merchant_id`;
    /// a number of its own for the payment unless one is given.
    pub fn notification(&self, payment: &str, amount: &str, changes: &[(&str, &str)]) -> String {
        self.shared.lock().notification(payment, amount, changes)
    }

    /// Ends it.
    pub async fn shutdown(self) {
        self.stop.cancel();
        let _ = self.serving.await;
    }
}

impl State {
    fn notification(&mut self, payment: &str, amount: &str, changes: &[(&str, &str)]) -> String {
        self.payments += 1;
        let theirs = self.payments.to_string();
        let mut fields: Fields = [
            ("m_payment_id", payment),
            ("pf_payment_id", &theirs),
            ("payment_status", "COMPLETE"),
            ("item_name", ""),
            ("item_description", ""),
            ("amount_gross", amount),
            ("amount_fee", "-2.30"),
            ("amount_net", ""),
            ("custom_str1", ""),
            ("custom_int1", ""),
            ("name_first", "Test"),
            ("name_last", "User 01"),
            ("email_address", "sbtu01@payfast.io"),
            ("merchant_id", MERCHANT_ID),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        for (name, value) in changes {
            match fields.iter_mut().find(|(known, _)| known == name) {
                Some((_, old)) => (*value).clone_into(old),
                None => fields.insert(fields.len() - 1, ((*name).to_owned(), (*value).to_owned())),
            }
        }
        let parameters = text(fields.iter());
        let signature = sign(&parameters, PASSPHRASE);
        let body = format!("{parameters}&signature={signature}");
        self.made.insert(parameters);
        body
    }

    /// The notifications of a payment that was made.
    fn paid(&mut self, checkout: &Fields) -> Vec<String> {
        self.payments += 1;
        let theirs = self.payments.to_string();
        let given = |name: &str| value(checkout, name);
        let mut bodies = Vec::new();
        for state in self.says.clone() {
            let changes = [
                ("pf_payment_id", theirs.as_str()),
                ("payment_status", &state),
                ("item_name", given("item_name")),
                ("custom_str1", given("custom_str1")),
            ];
            bodies.push(self.notification(given("m_payment_id"), given("amount"), &changes));
        }
        bodies
    }

    /// `{"confirm": "truth" | "invalid" | "hangs" | "fails", "say": ["PENDING", "COMPLETE"]}`.
    fn order(&mut self, order: &Value) -> Option<()> {
        self.confirming = match order["confirm"].as_str() {
            None => self.confirming.clone(),
            Some("truth") => Confirming::Truth,
            Some("invalid") => Confirming::Says("INVALID".to_owned()),
            Some("hangs") => Confirming::Hangs,
            Some("fails") => Confirming::Fails(500),
            Some(_) => return None,
        };
        if let Some(states) = order["say"].as_array() {
            self.says = states.iter().map(|s| s.as_str().map(str::to_owned)).collect::<Option<_>>()?;
        }
        Some(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
            return plain(StatusCode::PAYLOAD_TOO_LARGE, "");
        };
        let (path, body) = (head.uri.path(), body.to_bytes());
        if head.method != Method::POST {
            return plain(StatusCode::NOT_FOUND, "");
        }
        match path {
            "/eng/process" => self.checkout(&body),
            "/eng/query/validate" => self.validate(&body).await,
            "/control" => {
                match serde_json::from_slice(&body).ok().and_then(|order| self.lock().order(&order)) {
                    Some(()) => plain(StatusCode::OK, &json!({}).to_string()),
                    None => plain(StatusCode::BAD_REQUEST, &json!({ "error": "no such order" }).to_string()),
                }
            }
            _ => match path.strip_prefix("/eng/process/").and_then(|rest| rest.split_once('/')) {
                Some((number, way @ ("pay" | "cancel"))) => self.leave(number, way).await,
                _ => plain(StatusCode::NOT_FOUND, ""),
            },
        }
    }

    fn checkout(&self, body: &[u8]) -> Response<Full<Bytes>> {
        let fields = parsed(body);
        match fault(&fields, (MERCHANT_ID, MERCHANT_KEY), PASSPHRASE) {
            Some(why) => html(StatusCode::BAD_REQUEST, pages::refused(&why)),
            None => {
                let mut state = self.lock();
                state.checkouts.push(fields.clone());
                html(StatusCode::OK, pages::checkout(state.checkouts.len() - 1, &fields))
            }
        }
    }

    /// A buyer goes back to the shop: having paid, once the notifications have been tried, or not.
    async fn leave(&self, number: &str, way: &str) -> Response<Full<Bytes>> {
        let checkout = number.parse().ok().and_then(|n: usize| self.lock().checkouts.get(n).cloned());
        let Some(checkout) = checkout else { return plain(StatusCode::NOT_FOUND, "") };
        if way == "pay" {
            let bodies = self.lock().paid(&checkout);
            for body in bodies {
                self.deliver(value(&checkout, "notify_url").to_owned(), body).await;
            }
        }
        let to = value(&checkout, if way == "pay" { "return_url" } else { "cancel_url" });
        let mut answer = plain(StatusCode::FOUND, "");
        if let Ok(to) = to.parse() {
            answer.headers_mut().insert(http::header::LOCATION, to);
        }
        answer
    }

    /// Posts a notification; if it is not taken, goes on trying after this has returned.
    async fn deliver(&self, to: String, body: String) {
        let number = {
            let mut state = self.lock();
            state.deliveries.push(Delivery { body: body.clone(), answers: Vec::new() });
            state.deliveries.len() - 1
        };
        if self.post(number, &to, &body).await {
            return;
        }
        let this = self.clone();
        tokio::spawn(async move {
            let mut pause = Duration::ZERO;
            for _ in 1..TRIES {
                tokio::time::sleep(pause).await;
                if this.post(number, &to, &body).await {
                    return;
                }
                pause = if pause.is_zero() { PAUSE } else { pause * 2 };
            }
        });
    }

    /// Whether it was answered 200.
    async fn post(&self, number: usize, to: &str, body: &str) -> bool {
        let request = Request::post(to).header("content-type", "application/x-www-form-urlencoded");
        let request = request.body(Full::new(Bytes::from(body.to_owned())));
        let status = match request {
            Ok(request) => self.client.request(request).await.ok().map(|answer| answer.status().as_u16()),
            Err(_) => None,
        };
        if let Some(delivery) = self.lock().deliveries.get_mut(number) {
            delivery.answers.push(status);
        }
        status == Some(200)
    }

    async fn validate(&self, body: &[u8]) -> Response<Full<Bytes>> {
        let (confirming, known) = {
            let mut state = self.lock();
            state.confirmations += 1;
            (state.confirming.clone(), std::str::from_utf8(body).is_ok_and(|text| state.made.contains(text)))
        };
        match confirming {
            Confirming::Truth if known => plain(StatusCode::OK, "VALID"),
            Confirming::Truth => plain(StatusCode::OK, "INVALID"),
            Confirming::Says(text) => plain(StatusCode::OK, &text),
            Confirming::Fails(status) => {
                plain(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY), "")
            }
            Confirming::Hangs => std::future::pending().await,
        }
    }
}

fn plain(status: StatusCode, body: &str) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from(body.to_owned())));
    *answer.status_mut() = status;
    answer
}

fn html(status: StatusCode, page: String) -> Response<Full<Bytes>> {
    let mut answer = plain(status, &page);
    for (name, value) in
        [("content-type", "text/html; charset=utf-8"), ("content-security-policy", pages::POLICY)]
    {
        answer.headers_mut().insert(name, http::HeaderValue::from_static(value));
    }
    answer
}
