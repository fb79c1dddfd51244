//! What a stack is told at its start.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use local_lambda::LogSink;

use crate::cloud::Cloud;
use crate::functions::Profile;
use crate::log::Quiet;

/// Where the data is kept.
#[derive(Debug, Clone)]
pub enum DataDir {
    /// A folder that stays.
    Path(PathBuf),
    /// A new folder that goes when the stack does.
    Temp,
}

/// Whom functions ask for DNS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolver {
    /// The stand-in with its demonstration zone.
    StandIn,
    /// The machine's own resolver.
    System,
}

/// Options with sound defaults for tests; see [`StackOptions::new`].
#[derive(Clone)]
pub struct StackOptions {
    /// The folder that has `template.yaml`.
    pub root: PathBuf,
    /// Data.
    pub data: DataDir,
    /// AWS's side.
    pub cloud: Cloud,
    /// Where everything listens, and what functions are told.
    pub host: IpAddr,
    /// Port of the HTTP API; the services take the free ones that follow. `None`: any free ports.
    pub port: Option<u16>,
    /// Which binaries.
    pub profile: Profile,
    /// Variables for every function, over all others.
    pub env: BTreeMap<String, String>,
    /// Values for the root template's parameters.
    pub parameters: BTreeMap<String, String>,
    /// Longest visibility time-out and delay of any queue, so that a test sees redeliveries soon. What a poller
    /// has in hand stays hidden however long it takes.
    pub visibility_cap: Option<Duration>,
    /// DNS.
    pub resolver: Resolver,
    /// Whether functions run here; without them only the services do.
    pub functions: bool,
    /// Without functions: the Invoke API that queues, streams and schedules call. `None`: they call nobody.
    pub lambda_endpoint: Option<String>,
    /// Where the output of functions goes.
    pub log: Arc<dyn LogSink>,
    /// Whether functions record spans, which then go to `traces.jsonl` in the data folder.
    pub traces: bool,
    /// Whether schedules fire by themselves.
    pub schedules: bool,
    /// Sandboxes of a function that reserves no concurrency.
    pub max_concurrency: usize,
    /// Binaries by function, instead of those in the target folder.
    pub binaries: BTreeMap<String, PathBuf>,
    /// Which functions are there; the others need no binary, and a sandbox of theirs ends at once. All unless it is said.
    pub only: Option<BTreeSet<String>>,
}

impl StackOptions {
    /// For tests: fresh data, free ports, debug binaries, silent, DNS stand-in, schedules only when asked.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            data: DataDir::Temp,
            cloud: Cloud::Embedded,
            host: Ipv4Addr::LOCALHOST.into(),
            port: None,
            profile: Profile::Debug,
            env: BTreeMap::new(),
            parameters: BTreeMap::new(),
            visibility_cap: None,
            resolver: Resolver::StandIn,
            functions: true,
            lambda_endpoint: None,
            log: Arc::new(Quiet),
            traces: false,
            schedules: false,
            max_concurrency: 10,
            binaries: BTreeMap::new(),
            only: None,
        }
    }
}
