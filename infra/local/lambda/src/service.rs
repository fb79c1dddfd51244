//! The Lambda service.

use crate::{Error, FunctionSpec, InvocationReport, InvokeError, LambdaOptions, SandboxInfo};
use bytes::Bytes;
use std::{collections::BTreeMap, time::Duration};
use tokio::net::TcpListener;

/// The Lambda service. Clones share it; when the last clone is dropped its sandboxes are killed.
#[derive(Clone)]
pub struct Lambda;

impl Lambda {
    /// Serves the functions; `listener` carries the Invoke API. Sandboxes start on demand.
    pub async fn start(
        _listener: TcpListener,
        _functions: Vec<FunctionSpec>,
        _options: LambdaOptions,
    ) -> Result<Self, Error> {
        Ok(Self)
    }
    /// Invokes and waits for the answer, and for a sandbox if the function is at its limit.
    pub async fn invoke(&self, _function: &str, _payload: Bytes) -> Result<Bytes, InvokeError> {
        Err(InvokeError::UnknownFunction)
    }
    /// Like [`Lambda::invoke`], but [`InvokeError::Throttled`] at the limit.
    pub async fn try_invoke(&self, _function: &str, _payload: Bytes) -> Result<Bytes, InvokeError> {
        Err(InvokeError::UnknownFunction)
    }
    /// Base URL of the Invoke API.
    pub fn endpoint(&self) -> String {
        String::new()
    }
    /// The sandboxes alive now.
    pub fn sandboxes(&self) -> Vec<SandboxInfo> {
        Vec::new()
    }
    /// Sends SIGKILL to a sandbox; false if it is gone.
    pub fn kill_sandbox(&self, _id: u64) -> bool {
        false
    }
    /// Ends the sandboxes idle for at least `older_than`, and waits until they are gone.
    pub async fn retire_idle(&self, _older_than: Duration) {}
    /// The last 100,000 reports, oldest first.
    pub fn reports(&self) -> Vec<InvocationReport> {
        Vec::new()
    }
    /// Largest peak memory of any sandbox ever, by function, in bytes.
    pub fn peak_memory(&self) -> BTreeMap<String, u64> {
        BTreeMap::new()
    }
    /// Ends every sandbox and waits until its process is gone.
    pub async fn shutdown(&self) {}
}
