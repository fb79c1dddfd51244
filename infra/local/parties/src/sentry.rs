//! Sentry, as far as it takes events: `POST /api/<project>/envelope/`
//! (<https://develop.sentry.dev/sdk/data-model/envelopes/>).

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What an envelope's path looks like with the one project that there is.
const PATH: &str = "/api/1/envelope/";
const KEY: &str = "standin";

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SentryManner {
    /// Takes what is well formed and has the key.
    #[default]
    Takes,
    /// This status to everything.
    Fails(u16),
    /// Accepts and says nothing.
    Hangs,
}

/// A running stand-in. Dropping it ends it.
pub struct SentryServer {
    address: SocketAddr,
    taken: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl SentryServer {
    /// Listens at an address.
    ///
    /// # Errors
    /// If it is taken.
    pub async fn start(address: SocketAddr, manner: SentryManner) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let (address, taken, stop) = (listener.local_addr()?, Arc::default(), CancellationToken::new());
        let kept = Arc::clone(&taken);
        let service = move |_| {
            let kept = Arc::clone(&kept);
            service_fn(move |request| {
                let kept = Arc::clone(&kept);
                async move { Ok::<_, Infallible>(answer(request, manner, &kept).await) }
            })
        };
        let serving = tokio::spawn(local_serve::serve(listener, stop.clone(), Duration::ZERO, service));
        Ok(Self { address, taken, serving, _stop_on_drop: stop.clone().drop_guard(), stop })
    }

    /// What `SENTRY_DSN` must be.
    pub fn dsn(&self) -> String {
        format!("http://{KEY}@{}/1", self.address)
    }

    /// The envelopes taken so far, oldest first.
    pub fn envelopes(&self) -> Vec<String> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends it.
    pub async fn shutdown(self) {
        self.stop.cancel();
        let _ = self.serving.await;
    }
}

async fn answer(
    request: Request<Incoming>,
    manner: SentryManner,
    taken: &Mutex<Vec<String>>,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let status = match manner {
        SentryManner::Hangs => std::future::pending().await,
        SentryManner::Fails(status) => StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY),
        SentryManner::Takes => {
            let auth = head.headers.get("x-sentry-auth").and_then(|v| v.to_str().ok()).unwrap_or_default();
            let key = auth
                .strip_prefix("Sentry ")
                .unwrap_or_default()
                .split(", ")
                .any(|p| p == format!("sentry_key={KEY}"));
            let body = body.collect().await.map(|b| String::from_utf8_lossy(&b.to_bytes()).into_owned());
            match body {
                _ if head.method != Method::POST || head.uri.path() != PATH => StatusCode::NOT_FOUND,
                _ if !key => StatusCode::UNAUTHORIZED,
                // A header, and an item's header and payload, each on a line.
                Ok(envelope) if envelope.lines().count() == 3 => {
                    taken.lock().unwrap_or_else(PoisonError::into_inner).push(envelope);
                    StatusCode::OK
                }
                _ => StatusCode::BAD_REQUEST,
            }
        }
    };
    let mut response = Response::new(Full::new(Bytes::from_static(b"{}")));
    *response.status_mut() = status;
    response
}
