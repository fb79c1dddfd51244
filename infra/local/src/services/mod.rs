//! AWS's side of a stack, made to hold what the templates declare: the embedded services, each on its own port, or an emulator that is
//! not ours.

pub mod dynamodb;
pub mod keys;
mod ministack;
pub mod objects;
mod s3;
pub mod sqs;
pub mod wire;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use local_gate::Gate;
use local_lambda::Issue;
use local_sqs::SqsServer;
use tokio::net::TcpListener;

use crate::cloud::Cloud;
use crate::data::Data;
use crate::options::StackOptions;
use crate::template::model::{Model, ResourceId};
use crate::{ACCOUNT_ID, Error, REGION};
use dynamodb::Dynamo;
use keys::Keys;
use ministack::Ministack;
use objects::Objects;
use s3::S3;
use sqs::Sqs;
use wire::Wire;

/// The running services.
pub(crate) struct Services {
    pub dynamo: Dynamo,
    pub keys: Keys,
    pub objects: Objects,
    pub sqs: Sqs,
    upstreams: [SocketAddr; 4],
    running: Running,
}

/// What has to be ended.
enum Running {
    Embedded {
        sqs: SqsServer,
        /// S3 starts when its buckets and queues are known.
        s3: S3Side,
    },
    Ministack(Ministack),
}

enum S3Side {
    Bound(TcpListener),
    Serving(S3),
    Failed,
}

impl Services {
    /// Starts them on the data folder. `owner` is the stack's own key and secret.
    pub(crate) async fn start(
        options: &StackOptions,
        data: &Data,
        owner: (String, String),
    ) -> Result<Self, Error> {
        match &options.cloud {
            Cloud::Embedded => Self::embedded(options, data, owner).await,
            Cloud::Ministack { program } => {
                let ministack = Ministack::start(program, data.join("ministack")).await?;
                let wire = Wire::new(ministack.endpoint());
                Ok(Self {
                    dynamo: Dynamo::elsewhere(wire.clone()),
                    keys: Keys::elsewhere(wire.clone()),
                    objects: Objects::new(&ministack.endpoint(), owner),
                    sqs: Sqs::elsewhere(wire, options.visibility_cap),
                    upstreams: [ministack.address(); 4],
                    running: Running::Ministack(ministack),
                })
            }
        }
    }

    async fn embedded(options: &StackOptions, data: &Data, owner: (String, String)) -> Result<Self, Error> {
        let free = || TcpListener::bind(("127.0.0.1", 0));
        let (dynamodb, s3, sqs, kms) = (free().await?, free().await?, free().await?, free().await?);
        let upstreams = [dynamodb.local_addr()?, s3.local_addr()?, sqs.local_addr()?, kms.local_addr()?];
        let sqs_options = local_sqs::Options {
            path: Some(data.join("sqs.sqlite")),
            region: REGION.to_owned(),
            account_id: ACCOUNT_ID.to_owned(),
            visibility_cap: options.visibility_cap,
        };
        let (dynamo, keys, server) = tokio::try_join!(
            Dynamo::start(dynamodb, data.join("dynamodb.sqlite")),
            Keys::start(kms, data.join("snapshots")),
            async { Ok(SqsServer::start(sqs, sqs_options).await?) },
        )?;
        Ok(Self {
            dynamo,
            keys,
            objects: Objects::new(&format!("http://{}", upstreams[1]), owner),
            sqs: Sqs::embedded(server.handle()),
            upstreams,
            running: Running::Embedded { sqs: server, s3: S3Side::Bound(s3) },
        })
    }

    /// Where DynamoDB, S3, SQS, and KMS with its neighbours listen: nobody but the gate is told.
    pub(crate) fn upstreams(&self) -> [SocketAddr; 4] {
        self.upstreams
    }

    /// Makes what has ids that only a service can give, and gives them.
    pub(crate) async fn assign(&self, draft: &Model) -> Result<BTreeMap<ResourceId, String>, Error> {
        self.keys.ensure(draft).await
    }

    /// Makes everything else. `keys` are all that S3 knows.
    pub(crate) async fn ensure(
        &mut self,
        model: &Model,
        keys: Vec<(String, String)>,
        data: &Data,
        gate: &Gate,
    ) -> Result<(), Error> {
        self.keys.ensure_aliases(&model.aliases).await?;
        self.sqs.ensure_queues(&model.queues).await?;
        for table in &model.tables {
            self.dynamo.ensure_table(table).await?;
        }
        match &mut self.running {
            Running::Embedded { s3, .. } => {
                if let S3Side::Bound(listener) = std::mem::replace(s3, S3Side::Failed) {
                    let objects = data.join("objects");
                    let (buckets, sqs) = (&model.buckets, self.sqs.clone());
                    let server = S3::start(listener, objects, keys, buckets, sqs, gate.clone()).await?;
                    *s3 = S3Side::Serving(server);
                }
            }
            Running::Ministack(_) => {
                for bucket in &model.buckets {
                    self.objects.ensure(bucket).await?;
                }
            }
        }
        Ok(())
    }

    /// How a sandbox gets keys, where the cloud knows only those that it gave. `admit` is told whose each is.
    pub(crate) fn issue(
        &self,
        roles: BTreeMap<String, String>,
        admit: impl Fn(String, &str) + Clone + Send + Sync + 'static,
    ) -> Option<Issue> {
        let Running::Ministack(ministack) = &self.running else { return None };
        let wire = Wire::new(ministack.endpoint());
        Some(std::sync::Arc::new(move |function, sandbox| {
            let (wire, admit) = (wire.clone(), admit.clone());
            let role = roles.get(&function).cloned().unwrap_or_default();
            Box::pin(async move {
                let session = wire.assume_role(&role, &format!("sandbox-{sandbox}")).await;
                let session = session.map_err(std::io::Error::other)?;
                admit(session.access_key.clone(), &function);
                let variables = [
                    ("AWS_ACCESS_KEY_ID", session.access_key),
                    ("AWS_SECRET_ACCESS_KEY", session.secret),
                    ("AWS_SESSION_TOKEN", session.token),
                ];
                Ok(variables.map(|(name, value)| (name.to_owned(), value)).into())
            })
        }))
    }

    /// Ends them; requests in progress finish.
    pub(crate) async fn stop(self) {
        match self.running {
            Running::Embedded { sqs, s3 } => {
                if let S3Side::Serving(s3) = s3 {
                    s3.stop().await;
                }
                sqs.shutdown().await;
                self.keys.stop().await;
                self.dynamo.stop().await;
            }
            Running::Ministack(ministack) => ministack.stop().await,
        }
    }
}
