//! Where the stack and its services listen.

use std::net::IpAddr;

use local_gate::Service;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::Error;
use crate::options::StackOptions;

/// Where the services answer: `http://127.0.0.1:PORT`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// DynamoDB and its streams.
    pub dynamodb: String,
    /// S3, path style.
    pub s3: String,
    /// SQS.
    pub sqs: String,
    /// KMS, Secrets Manager and SSM.
    pub kms: String,
    /// SES.
    #[serde(default)]
    pub ses: String,
    /// Lambda's Invoke API.
    pub lambda: String,
    /// DNS stand-in, `127.0.0.1:PORT`; none with the system's resolver.
    pub dns: Option<String>,
    /// SMTP stand-in, likewise: every mail server that a function asks, should it ask one.
    pub smtp: Option<String>,
    /// The identity provider's stand-in, `http://127.0.0.1:PORT`: `POST /token` with claims signs them.
    #[serde(default)]
    pub issuer: String,
    /// Paddle's stand-in, likewise: `POST /control` makes things happen there.
    #[serde(default)]
    pub paddle: String,
    /// PayFast's stand-in, `http://127.0.0.1:PORT`.
    #[serde(default)]
    pub payfast: String,
}

/// What the outside reaches.
pub(super) struct Ports {
    pub front: TcpListener,
    pub dynamodb: TcpListener,
    pub s3: TcpListener,
    pub sqs: TcpListener,
    pub kms: TcpListener,
    pub ses: TcpListener,
    pub lambda: TcpListener,
}

impl Ports {
    /// The API's port exactly; the services on the free ones after it, so that they tend to stay the same.
    pub(super) async fn bind(options: &StackOptions) -> Result<Self, Error> {
        let front = match options.functions {
            true => TcpListener::bind((options.host, options.port.unwrap_or(0))).await?,
            // Somebody else serves the API then.
            false => TcpListener::bind((options.host, 0)).await?,
        };
        let mut next = options.port;
        Ok(Self {
            front,
            dynamodb: following(options.host, &mut next).await?,
            s3: following(options.host, &mut next).await?,
            sqs: following(options.host, &mut next).await?,
            kms: following(options.host, &mut next).await?,
            lambda: following(options.host, &mut next).await?,
            ses: following(options.host, &mut next).await?,
        })
    }

    pub(super) fn endpoints(&self) -> Result<Endpoints, Error> {
        Ok(Endpoints {
            dynamodb: url(&self.dynamodb)?,
            s3: url(&self.s3)?,
            sqs: url(&self.sqs)?,
            kms: url(&self.kms)?,
            ses: url(&self.ses)?,
            lambda: url(&self.lambda)?,
            dns: None,
            smtp: None,
            issuer: String::new(),
            paddle: String::new(),
            payfast: String::new(),
        })
    }
}

async fn following(host: IpAddr, next: &mut Option<u16>) -> Result<TcpListener, Error> {
    while let Some(port) = next.and_then(|p| p.checked_add(1)) {
        *next = Some(port);
        match TcpListener::bind((host, port)).await {
            Ok(listener) => return Ok(listener),
            Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(TcpListener::bind((host, 0)).await?)
}

/// The base URL of what listens there.
pub(super) fn url(listener: &TcpListener) -> Result<String, Error> {
    Ok(format!("http://{}", listener.local_addr()?))
}

/// The services behind the gate, in the order of `Services::upstreams`.
pub(super) const SERVICES: [Service; 4] = [Service::DynamoDb, Service::S3, Service::Sqs, Service::Keys];
