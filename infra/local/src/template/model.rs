//! What the templates say, typed: everything the stack has to run, and nothing it has not.

use crate::sources::filter::Filters;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::load::{StackTemplate, load};
use super::{TemplateError, read};

/// Facts of the place where the templates run.
#[derive(Debug, Clone, Default)]
pub struct Site {
    /// Name of the root stack, the prefix of every generated name.
    pub stack_name: String,
    /// `AWS::Region`.
    pub region: String,
    /// `AWS::AccountId`.
    pub account_id: String,
    /// Where SQS answers, without a slash at the end; queue URLs start with it.
    pub sqs_endpoint: String,
    /// Where the HTTP API answers.
    pub api_endpoint: String,
    /// Ids that only a service can give (KMS keys, secrets), once it has given them.
    pub assigned: BTreeMap<ResourceId, String>,
    /// Values for the root template's parameters.
    pub parameters: BTreeMap<String, String>,
}

impl Site {
    /// The URL of a queue.
    pub fn queue_url(&self, name: &str) -> String {
        format!("{}/{}/{name}", self.sqs_endpoint, self.account_id)
    }

    /// An ARN of this account and region.
    pub fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{resource}", self.region, self.account_id)
    }
}

/// A resource's place: stack name and logical id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId {
    /// The stack's name.
    pub stack: String,
    /// The key under `Resources`.
    pub logical: String,
}

impl std::fmt::Display for ResourceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.stack, self.logical)
    }
}

/// A resource that is passed on to its service in the service's own words.
#[derive(Debug, Clone)]
pub struct Plain {
    /// Where it stands.
    pub id: ResourceId,
    /// Its physical name.
    pub name: String,
    /// Resolved `Properties`.
    pub properties: Value,
}

/// An S3 bucket.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// Where it stands.
    pub id: ResourceId,
    /// Its physical name.
    pub name: String,
    /// Which objects are announced to which queues.
    pub notifications: Vec<Notification>,
}

/// `NotificationConfiguration.QueueConfigurations[]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// `s3:ObjectCreated:*` and the like.
    pub event: String,
    /// A key must start so.
    pub prefix: String,
    /// A key must end so.
    pub suffix: String,
    /// The queue's name.
    pub queue: String,
}

/// An SQS queue.
#[derive(Debug, Clone)]
pub struct Queue {
    /// Where it stands.
    pub id: ResourceId,
    /// Its physical name.
    pub name: String,
    /// Attributes in the words of `CreateQueue`, `RedrivePolicy` as JSON text.
    pub attributes: BTreeMap<String, String>,
}

/// A Lambda function.
#[derive(Debug, Clone)]
pub struct Function {
    /// Where it stands.
    pub id: ResourceId,
    /// The binary's name.
    pub name: String,
    /// `Environment.Variables`.
    pub env: BTreeMap<String, String>,
    /// `MemorySize` in MiB.
    pub memory_mb: u32,
    /// `Timeout`.
    pub timeout: Duration,
    /// `ReservedConcurrentExecutions`.
    pub reserved_concurrency: Option<u32>,
    /// `Policies`, resolved.
    pub policies: Value,
}

/// A route of the HTTP API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// `GET` and so on, or `ANY`.
    pub method: String,
    /// `/v1/things/{id}`, or `$default`.
    pub path: String,
    /// The function's name.
    pub function: String,
    /// How long the API waits.
    pub timeout: Duration,
}

/// `CorsConfiguration`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are API Gateway's own, by name")]
pub struct Cors {
    pub allow_origins: Vec<String>,
    pub allow_methods: Vec<String>,
    pub allow_headers: Vec<String>,
    pub expose_headers: Vec<String>,
    pub max_age: Option<i64>,
    pub allow_credentials: bool,
}

/// Something that invokes a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventSource {
    /// The function's name.
    pub function: String,
    /// Whether it stands among a SAM function's `Events`: SAM then gives the role what polling takes.
    pub by_sam: bool,
    /// What feeds it.
    pub kind: SourceKind,
}

/// The kinds of event source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceKind {
    /// A queue.
    Sqs(SqsSource),
    /// A table's stream.
    Stream(StreamSource),
    /// A clock.
    Schedule(ScheduleSource),
}

/// A queue as event source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqsSource {
    /// The queue's name.
    pub queue: String,
    /// `BatchSize`: 10 unless told, at most 10,000.
    pub batch_size: usize,
    /// `MaximumBatchingWindowInSeconds`.
    pub window: Duration,
    /// `ReportBatchItemFailures`.
    pub report_failures: bool,
    /// `ScalingConfig.MaximumConcurrency`.
    pub max_concurrency: Option<usize>,
}

/// A table's stream as event source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSource {
    /// The table's name.
    pub table: String,
    /// `TRIM_HORIZON` (true) or `LATEST`.
    pub from_start: bool,
    /// `BatchSize`: 100 unless told.
    pub batch_size: usize,
    /// `MaximumBatchingWindowInSeconds`.
    pub window: Duration,
    /// `MaximumRetryAttempts`; `None` is for ever.
    pub max_retries: Option<u32>,
    /// `BisectBatchOnFunctionError`.
    pub bisect: bool,
    /// `ReportBatchItemFailures`.
    pub report_failures: bool,
    /// `DestinationConfig.OnFailure.Destination`: the name of a queue.
    pub on_failure: Option<String>,
    /// `FilterCriteria`.
    pub filters: Filters,
}

/// A clock as event source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleSource {
    /// `rate(…)` or `cron(…)`.
    pub expression: String,
    /// The event, if the template gives one.
    pub input: Option<String>,
    /// `EventBridge Scheduler` (`ScheduleV2`) rather than a rule.
    pub scheduler: bool,
}

/// All of it.
#[derive(Debug, Clone, Default)]
pub struct Model {
    /// Functions by the order of the templates.
    pub functions: Vec<Function>,
    /// Tables; their properties are `CreateTable`'s plus `TimeToLiveSpecification`.
    pub tables: Vec<Plain>,
    /// Buckets.
    pub buckets: Vec<Bucket>,
    /// Queues.
    pub queues: Vec<Queue>,
    /// Routes.
    pub routes: Vec<Route>,
    /// CORS of the API, if it has any.
    pub cors: Option<Cors>,
    /// Event sources.
    pub sources: Vec<EventSource>,
    /// KMS keys.
    pub keys: Vec<Plain>,
    /// KMS aliases.
    pub aliases: Vec<Plain>,
    /// Secrets.
    pub secrets: Vec<Plain>,
    /// SSM parameters.
    pub parameters: Vec<Plain>,
    /// Outputs of the root stack.
    pub outputs: BTreeMap<String, String>,
}

impl Model {
    /// The function of that name.
    pub fn function(&self, name: &str) -> Option<&Function> {
        self.functions.iter().find(|f| f.name == name)
    }
}

/// Templates in memory, ready to be read for a site.
#[derive(Debug, Clone)]
pub struct Templates {
    /// The stacks, parents first.
    pub stacks: Vec<StackTemplate>,
}

impl Templates {
    /// Loads a root template with its nested stacks.
    ///
    /// # Errors
    /// As [`load`].
    pub fn load(root: &Path, stack_name: &str) -> Result<Self, TemplateError> {
        Ok(Self { stacks: load(root, stack_name)? })
    }

    /// The model at a site.
    ///
    /// # Errors
    /// If a reference leads nowhere, a value has the wrong shape, or a resource type is unknown.
    pub fn model(&self, site: &Site) -> Result<Model, TemplateError> {
        read::model(&self.stacks, site)
    }
}
