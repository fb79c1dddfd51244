//! AWS Lambda and an API Gateway HTTP API on this machine: real function binaries behind the Lambda Runtime
//! API, invoked in process, through Lambda's Invoke API, or by HTTP requests as payload format 2.0 events.

mod correlation;
mod front;
mod http1;
mod ids;
mod invoke_api;
mod runtime_api;
mod sandbox;
mod service;
mod types;

pub use front::{Cors, Front, FrontOptions, Route};
pub use service::Lambda;
pub use types::{
    Error, FunctionSpec, InvocationReport, InvokeError, Issue, LambdaOptions, LogSink, MAX_EVENT_BYTES,
    MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES, Outcome, SandboxInfo,
};
