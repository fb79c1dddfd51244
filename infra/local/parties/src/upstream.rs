//! Another verification API, as far as it answers: whatever it is told to. What it was asked is kept.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How it answers a request.
#[derive(Debug, Clone)]
pub enum UpstreamManner {
    /// This status, these header fields, this body.
    Says(u16, Vec<(&'static str, String)>, Bytes),
    /// Reads the request and says nothing.
    Hangs,
    /// Reads the request and closes the connection.
    Closes,
}

impl UpstreamManner {
    /// JSON of this status.
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        let media = if status < 400 { "application/json" } else { "application/problem+json" };
        Self::Says(status, vec![("content-type", media.to_owned())], body.to_string().into())
    }
}

/// What it was asked.
#[derive(Debug, Clone)]
pub struct UpstreamAsked {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Header fields by their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Bytes,
}

struct State {
    first: VecDeque<UpstreamManner>,
    manner: UpstreamManner,
    asked: Vec<UpstreamAsked>,
}

/// A running stand-in. Dropping it ends it.
pub struct UpstreamServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    serving: JoinHandle<()>,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl UpstreamServer {
    /// Listens at an address, and closes every connection until it is told otherwise.
    ///
    /// # Errors
    /// If the address is taken.
    pub async fn start(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let (address, stop) = (listener.local_addr()?, CancellationToken::new());
        let state = State { first: VecDeque::new(), manner: UpstreamManner::Closes, asked: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let service = move |_| {
            let shared = Arc::clone(&shared);
            service_fn(move |request| {
                let shared = Arc::clone(&shared);
                async move { answer(request, &shared).await }
            })
        };
        let serving = tokio::spawn(local_serve::serve(listener, stop.clone(), Duration::ZERO, service));
        Ok(Self { address, state, serving, _stop_on_drop: stop.clone().drop_guard(), stop })
    }

    /// What `VERIFICATION_API_URL` must be.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on: each of `first` once, then always `manner`. What was asked before is forgotten.
    pub fn behave(&self, first: impl IntoIterator<Item = UpstreamManner>, manner: UpstreamManner) {
        let mut state = lock(&self.state);
        *state = State { first: first.into_iter().collect(), manner, asked: Vec::new() };
    }

    /// How it always behaves now.
    pub fn manner(&self) -> UpstreamManner {
        lock(&self.state).manner.clone()
    }

    /// What it was asked since, oldest first.
    pub fn asked(&self) -> Vec<UpstreamAsked> {
        lock(&self.state).asked.clone()
    }

    /// Ends it.
    pub async fn shutdown(self) {
        self.stop.cancel();
        let _ = self.serving.await;
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(request: Request<Incoming>, state: &Mutex<State>) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let asked = UpstreamAsked {
        method: head.method.to_string(),
        path: head.uri.to_string(),
        headers: head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body,
    };
    let manner = {
        let mut state = lock(state);
        state.asked.push(asked);
        state.first.pop_front().unwrap_or_else(|| state.manner.clone())
    };
    match manner {
        UpstreamManner::Hangs => std::future::pending().await,
        UpstreamManner::Closes => Err(io::ErrorKind::ConnectionReset.into()),
        UpstreamManner::Says(status, fields, body) => {
            let mut response = Response::new(Full::new(body));
            *response.status_mut() = StatusCode::from_u16(status).map_err(io::Error::other)?;
            let fields = fields.into_iter().map(|(name, value)| {
                let value = HeaderValue::try_from(value).map_err(io::Error::other)?;
                Ok((HeaderName::from_static(name), value))
            });
            *response.headers_mut() = fields.collect::<io::Result<HeaderMap>>()?;
            Ok(response)
        }
    }
}
