//! What goes into the service and what comes out: functions, sandboxes, reports, errors.

use bytes::Bytes;
use futures::future::BoxFuture;
use serde::{Serialize, Serializer};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

/// Largest request payload of a synchronous invocation, in bytes. Lambda names it in its own error:
/// "Request must be smaller than 6291456 bytes for the InvokeFunction operation".
pub const MAX_REQUEST_BYTES: usize = 6 * 1024 * 1024;
/// Largest request payload of an asynchronous (`Event`) invocation, in bytes (Lambda quotas page).
pub const MAX_EVENT_BYTES: usize = 1024 * 1024;
/// Largest response payload, in bytes: 6 MiB and 100 bytes, as Lambda's error and the source of its
/// Runtime Interface Emulator both say ("maximum allowed payload size (6291556 bytes)").
pub const MAX_RESPONSE_BYTES: usize = 6 * 1024 * 1024 + 100;

/// A function to serve: a binary that speaks the Lambda Runtime API.
#[derive(Clone, Debug)]
pub struct FunctionSpec {
    /// Function name, unique in the service.
    pub name: String,
    /// The executable (what a deployment calls `bootstrap`).
    pub binary: PathBuf,
    /// The function's own environment. Variables that Lambda reserves are set over it.
    pub env: BTreeMap<String, String>,
    /// Configured memory in MiB. Told to the function and compared with its peak, not enforced.
    pub memory_mb: u32,
    /// How long one invocation may take before its sandbox is killed.
    pub timeout: Duration,
    /// Sandboxes that may exist at once; at least one.
    pub max_concurrency: usize,
}

/// Gives a new sandbox of a function the keys of a session of its own, as variables (`AWS_ACCESS_KEY_ID` and so on), which go over all
/// others. Takes the function's name and the sandbox's number.
pub type Issue =
    Arc<dyn Fn(String, u64) -> BoxFuture<'static, std::io::Result<Vec<(String, String)>>> + Send + Sync>;

/// Settings of the whole service.
pub struct LambdaOptions {
    /// Where the functions' output and the invocation reports go.
    pub log: Arc<dyn LogSink>,
    /// Account number in ARNs.
    pub account_id: String,
    /// Region in ARNs and in the functions' environment.
    pub region: String,
    /// A folder for the sandboxes' folders. Each is removed when its sandbox ends; whoever ends the whole process removes the rest.
    pub scratch: PathBuf,
    /// Where sandboxes get their keys. Without it they are those of the function's own variables, with a session token of the sandbox's
    /// own.
    pub issue: Option<Issue>,
}

/// Receives what functions write and how their invocations ended. Called from async tasks: must not block.
pub trait LogSink: Send + Sync {
    /// A line the function wrote to stdout or stderr, without its newline; bytes that are not UTF-8 are replaced.
    fn line(&self, function: &str, sandbox: u64, line: &str);
    /// An invocation ended.
    fn report(&self, report: &InvocationReport);
}

/// How one invocation went (what Lambda writes as its REPORT line). Serialised with durations in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub struct InvocationReport {
    /// Function name.
    pub function: String,
    /// The sandbox that ran it.
    pub sandbox: u64,
    /// Lambda's request id.
    pub request_id: String,
    /// The id that ties the work of one caller together, when the event carries one: an
    /// `x-correlation-id` header, a `correlation_id` message attribute, or API Gateway's request id.
    pub correlation_id: Option<String>,
    /// From handing the event over to the answer.
    #[serde(rename = "duration_ms", serialize_with = "millis")]
    pub duration: Duration,
    /// From exec to the first `next`; only on a sandbox's first invocation.
    #[serde(rename = "init_duration_ms", serialize_with = "opt_millis")]
    pub init_duration: Option<Duration>,
    /// The sandbox's peak resident memory so far (`VmHWM` in `/proc/PID/status`), in bytes. After a crash it
    /// is the last sample taken while the process lived (every 20 ms).
    pub peak_memory_bytes: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether a sandbox was started for it.
    pub cold: bool,
}

fn millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64() * 1000.0)
}

