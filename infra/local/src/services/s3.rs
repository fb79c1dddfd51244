//! S3: our own server, with the templates' notifications wired to queues.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use local_gate::{Ask, Gate};
use local_s3::{CallContext, ObjectEvent, Options, S3Server};
use local_sqs::SqsError;
use tokio::net::TcpListener;
use tokio::runtime::Handle;

use super::sqs::Sqs;
use crate::sources::s3_events::{notification, targets};
use crate::template::model::Bucket;
use crate::{Error, REGION};

/// Pause before a queue that would not take a notification is asked again.
const RETRY: Duration = Duration::from_millis(200);

/// A running S3.
pub struct S3 {
    server: S3Server,
}

impl S3 {
    /// Serves the objects in `dir` to the given keys as far as the gate permits, and makes the buckets. The queues must be there.
    ///
    /// # Errors
    /// If the store cannot be opened.
    pub async fn start(
        listener: TcpListener,
        dir: PathBuf,
        credentials: Vec<(String, String)>,
        buckets: &[Bucket],
        sqs: Sqs,
        gate: Gate,
    ) -> Result<Self, Error> {
        let mut options = Options::new(dir, REGION, credentials);
        let (announced, runtime) = (buckets.to_vec(), Handle::current());
        options.on_event = Some(Arc::new(move |event| announce(&event, &announced, &sqs, &runtime)));
        options.authorize = Some(Arc::new(move |call| gate.permits(call.access_key, ask(call))));
        let server = S3Server::start(listener, options).await?;
        for bucket in buckets {
            server.create_bucket(&bucket.name).await?;
        }
        Ok(Self { server })
    }

    /// Ends the server; requests in progress finish.
    pub async fn stop(self) {
        self.server.shutdown().await;
    }
}

/// The gate has decided about most calls before; a form's key and the keys of a deletion are seen here only.
fn ask(call: &CallContext<'_>) -> Ask {
    let place: Vec<&str> = call.bucket.into_iter().chain(call.key).collect();
    Ask { action: call.action.to_owned(), resource: format!("arn:aws:s3:::{}", place.join("/")) }
}

/// Returns only when every queue has the message: until then the store keeps the event and tells it again.
fn announce(event: &ObjectEvent, buckets: &[Bucket], sqs: &Sqs, runtime: &Handle) {
    let body = notification(event).to_string();
    for queue in targets(buckets, event) {
        while let Err(error) = runtime.block_on(sqs.send(queue, &body)) {
            tracing::error!(queue, key = event.key, %error, "an object could not be announced");
            if matches!(error, Error::Sqs(SqsError::Stopped)) {
                // The stack is ending. Not returning normally leaves the event to the next start.
                std::panic::resume_unwind(Box::new("SQS has stopped"));
            }
            std::thread::sleep(RETRY);
        }
    }
}
