//! What can go wrong with a stack.

use std::path::PathBuf;

use crate::services::wire::WireError;
use crate::sources::InvocationError;
use crate::sources::schedule::ScheduleError;
use crate::template::TemplateError;

/// Why the stack did not start, or could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The templates.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A schedule in a template.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// A resource could not be made.
    #[error("{id}: {reason}")]
    Resource {
        /// Stack and logical id.
        id: String,
        /// What the service said.
        reason: String,
    },
    /// The data folder holds a table with other keys or indexes than the templates declare.
    #[error(
        "the table {0} has changed its keys or indexes; start with --fresh, which deletes the local data"
    )]
    TableChanged(String),
    /// A name that is not in the templates, or in more than one place.
    #[error("the templates have no single {0}")]
    NoResource(String),
    /// Another stack runs on the folder.
    #[error("another stack is running on {}", .0.display())]
    Locked(PathBuf),
    /// No stack runs on the folder.
    #[error("no stack is running on {}; start one with `cargo run`", .0.display())]
    NotRunning(PathBuf),
    /// The data folder is not usable.
    #[error("data folder: {0}")]
    DataDir(String),
    /// A function has no binary.
    #[error("{name} has no binary at {}; build it with `cargo build -p {name}`", path.display())]
    NoBinary {
        /// The function.
        name: String,
        /// Where it should be.
        path: PathBuf,
    },
    /// The functions do not compile.
    #[error("the functions did not build:\n{0}")]
    Build(String),
    /// Cargo's description of the workspace cannot be read.
    #[error("cargo metadata failed")]
    Metadata(#[from] cargo_metadata::Error),
    /// Saved state of KMS, Secrets Manager or SSM cannot be read, or a secret cannot be made.
    #[error("KMS, Secrets Manager or SSM: {0}")]
    Snapshot(String),
    /// DynamoDB.
    #[error("DynamoDB: {0}")]
    Dynamo(#[from] dynoxide::DynoxideError),
    /// The DynamoDB file.
    #[error("DynamoDB file")]
    Sqlite(#[from] rusqlite::Error),
    /// A call of another cloud's.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Another cloud cannot be had.
    #[error("{0}")]
    Cloud(String),
    /// S3, asked as a client.
    #[error("S3: {0}")]
    Objects(String),
    /// SQS.
    #[error("SQS: {0}")]
    Sqs(#[from] local_sqs::SqsError),
    /// SQS did not start.
    #[error("SQS did not start")]
    SqsStart(#[from] local_sqs::Error),
    /// S3.
    #[error("S3: {0}")]
    S3(#[from] local_s3::Error),
    /// Lambda or the HTTP front did not start.
    #[error("Lambda did not start: {0}")]
    Lambda(#[from] local_lambda::Error),
    /// An invocation failed.
    #[error(transparent)]
    Invocation(#[from] InvocationError),
    /// The DNS zone file.
    #[error("DNS zone: {0}")]
    Zone(#[from] local_parties::ZoneError),
    /// JSON that should have been JSON.
    #[error("JSON")]
    Json(#[from] serde_json::Error),
    /// The system.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A task of ours ended early.
    #[error("a task ended early: {0}")]
    Task(String),
    /// A function did not describe itself.
    #[error("{function} gives no OpenAPI fragment: {reason}")]
    OpenApi {
        /// The function.
        function: String,
        /// Why.
        reason: String,
    },
    /// The demonstration could not go on.
    #[error("demo: {0}")]
    Demo(String),
    /// Sample data could not be made.
    #[error("sample data: {0}")]
    Seed(String),
}
