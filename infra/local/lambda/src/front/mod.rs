//! The HTTP front: an API Gateway v2 HTTP API with Lambda proxy integrations, payload format 2.0.
//!
//! Sources: the API Gateway guide (routes, payload format 2.0, CORS and quotas of HTTP APIs); where it is silent, what
//! others observed on AWS, named at each rule.

mod cors;
mod event;
mod response;
mod routes;

use crate::{
    Error, InvokeError, Lambda, MAX_REQUEST_BYTES,
    http1::{Answer, Body, json, read, serve},
    ids,
    service::Extras,
};
use bytes::Bytes;
use event::Inputs;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use hyper::body::Incoming;
use routes::Routes;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use cors::Cors;
pub use routes::Route;

/// Largest request body, in bytes (HTTP API quota "payload size", 10 MB).
const MAX_BODY: usize = 10 * 1024 * 1024;
/// Largest request line and headers together, in bytes (HTTP API quota). Beyond about 400 KB, or 64 KB of path and
/// query, the HTTP server answers 431 or 414 before this is looked at, without a body.
const MAX_HEAD: usize = 10_240;
/// How long a shutdown waits for running requests.
const GRACE: Duration = Duration::from_secs(5);

/// Settings of the front.
#[derive(Clone, Debug)]
pub struct FrontOptions {
    /// Every route.
    pub routes: Vec<Route>,
    /// CORS, if configured.
    pub cors: Option<Cors>,
    /// API id in events.
    pub api_id: String,
    /// Stage name, normally `$default`. Any other is the first segment of every path.
    pub stage: String,
    /// Account number in events.
    pub account_id: String,
}

/// A running front. Dropping it stops it without waiting.
pub struct Front {
    address: SocketAddr,
    stop: CancellationToken,
    server: JoinHandle<()>,
    _stop_when_dropped: DropGuard,
}

struct Api {
    lambda: Lambda,
    routes: Routes,
    cors: Option<Cors>,
    api_id: String,
    stage: String,
    account_id: String,
    address: SocketAddr,
}

impl Front {
    /// Serves the routes on `listener`.
    pub async fn start(listener: TcpListener, lambda: Lambda, options: FrontOptions) -> Result<Self, Error> {
        let address = listener.local_addr()?;
        let routes = Routes::new(options.routes, |function| lambda.has(function))?;
        let api = Arc::new(Api {
            lambda,
            routes,
            cors: options.cors,
            api_id: options.api_id,
            stage: options.stage,
            account_id: options.account_id,
            address,
        });
        let stop = CancellationToken::new();
        let server = tokio::spawn(serve(listener, stop.clone(), GRACE, move |request, peer| {
            let api = Arc::clone(&api);
            async move { api.handle(request, peer).await }
        }));
        Ok(Self { address, _stop_when_dropped: stop.clone().drop_guard(), stop, server })
    }

    /// `http://host:port`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops accepting, lets running requests end (at most 5 s), and closes.
    pub async fn shutdown(self) {
        self.stop.cancel();
        if let Err(error) = self.server.await {
            tracing::error!(%error, "the HTTP front");
        }
    }
}

/// `{"message": …}` as API Gateway writes it for what it answers itself.
fn message(status: StatusCode, message: &str) -> Answer {
    json(status, format!("{{\"message\":\"{message}\"}}"))
}

fn not_found() -> Answer {
    message(StatusCode::NOT_FOUND, "Not Found")
}

fn too_large() -> Answer {
    message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large")
}

fn internal_server_error() -> Answer {
    message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
}

impl Api {
    async fn handle(&self, request: Request<Incoming>, peer: SocketAddr) -> Answer {
        let request_id = ids::gateway_request_id();
        let origin = request.headers().get(header::ORIGIN).cloned();
        let mut answer = match &self.cors {
            Some(cors) if cors::is_preflight(&request) => cors.preflight(origin.as_ref()),
            _ => {
                let mut answer = self.respond(request, peer, &request_id).await;
                if let Some(cors) = &self.cors {
                    cors.apply(origin.as_ref(), answer.headers_mut());
                }
                answer
            }
        };
        if let Ok(id) = HeaderValue::try_from(request_id) {
            answer.headers_mut().insert("apigw-requestid", id);
        }
        answer
    }

