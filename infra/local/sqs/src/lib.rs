//! Amazon SQS in this process: the AWS JSON 1.0 protocol over HTTP, kept in one SQLite file.
//!
//! Standard and FIFO queues, long polls, visibility, delays, redrive to dead-letter queues, deduplication and
//! retention behave as the SQS developer guide describes; `aws-sdk-sqs` and `boto3` work unchanged. A message
//! whose send was answered survives the death of the process. [`SqsServer`] serves the wire; [`SqsHandle`]
//! does the same for code in this process.
//!
//! Where SQS leaves room, this server is strict: each message is delivered once per visibility timeout,
//! counts are exact, and standard queues deliver in the order of sending unless messages return.
//!
//! Not here: queue policies, encryption, message move tasks, `RedriveAllowPolicy` (kept, not enforced), and
//! the replay of a FIFO receive by `ReceiveRequestAttemptId` (accepted, ignored).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

mod attributes;
mod engine;
mod error;
mod handle;
mod http;
mod message;
mod store;
mod wire;
mod writer;

pub use error::SqsError;
pub use handle::{QueueInfo, QueueUrl, SqsHandle};
pub use message::{Message, MessageAttribute, MessageAttributes, SendOptions, Sent};
pub use store::Counts;

use engine::Engine;
use store::Store;
use writer::Writer;

/// Requests that were under way get this long to end once a shutdown has begun.
const GRACE: Duration = Duration::from_secs(2);

/// What the server is told once, at its start.
#[derive(Clone)]
pub struct Options {
    /// The database file, created when absent; its folder must exist. `None` keeps everything in memory.
    pub path: Option<PathBuf>,
    /// The region in queue ARNs.
    pub region: String,
    /// The account in queue addresses and ARNs, 12 digits.
    pub account_id: String,
    /// For tests: no visibility timeout and no delay is longer than this.
    pub visibility_cap: Option<Duration>,
}

impl Default for Options {
    /// In memory, `us-east-1`, account `000000000000`, no cap.
    fn default() -> Self {
        Self {
            path: None,
            region: "us-east-1".to_owned(),
            account_id: "000000000000".to_owned(),
            visibility_cap: None,
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("path", &self.path)
            .field("region", &self.region)
            .field("account_id", &self.account_id)
            .field("visibility_cap", &self.visibility_cap)
            .finish()
    }
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The listener has no address, or the database thread could not start.
    #[error("the SQS server could not start")]
    Io(#[from] std::io::Error),
    /// The database could not be opened; another server may have it open.
    #[error("the SQS database could not be opened")]
    Database(#[source] SqsError),
}

/// A running server. Dropping it stops the serving; [`shutdown`](Self::shutdown) also waits for the end.
#[derive(Debug)]
pub struct SqsServer {
    engine: Arc<Engine>,
    serving: JoinHandle<()>,
    database: std::thread::JoinHandle<()>,
    stopping: DropGuard,
}

impl SqsServer {
    /// Opens the database and serves on `listener`.
    pub async fn start(listener: TcpListener, options: Options) -> Result<Self, Error> {
        let mut address = listener.local_addr()?;
        if address.ip().is_unspecified() {
            address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        let Options { path, region, account_id, visibility_cap } = options;
        let prefix = format!("arn:aws:sqs:{region}:{account_id}:");
        let open = move || Store::open(path.as_deref(), prefix, visibility_cap);
        let store = tokio::task::spawn_blocking(open).await.map_err(std::io::Error::other)?;
        let store = store.map_err(Error::Database)?;
        let queues = store.queues.clone();
        let (writer, database) = Writer::start(store)?;
        let stopping = CancellationToken::new();
        let engine = Arc::new(Engine {
            writer,
            queues,
            endpoint: format!("http://{address}"),
            account: account_id,
            stopping: stopping.clone(),
        });
        let served = axum::serve(listener, http::router(engine.clone()))
            .with_graceful_shutdown(stopping.clone().cancelled_owned());
        let serving = tokio::spawn(async move {
            if let Err(cause) = served.await {
                tracing::error!(%cause, "the SQS server stopped serving");
            }
        });
        Ok(Self { engine, serving, database, stopping: stopping.drop_guard() })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        self.engine.endpoint.clone()
    }

    /// The same queues without HTTP.
    pub fn handle(&self) -> SqsHandle {
        SqsHandle::new(self.engine.clone())
    }

    /// Ends long polls with no messages, lets the other requests finish, and closes the database.
    pub async fn shutdown(self) {
        let Self { engine, mut serving, database, stopping } = self;
        drop(stopping);
        if tokio::time::timeout(GRACE, &mut serving).await.is_err() {
            serving.abort();
        }
        engine.writer.stop();
        let joined = tokio::task::spawn_blocking(move || database.join().is_ok()).await;
        if !matches!(joined, Ok(true)) {
            tracing::error!("the SQS database thread panicked");
        }
    }
}
