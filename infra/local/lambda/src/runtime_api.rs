//! The Lambda Runtime API (2018-06-01) as one sandbox sees it. Status codes and error bodies follow the source of
//! AWS's Runtime Interface Emulator (`internal/lambda/rapi`).

use crate::{
    MAX_RESPONSE_BYTES,
    http1::{Answer, Body, json, read},
    ids,
};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::json;
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::{Notify, mpsc, oneshot};

/// Locks, and goes on with the data if a thread panicked while it held the lock: every critical section here
/// leaves its data whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An event on its way into a sandbox.
pub(crate) struct Event {
    pub request_id: String,
    pub payload: Bytes,
    pub trace: String,
    pub client_context: Option<String>,
    pub arn: String,
    pub timeout: Duration,
    /// Told when the function has taken the event.
    pub taken: oneshot::Sender<Instant>,
    /// Told the function's answer.
    pub done: oneshot::Sender<Done>,
}

/// What the function said.
pub(crate) enum Done {
    Response(Bytes),
    TooLarge,
    Error(Bytes),
}

/// Where the runtime stands between `next` and its answer.
enum State {
    /// Starting, or between an answer and the next event; the last request id, if any.
    Idle(Option<String>),
    Running(String, oneshot::Sender<Done>),
}

/// The server side of one sandbox's Runtime API.
pub(crate) struct RuntimeApi {
    offer: mpsc::Sender<Event>,
    inbox: tokio::sync::Mutex<mpsc::Receiver<Event>>,
    state: Mutex<State>,
    init_error: Mutex<Option<String>>,
    init_failed: Notify,
}

impl RuntimeApi {
    pub fn new() -> Self {
        let (offer, inbox) = mpsc::channel(1);
        Self {
            offer,
            inbox: tokio::sync::Mutex::new(inbox),
            state: Mutex::new(State::Idle(None)),
            init_error: Mutex::new(None),
            init_failed: Notify::new(),
        }
    }

    /// Puts an event where `next` finds it. A sandbox has one invocation at a time, so there is room.
    pub fn offer(&self, event: Event) {
        if self.offer.try_send(event).is_err() {
            tracing::error!("a sandbox was offered two events at once");
        }
    }

    /// Completes when the function reports that its initialisation failed.
    pub async fn init_error(&self) -> String {
        loop {
            let notified = self.init_failed.notified();
            if let Some(message) = lock(&self.init_error).clone() {
                return message;
            }
            notified.await;
        }
    }

    pub async fn handle(&self, request: Request<Incoming>) -> Answer {
        let path = request.uri().path().to_owned();
        let Some(resource) = path.strip_prefix("/2018-06-01/runtime/") else {
            return error(StatusCode::NOT_FOUND, "NotFound", "404 page not found");
        };
        let segments: Vec<&str> = resource.split('/').collect();
        match (request.method(), segments.as_slice()) {
            (&Method::GET, ["invocation", "next"]) => self.next().await,
            (&Method::POST, ["invocation", id, "response"]) => self.answer(id, request, false).await,
            (&Method::POST, ["invocation", id, "error"]) => self.answer(id, request, true).await,
            (&Method::POST, ["init", "error"]) => self.fail_init(request).await,
            (_, ["invocation", "next"] | ["invocation", _, "response" | "error"] | ["init", "error"]) => {
                error(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "method not allowed")
            }
            _ => error(StatusCode::NOT_FOUND, "NotFound", "404 page not found"),
        }
    }