    async fn respond(&self, request: Request<Incoming>, peer: SocketAddr, request_id: &str) -> Answer {
        if head_size(&request) > MAX_HEAD {
            return message(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "Request Header Fields Too Large");
        }
        let Some(host) = self.host(&request) else { return message(StatusCode::BAD_REQUEST, "Bad Request") };
        // Waiting for "100 Continue" with a body that will not be read: refused before it is sent.
        if expects_continue(request.headers()) && declared_length(request.headers()) > Some(MAX_BODY) {
            return too_large();
        }
        let (parts, body) = request.into_parts();
        let body = match read(body, MAX_BODY).await {
            Body::Whole(body) => body,
            Body::TooLarge => return too_large(),
            Body::Broken => return message(StatusCode::BAD_REQUEST, "Bad Request"),
        };
        let raw_path = event::decoded_path(parts.uri.path());
        // Not for `OPTIONS *` and the like, which no route has.
        let path = if raw_path.starts_with('/') { self.below_stage(&raw_path) } else { None };
        let Some(path) = path else { return not_found() };
        let Some((route, path_parameters)) = self.routes.find(parts.method.as_str(), path) else {
            return not_found();
        };
        let trace = ids::trace_header(parts.headers.get("x-amzn-trace-id").and_then(|t| t.to_str().ok()));
        let event = event::build(&Inputs {
            parts: &parts,
            body: &body,
            route_key: &route.key,
            raw_path: &raw_path,
            path_parameters,
            host: &host,
            peer,
            port: self.address.port(),
            request_id,
            trace: &trace,
            api_id: &self.api_id,
            stage: &self.stage,
            account_id: &self.account_id,
        });
        // Lambda refuses such an event with 413 RequestEntityTooLargeException, and API Gateway passes the status
        // on (seen for REST APIs as 413 "Request Too Long", koki-develop/lgtm-generator issue 10; taken to hold
        // for HTTP APIs with their own message).
        if event.len() > MAX_REQUEST_BYTES {
            return too_large();
        }
        drop(body);
        let extras = Extras { trace: Some(trace), client_context: None };
        let invocation = self.lambda.invoke_with(&route.function, event.into(), extras);
        match tokio::time::timeout(route.timeout, invocation).await {
            Err(_) => message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
            Ok(invoked) => self.answer(&route.key, &invoked.request_id, invoked.result),
        }
    }

    fn answer(&self, route: &str, request_id: &str, result: Result<Bytes, InvokeError>) -> Answer {
        match result {
            Ok(payload) => response::from_payload(&payload).unwrap_or_else(|malformed| {
                tracing::warn!(route, request_id, %malformed, "the function's response");
                internal_server_error()
            }),
            Err(InvokeError::PayloadTooLarge { .. }) => too_large(),
            Err(InvokeError::Closed) => message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
            Err(error) => {
                tracing::warn!(route, request_id, %error, "the function");
                internal_server_error()
            }
        }
    }

    /// The Host header, or our own address for an HTTP/1.0 request without one; none if it cannot stand in a URL
    /// (`lambda_http` builds one of it).
    fn host(&self, request: &Request<Incoming>) -> Option<String> {
        let host = match request.headers().get(header::HOST) {
            Some(host) => host.to_str().ok()?.to_owned(),
            None => request.uri().authority().map_or_else(|| self.address.to_string(), ToString::to_string),
        };
        let plain = !host.is_empty() && !host.contains(['/', '?', '#', '@', '\\', ' ']);
        (plain && url::Url::parse(&format!("http://{host}/")).is_ok()).then_some(host)
    }

    /// The part of the path that routes match: all of it, or what follows a named stage.
    fn below_stage<'a>(&self, raw_path: &'a str) -> Option<&'a str> {
        if self.stage == "$default" {
            return Some(raw_path);
        }
        let rest = raw_path.strip_prefix('/')?.strip_prefix(&self.stage)?;
        match rest {
            "" => Some("/"),
            _ => rest.starts_with('/').then_some(rest),
        }
    }
}

/// Bytes of the request line and headers as sent.
fn head_size(request: &Request<Incoming>) -> usize {
    let uri = request.uri().path_and_query().map_or(1, |p| p.as_str().len());
    let line = request.method().as_str().len() + uri + " HTTP/1.1\r\n".len() + 1;
    line + request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>()
}

fn expects_continue(headers: &HeaderMap) -> bool {
    headers.get(header::EXPECT).is_some_and(|e| e.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

fn declared_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
