//! From a caller to the service and back.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, Uri, header, request::Parts, uri::PathAndQuery};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::Deserialize;
use serde_json::Value;
use tokio::net::TcpListener;
use url::form_urlencoded;

use crate::{
    Ask, Call, Fault, Principal, Service, Shared, answer,
    ask::{Place, wanted},
};

/// A body that is not read: an object on its way in or out.
type Body = BoxBody<Bytes, hyper::Error>;

/// Object bodies up to this size are held, so that a call can be repeated; larger ones are passed on as they come.
const HELD: u64 = 8 * 1024 * 1024;

/// Why a connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Cut {
    #[error("the fault plan breaks the connection")]
    Planned,
    #[error("the caller broke off: {0}")]
    Caller(#[from] hyper::Error),
}

pub(crate) async fn serve(
    shared: Arc<Shared>,
    listener: TcpListener,
    service: Service,
    upstream: SocketAddr,
) {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let stop = shared.stop.clone();
    let way = Arc::new(Way { shared, client, service, upstream });
    let pass = |_| {
        let way = Arc::clone(&way);
        service_fn(move |request| Arc::clone(&way).pass(request))
    };
    local_serve::serve(listener, stop, Duration::ZERO, pass).await;
}

/// The way to one service.
struct Way {
    shared: Arc<Shared>,
    client: Client<HttpConnector, Body>,
    service: Service,
    upstream: SocketAddr,
}

/// A function's call on its way: what goes to the service, and who sent it.
struct Passing<'a> {
    principal: &'a Principal,
    caller: &'a Caller,
    head: &'a Parts,
    body: Bytes,
    /// A body too large to hold, in place of `body`.
    large: Option<Incoming>,
}

impl Passing<'_> {
    /// The body once more.
    fn again(&self) -> Body {
        full(self.body.clone())
    }
}

impl Way {
    async fn pass(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
        let (mut head, body) = request.into_parts();
        let caller = Caller::of(&head);
        let principal = caller.access_key.as_deref().and_then(|key| self.shared.principal(key));
        // Nothing waits for a 100 here.
        head.headers.remove(header::EXPECT);
        let Some(principal) = principal else {
            return Ok(self.forward(&head, body.boxed()).await);
        };
        let held = self.service != Service::S3 || length(&head.headers).is_some_and(|n| n <= HELD);
        let (body, large) = match held {
            true => (body.collect().await?.to_bytes(), None),
            false => (Bytes::new(), Some(body)),
        };
        let options = &self.shared.options;
        let place = Place { region: &options.region, account_id: &options.account_id };
        let call = Call::new(principal, wanted(self.service, &head, &body, &place));
        if let Some(ask) = call.denied.clone() {
            tracing::warn!(function = call.function, ask.action, ask.resource, "denied");
            self.shared.note(call);
            return Ok(whole(answer::denied(self.service, &principal.role_arn, &ask)));
        }
        let body = match options.visibility_cap {
            _ if self.service == Service::DynamoDb => with_capacity(body),
            Some(cap) if call.operation == "sqs:ChangeMessageVisibility" => with_cap(body, cap),
            _ => body,
        };
        self.disturb(call, Passing { principal, caller: &caller, head: &head, body, large }).await
    }

    /// Lets a call that is allowed through, with what the fault plan wants of it.
    async fn disturb(&self, call: Call, passing: Passing<'_>) -> Result<Response<Body>, Cut> {
        let (shared, session) = (&self.shared, passing.caller.session.as_deref());
        // A presigned link is used by a client of ours, not by the function that signed it.
        let fault = match passing.caller.presigned {
            true => None,
            false => shared.plan.due(&call.function, |f| answer::possible(self.service, &call.operation, f)),
        };
        match fault {
            Some(Fault::KillBefore) if shared.kill(session) => {
                shared.note(call);
                // Until the process is gone and its connection with it: nothing may answer in its place.
                return std::future::pending().await;
            }
            Some(Fault::Drop) => {
                shared.note(call);
                return Err(Cut::Planned);
            }
            Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
            Some(Fault::Repeat) if passing.large.is_none() => {
                let _ = self.forward(passing.head, passing.again()).await.into_body().collect().await;
            }
            Some(fault) => {
                let refusal = answer::refusal(self.service, &call.operation, fault, parts(&passing.body));
                if let Some(response) = refusal {
                    shared.note(call);
                    return Ok(whole(response));
                }
            }
            None => {}
        }
        let response = self.carry_out(call, passing).await?;
        match fault {
            Some(Fault::KillAfter) if shared.kill(session) => std::future::pending().await,
            Some(Fault::LoseAnswer) => Err(Cut::Planned),
            _ => Ok(response),
        }
    }

    /// Has the service do it, and notes what it cost.
    async fn carry_out(&self, mut call: Call, mut passing: Passing<'_>) -> Result<Response<Body>, Cut> {
        let body = match passing.large.take() {
            Some(body) => body.boxed(),
            None => passing.again(),
        };
        let response = self.forward(passing.head, body).await;
        let response = match self.service {
            Service::DynamoDb => {
                let (head, body) = response.into_parts();
                let body = body.collect().await?.to_bytes();
                call.weigh(&body);
                whole(Response::from_parts(head, body))
            }
            Service::S3 if response.status() == StatusCode::NOT_FOUND => {
                hide_absence(&call, passing.principal, response)
            }
            _ => response,
        };
        self.shared.note(call);
        Ok(response)
    }

