//! What the HTTP servers of the Runtime API, the Invoke API and the front share.

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use std::{convert::Infallible, future::Future, net::SocketAddr, time::Duration};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What every handler answers.
pub(crate) type Answer = Response<Full<Bytes>>;

/// Bytes of an oversized body that are read and thrown away, so that the client gets the refusal instead of a
/// reset connection.
const MAX_DRAIN: usize = 256 * 1024 * 1024;

/// A JSON answer.
pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// A body read to its end.
pub(crate) enum Body {
    /// All of it.
    Whole(Bytes),
    /// More than the limit; the rest was thrown away.
    TooLarge,
    /// The client went away or broke the framing.
    Broken,
}

/// Reads a body of at most `limit` bytes.
pub(crate) async fn read(mut body: Incoming, limit: usize) -> Body {
    let mut whole = BytesMut::new();
    let mut size = 0_usize;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Body::Broken };
        let Ok(data) = frame.into_data() else { continue };
        size += data.len();
        if size > MAX_DRAIN {
            break;
        }
        if size <= limit {
            whole.extend_from_slice(&data);
        } else {
            whole = BytesMut::new();
        }
    }
    if size > limit { Body::TooLarge } else { Body::Whole(whole.freeze()) }
}

/// Accepts connections until `stop`; see [`local_serve::serve`].
pub(crate) async fn serve<H, F>(listener: TcpListener, stop: CancellationToken, grace: Duration, handler: H)
where
    H: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let service = |peer| {
        let handler = handler.clone();
        service_fn(move |request| {
            let answer = handler(request, peer);
            async move { Ok::<_, Infallible>(answer.await) }
        })
    };
    local_serve::serve(listener, stop, grace, service).await;
}
