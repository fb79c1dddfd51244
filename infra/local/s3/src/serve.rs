//! Connections, CORS and the way from a request to its answer.

use std::convert::Infallible;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, Request, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::service::TowerToHyperService;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpResponse};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::{ServiceBuilder, service_fn};
use tower_http::cors::{AllowHeaders, Any, CorsLayer};

use crate::api::Api;
use crate::{form, guard, post};

#[derive(Clone)]
struct Front {
    api: Api,
    s3: S3Service,
}

/// Accepts connections until `stop`.
pub(crate) async fn accept(listener: TcpListener, api: Api, stop: CancellationToken) {
    let mut s3 = S3ServiceBuilder::new(api.clone());
    s3.set_auth(api.gate.clone());
    s3.set_access(api.gate.clone());
    let front = Front { s3: s3.build(), api };
    let service = |_| {
        let front = front.clone();
        let answer = service_fn(move |request| {
            let front = front.clone();
            async move { Ok::<_, Infallible>(front.answer(request).await) }
        });
        TowerToHyperService::new(ServiceBuilder::new().layer(cors()).service(answer))
    };
    // However long an object takes: the handler ends an upload or a download that stands still.
    local_serve::serve(listener, stop, Duration::MAX, service).await;
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