    async fn forward(&self, head: &Parts, body: Body) -> Response<Body> {
        let path = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        // The path was a path of a request that came in, so it is one.
        let uri = format!("http://{}{path}", self.upstream).parse::<Uri>().unwrap_or_default();
        let mut request = Request::new(body);
        (*request.method_mut(), *request.uri_mut()) = (head.method.clone(), uri);
        *request.headers_mut() = head.headers.clone();
        // Framed anew: what the gate adds to a body must not be cut off. The service's own name stays, for it is signed.
        if http_body::Body::size_hint(request.body()).exact().is_some() {
            request.headers_mut().remove(header::CONTENT_LENGTH);
        }
        match self.client.request(request).await {
            Ok(response) => response.map(|body| body.boxed()),
            Err(error) => {
                tracing::debug!(%error, "the service behind the gate");
                let mut response = Response::new(Bytes::from_static(b"the service does not answer"));
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                whole(response)
            }
        }
    }
}

/// Who calls, by the signature's credential. The signature is not verified here; S3 verifies it.
struct Caller {
    access_key: Option<String>,
    /// The session token.
    session: Option<String>,
    presigned: bool,
}

impl Caller {
    fn of(head: &Parts) -> Self {
        let header = |name: &str| head.headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let query = head.uri.query().unwrap_or_default();
        let param = |name: &str| {
            form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, v)| v.into_owned())
        };
        let signed = header("authorization").and_then(|a| Some(a.split_once("Credential=")?.1.to_owned()));
        let presigned = signed.is_none().then(|| param("X-Amz-Credential")).flatten();
        let credential = signed.as_ref().or(presigned.as_ref());
        let token = header("x-amz-security-token").or_else(|| param("X-Amz-Security-Token"));
        Self {
            access_key: credential.and_then(|c| c.split('/').next()).map(str::to_owned),
            session: token,
            presigned: presigned.is_some(),
        }
    }
}

fn length(headers: &HeaderMap) -> Option<u64> {
    match headers.get(header::CONTENT_LENGTH) {
        Some(length) => length.to_str().ok()?.parse().ok(),
        None => (!headers.contains_key(header::TRANSFER_ENCODING)).then_some(0),
    }
}

fn full(body: Bytes) -> Body {
    Full::new(body).map_err(|never| match never {}).boxed()
}

fn whole(response: Response<Bytes>) -> Response<Body> {
    response.map(full)
}

/// Asks DynamoDB what the call costs, unless the caller does.
fn with_capacity(body: Bytes) -> Bytes {
    const ASKED: &[u8] = b"\"ReturnConsumedCapacity\"";
    if body.len() < 3 || body[0] != b'{' || body.windows(ASKED.len()).any(|w| w == ASKED) {
        return body;
    }
    [b"{\"ReturnConsumedCapacity\":\"TOTAL\",", &body[1..]].concat().into()
}

/// Hides a message for no longer than the cap.
fn with_cap(body: Bytes, cap: Duration) -> Bytes {
    const MEMBER: &str = "VisibilityTimeout";
    match serde_json::from_slice::<Value>(&body) {
        Ok(mut asked) if asked[MEMBER].as_u64().is_some_and(|seconds| seconds > cap.as_secs()) => {
            asked[MEMBER] = cap.as_secs().into();
            asked.to_string().into()
        }
        _ => body,
    }
}

/// How many parts a transaction has.
fn parts(body: &[u8]) -> usize {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Transaction {
        transact_items: Vec<serde::de::IgnoredAny>,
    }
    serde_json::from_slice::<Transaction>(body).map_or(0, |t| t.transact_items.len())
}

impl Call {
    /// Takes units and waste from DynamoDB's answer.
    fn weigh(&mut self, body: &[u8]) {
        #[derive(Deserialize, Default)]
        #[serde(rename_all = "PascalCase", default)]
        struct Answer {
            consumed_capacity: Value,
            count: u64,
            scanned_count: Option<u64>,
        }
        let answer: Answer = serde_json::from_slice(body).unwrap_or_default();
        let units = |value: &Value| value["CapacityUnits"].as_f64().unwrap_or_default();
        let units = match &answer.consumed_capacity {
            Value::Array(tables) => tables.iter().map(units).sum(),
            one => units(one),
        };
        let reads = ["GetItem", "BatchGetItem", "TransactGetItems", "Query", "Scan"];
        match reads.contains(&self.operation.trim_start_matches("dynamodb:")) {
            true => self.read_units = units,
            false => self.write_units = units,
        }
        self.wasted = answer.scanned_count.unwrap_or(answer.count).saturating_sub(answer.count);
    }
}

/// S3 tells who may not list a bucket nothing of what is not in it: 403 and not 404 ("GetObject", S3 API reference).
fn hide_absence(call: &Call, principal: &Principal, response: Response<Body>) -> Response<Body> {
    let bucket = call.asks.first().map(|ask| ask.resource.split('/').next().unwrap_or_default().to_owned());
    let list = Ask { action: "s3:ListBucket".to_owned(), resource: bucket.unwrap_or_default() };
    match call.operation.as_str() {
        "s3:GetObject" if !principal.policy.allows(&list) => {
            whole(answer::denied(Service::S3, &principal.role_arn, &list))
        }
        _ => response,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_hidden_no_longer_than_the_cap() {
        let hidden = |seconds: &str| {
            let body = Bytes::from(format!(r#"{{"QueueUrl":"q","VisibilityTimeout":{seconds}}}"#));
            serde_json::from_slice::<Value>(&with_cap(body, Duration::from_secs(3))).unwrap()["VisibilityTimeout"]
                .clone()
        };
        assert_eq!([hidden("900"), hidden("3"), hidden("0")], [3, 3, 0].map(Value::from));
        let strange = Bytes::from_static(b"no JSON");
        assert_eq!(with_cap(strange.clone(), Duration::from_secs(3)), strange);
    }
}
