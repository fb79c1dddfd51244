//! What is running and what is waiting (P16).

use std::{collections::BTreeMap, sync::Arc};

use aws::{Clients, Deps, Queue};
use futures::future::try_join_all;
use piecework_core::{Settings, settings::SettingError};
use serde::Serialize;
use utoipa::ToSchema;

/// Looks at the queues named in `QUEUES`, a JSON object of name → URL.
#[derive(Clone)]
pub struct Health {
    environment: String,
    version: String,
    queues: Arc<BTreeMap<String, Queue>>,
}

impl Deps for Health {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        let urls: BTreeMap<String, String> = serde_json::from_str(settings.required("QUEUES")?)
            .map_err(|e| SettingError::Unusable { name: "QUEUES", why: e.to_string() })?;
        Ok(Self {
            environment: settings.environment.to_string(),
            version: version(settings),
            queues: Arc::new(urls.into_iter().map(|(name, url)| (name, Queue::new(clients, &url))).collect()),
        })
    }
}

/// What waits in a queue, about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct QueueReport {
    /// Waiting.
    pub waiting: u64,
    /// Being worked on.
    pub in_flight: u64,
    /// Not yet visible.
    pub delayed: u64,
}

/// The state of the system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct HealthReport {
    /// `ok`, or `attention` when a dead-letter queue is not empty.
    #[schema(example = "ok")]
    pub status: &'static str,
    /// What is running.
    pub version: String,
    /// Where.
    #[schema(example = "dev")]
    pub environment: String,
    /// Messages by queue; those of dead-letter queues (`…-dead`) could not be dealt with.
    pub queues: BTreeMap<String, QueueReport>,
}

impl Health {
    /// Asks every queue.
    pub async fn report(&self) -> Result<HealthReport, aws::Error> {
        let asked = self.queues.iter().map(|(name, queue)| async move {
            let counts = queue.counts().await?;
            let report =
                QueueReport { waiting: counts.waiting, in_flight: counts.in_flight, delayed: counts.delayed };
            Ok::<_, aws::Error>((name.clone(), report))
        });
        let queues: BTreeMap<_, _> = try_join_all(asked).await?.into_iter().collect();
        let dead = queues.iter().any(|(name, q)| name.ends_with("-dead") && q.waiting + q.in_flight > 0);
        let status = if dead { "attention" } else { "ok" };
        Ok(HealthReport {
            status,
            version: self.version.clone(),
            environment: self.environment.clone(),
            queues,
        })
    }
}

/// Tells clients of the prototype that their slice is there.
#[derive(Clone)]
pub struct ThinHealth {
    environment: String,
    version: String,
}

impl Deps for ThinHealth {
    fn new(settings: &Settings, _: &Clients) -> Result<Self, SettingError> {
        Ok(Self { environment: settings.environment.to_string(), version: version(settings) })
    }
}

/// The prototype's slice. It has nothing of its own that could fail: what it stands on is in `GET /v1/health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ThinReport {
    /// `ok`.
    #[schema(example = "ok")]
    pub status: &'static str,
    /// What is running.
    pub version: String,
    /// Where.
    #[schema(example = "dev")]
    pub environment: String,
}

impl ThinHealth {
    /// What runs.
    pub fn report(&self) -> ThinReport {
        ThinReport { status: "ok", version: self.version.clone(), environment: self.environment.clone() }
    }
}

fn version(settings: &Settings) -> String {
    settings.text("VERSION").unwrap_or(env!("CARGO_PKG_VERSION")).to_owned()
}
