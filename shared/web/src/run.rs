//! From an endpoint to a Lambda function: layers, ids, limits, start.

use std::{net::IpAddr, process::ExitCode, sync::Arc, time::Instant};

use account::Authenticator;
use aws::{Clients, Deps, Span, SpanKind, metrics};
use axum::{
    Router,
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, Request};
use http_body_util::{BodyExt as _, Limited};
use lambda_http::request::RequestContext;
use piecework_core::{
    CursorKey, Fault, Features, Kind, Problem as Cause, Settings, correlation,
    settings::SettingError,
    trace::{self, SpanContext},
};
use tower::{ServiceBuilder, ServiceExt as _};
use tower_http::compression::{CompressionLayer, predicate::SizeAbove};
use tracing::{Instrument as _, field::Empty};

use crate::{
    Endpoint, Problem,
    access::{Gate, Source},
    extract::RawBody,
    limit::{Limiter, Meter},
    respond::{REQUEST_ID, RequestId},
};

/// Runs the endpoint as a Lambda function. With `PIECEWORK_OPENAPI` set it prints its description and ends.
pub fn run<S: Deps>(endpoint: fn() -> Endpoint<S>) -> ExitCode {
    if std::env::var_os("PIECEWORK_OPENAPI").is_some() {
        let endpoint = endpoint();
        let whole =
            endpoint.documents.iter().fold(crate::document::empty(), |all, one| all.merge_from(one()));
        let whole = crate::document::marked(whole, endpoint.class, endpoint.feature);
        return match endpoint.upstream {
            Some(_) => print(&crate::contract::widened(&whole)),
            None => print(&whole),
        };
    }
    aws::start(|settings| prepare(endpoint(), settings), lambda_http::run)
}

#[expect(clippy::print_stdout, reason = "this is the tool's output")]
fn print(document: &impl serde::Serialize) -> ExitCode {
    match serde_json::to_string(document) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(_) => ExitCode::FAILURE,
    }
}

type Served = tower::util::BoxCloneSyncService<lambda_http::Request, Response, std::convert::Infallible>;

/// The endpoint with everything around it: what `run` serves.
pub fn prepare<S: Deps>(endpoint: Endpoint<S>, settings: &Settings) -> Result<Served, SettingError> {
    let clients = Clients::new();
    let counters = endpoint.counts.map(|tell| Ok((Limiter::table(settings, &clients)?, tell))).transpose()?;
    let limiter = Limiter::new(endpoint.class, counters, settings)?;
    let limiter = if endpoint.authenticates { limiter.of_users() } else { limiter };
    let policy = limiter.policy(endpoint.authenticates);
    let gate = Arc::new(Gate {
        limiter,
        authenticator: endpoint.authenticates.then(|| Authenticator::new(settings, &clients)).transpose()?,
        cursors: CursorKey::of(settings)?,
    });
    let upstream = endpoint.upstream.map(|seat| seat.taken(settings)).transpose()?.flatten();
    let features = Features::of(settings)?;
    let (router, max_body) = match endpoint.feature {
        Some(feature) if !features.has(feature) => (Router::new().fallback(absent), endpoint.max_body),
        _ => (endpoint.router, endpoint.max_body),
    };
    let mut router = match upstream {
        Some(upstream) => upstream,
        // Only who answers here needs what an answer takes.
        None => router.with_state(S::new(settings, &clients)?),
    };
    if !endpoint.catches_all {
        // The gateway routes by the decoded path, `lambda_http` reads it as a URL: some odd ones fit there and not here.
        router = router.fallback(absent);
    }
    let router: Router =
        router.method_not_allowed_fallback(|| async { Problem::from(Cause::new(Kind::MethodNotAllowed)) });
    let compress = CompressionLayer::new().compress_when(SizeAbove::new(1024));
    let inner = ServiceBuilder::new().layer(compress).service(router);
    Ok(Served::new(tower::service_fn(move |request: lambda_http::Request| {
        let (inner, gate, policy) = (inner.clone(), Arc::clone(&gate), policy.clone());
        async move {
            let meter = Meter::default();
            let mut response = answer(inner, gate, meter.clone(), max_body, request).await;
            meter.dress(response.headers_mut(), policy.as_ref());
            aws::report_errors().await;
            Ok(response)
        }
    })))
}

/// What is answered where there is nothing, or nothing that is switched on.
async fn absent() -> Problem {
    Cause::new(Kind::NotFound).detail("There is no such path.").into()
}

