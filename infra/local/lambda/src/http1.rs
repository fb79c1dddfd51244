//! The HTTP/1.1 server loop shared by the Runtime API, the Invoke API and the front.

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{convert::Infallible, future::Future, net::SocketAddr, pin::pin, time::Duration};
use tokio::{net::TcpListener, task::JoinSet};
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

/// Accepts connections until `stop`, then lets running requests end for at most `grace`.
///
/// A handler's future is dropped when its client disconnects, so work that must go on is spawned by the handler.
pub(crate) async fn serve<H, F>(listener: TcpListener, stop: CancellationToken, grace: Duration, handler: H)
where
    H: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let (stream, peer) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, or a connection reset before it was accepted: neither ends the server.
                    tracing::warn!(%error, "accept");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            },
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        let (stop, handler) = (stop.clone(), handler.clone());
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let answer = handler(request, peer);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            // More headers than fit below any limit of ours, so that the handler, not hyper, refuses them.
            let mut connection =
                pin!(http1::Builder::new().max_headers(8192).serve_connection(TokioIo::new(stream), service));
            tokio::select! {
                ended = connection.as_mut() => if let Err(error) = ended {
                    tracing::debug!(%error, "connection");
                },
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    if tokio::time::timeout(grace, connection).await.is_err() {
                        tracing::debug!("connection closed while a request was running");
                    }
                }
            }
        });
    }
    while connections.join_next().await.is_some() {}
}