    async fn next(&self) -> Answer {
        if matches!(*lock(&self.state), State::Running(..)) {
            return transition("Running", "Ready");
        }
        // Nothing is awaited after the event is received, so an event is either still in the inbox or taken.
        let Some(event) = self.inbox.lock().await.recv().await else {
            return error(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", "Internal Server Error");
        };
        let timeout_ms = u64::try_from(event.timeout.as_millis()).unwrap_or(u64::MAX);
        let deadline = ids::epoch_millis().saturating_add(timeout_ms);
        let headers = [
            ("content-type", "application/json".to_owned()),
            ("lambda-runtime-aws-request-id", event.request_id.clone()),
            ("lambda-runtime-deadline-ms", deadline.to_string()),
            ("lambda-runtime-invoked-function-arn", event.arn),
            ("lambda-runtime-trace-id", event.trace),
            ("lambda-runtime-client-context", event.client_context.unwrap_or_default()),
        ];
        let mut answer = Response::new(Full::new(event.payload));
        for (name, value) in headers {
            if let (false, Ok(value)) = (value.is_empty(), HeaderValue::try_from(value)) {
                answer.headers_mut().insert(name, value);
            }
        }
        *lock(&self.state) = State::Running(event.request_id, event.done);
        // The receiver is gone only if the invocation was given up, and then the sandbox is being killed.
        let _ = event.taken.send(Instant::now());
        answer
    }

    async fn answer(&self, id: &str, request: Request<Incoming>, failed: bool) -> Answer {
        if let Some(refusal) = self.refuse(id) {
            return refusal;
        }
        let error_type = request.headers().get("lambda-runtime-function-error-type").cloned();
        let body = match read(request.into_body(), MAX_RESPONSE_BYTES).await {
            Body::Whole(body) => Some(body),
            Body::TooLarge => None,
            Body::Broken => {
                return error(
                    StatusCode::BAD_REQUEST,
                    "TruncatedHTTPRequest",
                    "HTTP request detected as truncated",
                );
            }
        };
        // Checked again: a second answer may have come while this one was read.
        if let Some(refusal) = self.refuse(id) {
            return refusal;
        }
        let State::Running(_, done) =
            std::mem::replace(&mut *lock(&self.state), State::Idle(Some(id.to_owned())))
        else {
            return transition("Ready", "InvocationResponse");
        };
        let (outcome, answer) = match body {
            None => {
                let message = format!("Exceeded maximum allowed payload size ({MAX_RESPONSE_BYTES} bytes).");
                (Done::TooLarge, error(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &message))
            }
            Some(body) if failed => (Done::Error(or_header(body, error_type.as_ref())), accepted()),
            Some(body) => (Done::Response(body), accepted()),
        };
        let _ = done.send(outcome);
        answer
    }

    /// 400 for an id that is not the current one, 403 when the current one has been answered.
    fn refuse(&self, id: &str) -> Option<Answer> {
        match &*lock(&self.state) {
            State::Running(current, _) if current == id => None,
            State::Idle(Some(last)) if last == id => Some(transition("Ready", "InvocationResponse")),
            State::Running(..) | State::Idle(_) => {
                Some(error(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID"))
            }
        }
    }

    async fn fail_init(&self, request: Request<Incoming>) -> Answer {
        if !matches!(*lock(&self.state), State::Idle(None)) {
            return transition("Ready", "InitError");
        }
        let error_type = request.headers().get("lambda-runtime-function-error-type").cloned();
        let body = match read(request.into_body(), MAX_RESPONSE_BYTES).await {
            Body::Whole(body) => or_header(body, error_type.as_ref()),
            Body::TooLarge | Body::Broken => or_header(Bytes::new(), error_type.as_ref()),
        };
        *lock(&self.init_error) = Some(String::from_utf8_lossy(&body).into_owned());
        self.init_failed.notify_waiters();
        accepted()
    }
}

/// An error body, or one made of the error type header when the function sent none.
fn or_header(body: Bytes, error_type: Option<&HeaderValue>) -> Bytes {
    if !body.is_empty() {
        return body;
    }
    let error_type = error_type.and_then(|t| t.to_str().ok()).unwrap_or("Runtime.Unknown");
    json!({"errorType": error_type, "errorMessage": ""}).to_string().into()
}

fn accepted() -> Answer {
    json(StatusCode::ACCEPTED, "{\"status\":\"OK\"}\n")
}

fn error(status: StatusCode, error_type: &str, message: &str) -> Answer {
    json(status, json!({"errorMessage": message, "errorType": error_type}).to_string())
}

fn transition(from: &str, to: &str) -> Answer {
    let message = format!(
        "State transition from {from} to {to} failed for runtime. Error: State transition is not allowed"
    );
    error(StatusCode::FORBIDDEN, "InvalidStateTransition", &message)
}