fn opt_millis<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration.map(|d| d.as_secs_f64() * 1000.0).serialize(serializer)
}

/// The end of an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The function answered.
    Ok,
    /// The function reported an error, or answered with more than [`MAX_RESPONSE_BYTES`].
    FunctionError,
    /// The function's timeout passed and its sandbox was killed.
    TimedOut,
    /// The process ended in the middle of the invocation.
    Crashed {
        /// The signal that ended it.
        signal: Option<i32>,
        /// Its exit code, if it exited by itself.
        code: Option<i32>,
    },
    /// The sandbox never asked for its first event.
    InitFailed,
}

/// A sandbox at this moment.
#[derive(Clone, Debug, Serialize)]
pub struct SandboxInfo {
    /// Function name.
    pub function: String,
    /// Unique over the life of the service.
    pub id: u64,
    /// Process id.
    pub pid: u32,
    /// Whether it holds an invocation (or is starting for one).
    pub busy: bool,
    /// Events handed to it so far.
    pub invocations: u64,
    /// `VmHWM` in bytes.
    pub peak_memory_bytes: u64,
}

/// Why the service, or the HTTP front, did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A listener's address could not be read.
    #[error("listener: {0}")]
    Listener(#[from] std::io::Error),
    /// Two functions have the same name.
    #[error("function {0} is given twice")]
    DuplicateFunction(String),
    /// A route's path or method is not one that API Gateway accepts.
    #[error("route {route}: {reason}")]
    BadRoute {
        /// The route key.
        route: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Two routes have the same key.
    #[error("route {0} is given twice")]
    DuplicateRoute(String),
    /// A route names a function that the service does not have.
    #[error("route {route} names the unknown function {function}")]
    UnknownFunction {
        /// The route key.
        route: String,
        /// The function named.
        function: String,
    },
}

/// Why an invocation gave no result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum InvokeError {
    /// No such function.
    #[error("unknown function")]
    UnknownFunction,
    /// All sandboxes are busy and the caller would not wait.
    #[error("rate exceeded: every sandbox of the function is busy")]
    Throttled,
    /// The event is larger than Lambda takes; nothing ran.
    #[error("request must be smaller than {limit} bytes for the InvokeFunction operation, it has {size}")]
    PayloadTooLarge {
        /// Bytes given.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The function ran and answered with more than [`MAX_RESPONSE_BYTES`].
    #[error("response payload size exceeded maximum allowed payload size ({MAX_RESPONSE_BYTES} bytes)")]
    ResponseTooLarge,
    /// The timeout passed; the sandbox is gone.
    #[error("Task timed out after {:.2} seconds", after.as_secs_f64())]
    TimedOut {
        /// The function's timeout.
        after: Duration,
    },
    /// The process ended while it held the event; the sandbox is gone.
    #[error("Runtime exited with error: {}", exit_text(*signal, *code))]
    Crashed {
        /// The signal that ended it.
        signal: Option<i32>,
        /// Its exit code, if it exited by itself.
        code: Option<i32>,
    },
    /// The sandbox did not get to its first `next`; the event was not handed over.
    #[error("initialisation failed: {message}")]
    InitFailed {
        /// What is known: the exec error, the exit, the time limit, or the error the function reported.
        message: String,
    },
    /// The function reported an error.
    #[error("function error: {}", String::from_utf8_lossy(payload))]
    FunctionError {
        /// What it sent, normally `{"errorType": …, "errorMessage": …}`.
        payload: Bytes,
    },
    /// The service is shutting down.
    #[error("the service is shutting down")]
    Closed,
}

/// An exit in Lambda's words: `signal: killed`, `exit status 1`.
fn exit_text(signal: Option<i32>, code: Option<i32>) -> String {
    match (signal, code) {
        (Some(6), _) => "signal: aborted".to_owned(),
        (Some(9), _) => "signal: killed".to_owned(),
        (Some(11), _) => "signal: segmentation fault".to_owned(),
        (Some(signal), _) => format!("signal: {signal}"),
        (None, code) => format!("exit status {}", code.unwrap_or_default()),
    }
}
