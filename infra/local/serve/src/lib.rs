//! The HTTP/1.1 server loop of the one-command stack's servers.

use std::{error::Error, net::SocketAddr, pin::pin, time::Duration};

use http::{Request, Response};
use http_body::Body;
use hyper::{body::Incoming, server::conn::http1, service::Service};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// The pause after a failed accept: out of descriptors, the next one would fail at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Headers of a request. More than fit below any limit of a handler, so that the handler and not hyper refuses them.
const MAX_HEADERS: usize = 8192;

/// Accepts connections until `stop`, then lets running requests end for at most `grace`. `service` makes the service of a connection
/// from the peer's address; a service that fails closes its connection without an answer.
///
/// A request's future is dropped when its client disconnects, so work that must go on is spawned by the service.
pub async fn serve<S, B>(
    listener: TcpListener,
    stop: CancellationToken,
    grace: Duration,
    service: impl Fn(SocketAddr) -> S,
) where
    S: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
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
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        // Head and body of an answer are two writes; without this the second waits for an acknowledgement.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        let (stop, service) = (stop.clone(), service(peer));
        connections.spawn(async move {
            let connection = http1::Builder::new()
                .max_headers(MAX_HEADERS)
                .serve_connection(TokioIo::new(stream), service);
            let mut connection = pin!(connection);
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
