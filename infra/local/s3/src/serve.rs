//! Connections, CORS and the way from a request to its answer.

use std::convert::Infallible;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, Request, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpResponse};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{ServiceBuilder, ServiceExt as _, service_fn};
use tower_http::cors::{AllowHeaders, Any, CorsLayer};

use crate::api::Api;
use crate::{form, guard, post};

/// The pause after a failed accept, so that running out of file descriptors does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

#[derive(Clone)]
struct Front {
    api: Api,
    s3: S3Service,
}

/// Accepts connections until `stop`.
pub(crate) async fn accept(listener: TcpListener, api: Api, stop: CancellationToken, tasks: TaskTracker) {
    let mut s3 = S3ServiceBuilder::new(api.clone());
    s3.set_auth(api.gate.clone());
    s3.set_access(api.gate.clone());
    let front = Front { s3: s3.build(), api };
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        // Head and body of an answer are two writes; without this the second waits for an acknowledgement.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "could not set TCP_NODELAY");
        }
        tasks.spawn(connection(stream, front.clone(), stop.clone()));
    }
}

async fn connection(stream: TcpStream, front: Front, stop: CancellationToken) {
    let service = ServiceBuilder::new().layer(cors()).service(service_fn(move |request| {
        let front = front.clone();
        async move { Ok::<_, Infallible>(front.answer(request).await) }
    }));
    let service =
        hyper::service::service_fn(move |request: Request<Incoming>| service.clone().oneshot(request));
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

/// Any page may use a presigned URL: the signature is the permission, and no cookies are involved.
fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([
            header::ETAG,
            header::LOCATION,
            header::CONTENT_RANGE,
            header::ACCEPT_RANGES,
            header::CONTENT_LENGTH,
            header::CONTENT_DISPOSITION,
            HeaderName::from_static("x-amz-request-id"),
        ])
        .max_age(Duration::from_secs(3600))
}

impl Front {
    async fn answer(&self, request: Request<Incoming>) -> HttpResponse {
        let id = ulid::Ulid::generate().to_string();
        let mut response = self.dispatch(request.map(Body::from)).await;
        if response.status().is_server_error() {
            tracing::error!(request_id = %id, status = %response.status(), "request failed");
        }
        if let Ok(id) = HeaderValue::try_from(id) {
            response.headers_mut().insert("x-amz-request-id", id);
        }
        response
    }

    async fn dispatch(&self, request: Request<Body>) -> HttpResponse {
        let (mut head, body) = request.into_parts();
        if head.method == Method::POST
            && let Some(bucket) = post::bucket_of(head.uri.path())
            && let Some(kind) = head.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok())
            && let Some(boundary) = form::boundary(kind)
        {
            return or_error(post::handle(&self.api, bucket, boundary, body).await);
        }
        if let Err(refusal) = guard::check(&mut head, &self.api.region) {
            return or_error(Err(refusal));
        }
        match self.s3.call(Request::from_parts(head, body)).await {
            Ok(response) => response,
            Err(error) => {
                tracing::error!(?error, "the protocol layer failed");
                status(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }
}

fn or_error(answer: s3s::S3Result<HttpResponse>) -> HttpResponse {
    answer.or_else(s3s::S3Error::to_http_response).unwrap_or_else(|error| {
        tracing::error!(%error, "an error could not be written as XML");
        status(StatusCode::INTERNAL_SERVER_ERROR)
    })
}

fn status(status: StatusCode) -> HttpResponse {
    let mut response = HttpResponse::default();
    *response.status_mut() = status;
    response
}
