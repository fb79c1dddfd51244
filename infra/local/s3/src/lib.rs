//! An S3 server to embed: the `s3s` crate speaks the protocol, a small store of our own keeps the data.
//!
//! Path-style addresses only (`force_path_style`). Requests must be signed with signature version 4, in headers,
//! in the URL, or in a form's policy. What is not here: versions, ACLs, tags, encryption, lifecycle.
//!
//! A write that was answered with 200 is there after a restart and after `kill -9` (not after a power cut: files
//! are not synced). A body is verified before it becomes an object, and conditions are decided in the same
//! transaction as the write.

mod access;
mod api;
mod digest;
mod error;
mod event;
mod form;
mod guard;
mod post;
mod receive;
mod serve;
mod store;

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

pub use self::access::{Authorize, CallContext};
pub use self::error::Error;
pub use self::event::{CreatedBy, EventKind, ObjectEvent};
pub use self::store::OnEvent;
use crate::access::Gate;
use crate::api::Api;
use crate::store::{Listing, Store};

/// How long requests in progress may take to end at a shutdown.
const GRACE: Duration = Duration::from_secs(5);

/// How to run a server.
#[derive(Clone)]
pub struct Options {
    /// The folder of the store; made if absent. One server at a time.
    pub dir: PathBuf,
    /// The region that signatures must name.
    pub region: String,
    /// Access keys and their secrets.
    pub credentials: Vec<(String, String)>,
    /// Told of each committed change, on a thread where it may block, before the request is answered. At least
    /// once: see [`ObjectEvent`].
    pub on_event: Option<OnEvent>,
    /// Asked about each action of a verified caller; without it, every known key may do everything.
    pub authorize: Option<Authorize>,
    /// How long an upload may send nothing before it is dropped.
    pub idle_timeout: Duration,
}

impl Options {
    /// A server without event callback and policy, and with an idle timeout of 30 s.
    pub fn new(
        dir: impl Into<PathBuf>,
        region: impl Into<String>,
        credentials: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        Self {
            dir: dir.into(),
            region: region.into(),
            credentials: credentials.into_iter().collect(),
            on_event: None,
            authorize: None,
            idle_timeout: Duration::from_secs(30),
        }
    }
}

/// A running server. Dropping it stops it without waiting for requests in progress.
pub struct S3Server {
    address: SocketAddr,
    handle: S3Handle,
    tasks: TaskTracker,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
    _lock: File,
}

impl S3Server {
    /// Opens the store and starts to answer on `listener`.
    ///
    /// # Errors
    /// [`Error::InUse`] if another server has the folder; I/O and index errors.
    pub async fn start(listener: TcpListener, options: Options) -> Result<Self, Error> {
        let Options { dir, region, credentials, on_event, authorize, idle_timeout } = options;
        let address = listener.local_addr()?;
        let (store, lock) = tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(&dir)?;
            let lock = File::create(dir.join("lock"))?;
            lock.try_lock().map_err(|_| Error::InUse(dir.clone()))?;
            Ok::<_, Error>((Store::open(&dir, on_event)?, lock))
        })
        .await??;
        let store = Arc::new(store);
        let api = Api {
            store: Arc::clone(&store),
            gate: Gate::new(credentials, authorize),
            region: region.into(),
            idle: idle_timeout,
        };
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(serve::accept(listener, api, stop.clone()));
        Ok(Self {
            address,
            handle: S3Handle { store },
            tasks,
            _stop_on_drop: stop.clone().drop_guard(),
            stop,
            _lock: lock,
        })
    }

    /// The base URL, such as `http://127.0.0.1:4566`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes a bucket; fine if it is there already.
    ///
    /// # Errors
    /// Index errors.
    pub async fn create_bucket(&self, name: &str) -> Result<(), Error> {
        let name = name.to_owned();
        self.handle.store.run(move |store| store.create_bucket(&name)).await?;
        Ok(())
    }

    /// A view of the store that needs no signature.
    pub fn handle(&self) -> S3Handle {
        self.handle.clone()
    }

    /// Stops accepting, and waits up to five seconds for requests in progress.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(GRACE, self.tasks.wait()).await.is_err() {
            tracing::warn!("requests were still in progress at the end of the shutdown");
        }
    }
}

/// An object as [`S3Handle::list`] shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectSummary {
    /// The key.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// The ETag without quotes.
    pub etag: String,
}

/// A server's store without signatures, for tests that compare stores or let objects age out.
#[derive(Clone)]
pub struct S3Handle {
    store: Arc<Store>,
}

impl S3Handle {
    /// The names of all buckets, sorted.
    ///
    /// # Errors
    /// Index errors.
    pub async fn buckets(&self) -> Result<Vec<String>, Error> {
        let buckets = self.store.run(Store::buckets).await?;
        Ok(buckets.into_iter().map(|(name, _)| name).collect())
    }

    /// Every object of a bucket, by key.
    ///
    /// # Errors
    /// `NoSuchBucket`, index errors.
    pub async fn list(&self, bucket: &str) -> Result<Vec<ObjectSummary>, Error> {
        let listing = Listing {
            bucket: bucket.to_owned(),
            prefix: String::new(),
            delimiter: None,
            from: Vec::new(),
            max: usize::MAX / 4,
        };
        let page = self.store.run(move |store| store.list(&listing)).await?;
        let summary =
            |entry: store::Entry| ObjectSummary { key: entry.key, size: entry.size, etag: entry.etag };
        Ok(page.entries.into_iter().map(summary).collect())
    }

    /// The body of an object.
    ///
    /// # Errors
    /// `NoSuchBucket`, `NoSuchKey`, I/O and index errors.
    pub async fn read(&self, bucket: &str, key: &str) -> Result<Bytes, Error> {
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        self.store
            .run(move |store| {
                let (object, mut file) = store.open_object(&bucket, &key)?;
                let mut body = Vec::with_capacity(usize::try_from(object.size).unwrap_or_default());
                std::io::Read::read_to_end(&mut file, &mut body)?;
                Ok(body.into())
            })
            .await
    }

    /// Takes an object away, as a lifecycle rule does. None there is no error.
    ///
    /// # Errors
    /// `NoSuchBucket`, I/O and index errors.
    pub async fn delete(&self, bucket: &str, key: &str) -> Result<(), Error> {
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        self.store.run(move |store| store.delete(&bucket, &key, &store::Condition::default())).await
    }
}