async fn answer<I, B>(
    mut inner: I,
    gate: Arc<Gate>,
    meter: Meter,
    max_body: usize,
    request: lambda_http::Request,
) -> Response
where
    I: tower::Service<Request<Body>, Response = Response<B>, Error = std::convert::Infallible>,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    let started = Instant::now();
    let context = lambda_http::RequestExt::lambda_context_ref(&request);
    let request_id = context.map(|c| c.request_id.clone()).unwrap_or_default();
    let parent =
        request.headers().get("traceparent").and_then(|v| v.to_str().ok()).and_then(SpanContext::parse);
    let traced = Span::begin(SpanKind::Server, parent, context.and_then(|c| c.xray_trace_id.as_deref()));
    let (method, route) = (request.method().clone(), route(&request));
    let given =
        request.headers().get("x-correlation-id").and_then(|v| v.to_str().ok()).and_then(correlation::accept);
    let correlation_id = given.unwrap_or_else(|| request_id.clone());
    let span = tracing::info_span!(
        "request",
        request_id, correlation_id, trace_id = format_args!("{:032x}", traced.context().trace),
        method = %request.method(), workspace = Empty, key = Empty
    );
    // Boxed, for each scope around it would move it once more.
    let work = Box::pin(async {
        let response = match accept(request, gate, meter, max_body).await {
            Ok(request) => match inner.ready().await {
                Ok(inner) => match inner.call(request).await {
                    Ok(response) => response.map(Body::new),
                    Err(never) => match never {},
                },
                Err(never) => match never {},
            },
            Err(problem) => Problem(problem).into_response(),
        };
        let status = response.status();
        let latency = started.elapsed().as_secs_f64() * 1000.0;
        let (errors, status_class) = (u64::from(status.is_server_error()), class(status));
        tracing::info!(
            target: metrics::REQUEST,
            requests = 1u64, errors, latency, status_class, status = status.as_u16(), "answered"
        );
        response
    });
    let work =
        REQUEST_ID.scope(RequestId(request_id.clone()), correlation::scope(correlation_id.clone(), work));
    let mut response = trace::scope(traced.context(), work.instrument(span)).await;
    let status = response.status();
    traced.end(status.is_server_error(), || {
        let mut attributes = vec![
            ("http.request.method", method.as_str().into()),
            ("http.response.status_code", status.as_u16().into()),
            ("faas.invocation_id", request_id.as_str().into()),
            ("piecework.correlation_id", correlation_id.as_str().into()),
        ];
        // The route key of the gateway is the method and the path with its parameters' names.
        let name = match &route {
            Some(route) => {
                let path = route.split_once(' ').map_or(route.as_str(), |(_, path)| path);
                attributes.push(("http.route", path.into()));
                route.clone()
            }
            None => method.to_string(),
        };
        (name, attributes)
    });
    dress(&mut response, &correlation_id);
    response
}

/// Counts the caller's address, buffers the body, within bounds, and lays what extractors need into the request.
async fn accept(
    request: lambda_http::Request,
    gate: Arc<Gate>,
    meter: Meter,
    max_body: usize,
) -> Result<Request<Body>, Cause> {
    let source = source(&request);
    if let Some(address) = source {
        gate.limiter.address(address, &meter).await?;
    }
    let (mut parts, body) = request.into_parts();
    let body = Limited::new(body, max_body).collect().await.map_err(|_| {
        Cause::new(Kind::BodyTooLarge)
            .detail(format!(
                "At most {max_body} octets. Longer lists go through POST /v1/verification/uploads."
            ))
            .fault(Fault::body("", "too large"))
    })?;
    parts.extensions.insert(RawBody(body.to_bytes()));
    parts.extensions.insert(Source(source));
    parts.extensions.insert(gate);
    parts.extensions.insert(meter);
    Ok(Request::from_parts(parts, Body::empty()))
}

/// Who asks, as the gateway saw it. A header could say anything.
fn source(request: &lambda_http::Request) -> Option<IpAddr> {
    match lambda_http::RequestExt::request_context_ref(request)? {
        RequestContext::ApiGatewayV2(context) => context.http.source_ip.as_deref()?.parse().ok(),
        _ => None,
    }
}

fn route(request: &lambda_http::Request) -> Option<String> {
    match lambda_http::RequestExt::request_context_ref(request)? {
        RequestContext::ApiGatewayV2(context) => context.route_key.clone(),
        _ => None,
    }
}

fn class(status: http::StatusCode) -> &'static str {
    match status.as_u16() {
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    }
}

/// The headers that every answer has (P18). Cross-origin headers are the gateway's business.
fn dress(response: &mut Response, correlation_id: &str) {
    const FIXED: [(HeaderName, HeaderValue); 4] = [
        (HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff")),
        (HeaderName::from_static("referrer-policy"), HeaderValue::from_static("no-referrer")),
        (
            HeaderName::from_static("strict-transport-security"),
            HeaderValue::from_static("max-age=63072000; includeSubDomains"),
        ),
        (HeaderName::from_static("x-frame-options"), HeaderValue::from_static("DENY")),
    ];
    let headers = response.headers_mut();
    for (name, value) in FIXED {
        headers.insert(name, value);
    }
    // A page sets its own; everything else has nothing to run.
    headers
        .entry("content-security-policy")
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    headers.entry("cache-control").or_insert(HeaderValue::from_static("no-store"));
    if let Ok(value) = correlation_id.parse() {
        headers.insert("x-correlation-id", value);
    }
}
