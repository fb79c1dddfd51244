//! The Lambda service: which sandbox runs what, and what comes of it.

use crate::{
    Error, FunctionSpec, InvocationReport, InvokeError, LambdaOptions, MAX_REQUEST_BYTES, Outcome,
    SandboxInfo, correlation, http1, ids, invoke_api,
    runtime_api::{Done, Event, lock},
    sandbox::{Function, Sandbox, Surroundings},
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    os::unix::process::ExitStatusExt,
    process::ExitStatus,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

/// How long a sandbox may take to its first `next` (Lambda's limit for the init phase).
const INIT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a running sandbox's memory is read.
const SAMPLE: Duration = Duration::from_millis(20);
/// Reports kept.
const MAX_REPORTS: usize = 100_000;

/// The Lambda service. Clones share it; when the last clone is dropped its sandboxes are killed.
///
/// If this process dies without a chance to end them, the sandboxes end by themselves: their Runtime API connection
/// breaks and `lambda_runtime` exits, at once when idle and at the end of the invocation when busy.
#[derive(Clone)]
pub struct Lambda {
    shared: Arc<Shared>,
    _stop_when_dropped: Arc<DropGuard>,
}

pub(crate) struct Shared {
    options: LambdaOptions,
    functions: BTreeMap<String, Arc<Function>>,
    address: SocketAddr,
    next_sandbox: AtomicU64,
    reports: Mutex<VecDeque<InvocationReport>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// What an invocation carries besides its payload.
#[derive(Default)]
pub(crate) struct Extras {
    /// An `X-Amzn-Trace-Id` to continue.
    pub trace: Option<String>,
    /// Client context, as JSON.
    pub client_context: Option<String>,
}

/// An invocation that ran, or could not.
pub(crate) struct Invoked {
    pub request_id: String,
    pub result: Result<Bytes, InvokeError>,
}

impl Lambda {
    /// Serves the functions; `listener` carries the Invoke API. Sandboxes start on demand.
    pub async fn start(
        listener: TcpListener,
        functions: Vec<FunctionSpec>,
        options: LambdaOptions,
    ) -> Result<Self, Error> {
        let mut served = BTreeMap::new();
        for spec in functions {
            let arn =
                format!("arn:aws:lambda:{}:{}:function:{}", options.region, options.account_id, spec.name);
            let function = Arc::new(Function {
                arn,
                permits: Arc::new(Semaphore::new(spec.max_concurrency.clamp(1, Semaphore::MAX_PERMITS))),
                idle: Mutex::default(),
                alive: Mutex::default(),
                peak: AtomicU64::new(0),
                spec,
            });
            if let Some(twice) = served.insert(function.spec.name.clone(), function) {
                return Err(Error::DuplicateFunction(twice.spec.name.clone()));
            }
        }
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            options,
            functions: served,
            address: listener.local_addr()?,
            next_sandbox: AtomicU64::new(1),
            reports: Mutex::default(),
            stop: stop.clone(),
            tasks: TaskTracker::new(),
        });
        let serving = Arc::clone(&shared);
        shared.tasks.spawn(http1::serve(listener, stop.clone(), Duration::ZERO, move |request, _| {
            invoke_api::handle(Arc::clone(&serving), request)
        }));
        Ok(Self { shared, _stop_when_dropped: Arc::new(stop.drop_guard()) })
    }

    /// Invokes (RequestResponse) and waits for the answer, and first for a sandbox if the function is at its
    /// limit; waiting callers are served in order. Dropping the future gives up a place in the queue, but an
    /// invocation that has begun runs on.
    pub async fn invoke(&self, function: &str, payload: Bytes) -> Result<Bytes, InvokeError> {
        self.invoke_with(function, payload, Extras::default()).await.result
    }

    /// Like [`Lambda::invoke`], but [`InvokeError::Throttled`] at the limit.
    pub async fn try_invoke(&self, function: &str, payload: Bytes) -> Result<Bytes, InvokeError> {
        self.shared.clone().invoke(function, payload, Extras::default(), MAX_REQUEST_BYTES, true).await.result
    }

    pub(crate) async fn invoke_with(&self, function: &str, payload: Bytes, extras: Extras) -> Invoked {
        self.shared.clone().invoke(function, payload, extras, MAX_REQUEST_BYTES, false).await
    }

    pub(crate) fn has(&self, function: &str) -> bool {
        self.shared.functions.contains_key(function)
    }

    /// Base URL of Lambda's Invoke API (`POST /2015-03-31/functions/{name}/invocations`), for SDKs, boto3 and
    /// `cargo lambda invoke`. It waits at the concurrency limit instead of throttling, does not check signatures,
    /// and tries an `Event` invocation once.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.shared.address)
    }

    /// The sandboxes alive now, oldest first within a function.
    pub fn sandboxes(&self) -> Vec<SandboxInfo> {
        let infos = |function: &Arc<Function>| {
            let alive: Vec<_> = lock(&function.alive).values().cloned().collect();
            alive.into_iter().map(|s| s.info(&function.spec.name)).collect::<Vec<_>>()
        };
        self.shared.functions.values().flat_map(infos).collect()
    }

    /// Sends SIGKILL to a sandbox; false if there is none of this id. Its invocation ends as
    /// [`InvokeError::Crashed`].
    pub fn kill_sandbox(&self, id: u64) -> bool {
        let find = |function: &Arc<Function>| lock(&function.alive).get(&id).cloned();
        self.shared.functions.values().find_map(find).is_some_and(|sandbox| sandbox.kill())
    }

    /// Likewise, by the session token that its calls to AWS carry.
    pub fn kill_session(&self, token: &str) -> bool {
        let find = |function: &Arc<Function>| {
            lock(&function.alive).values().find(|sandbox| sandbox.session == token).cloned()
        };
        self.shared.functions.values().find_map(find).is_some_and(|sandbox| sandbox.kill())
    }

    /// Ends the sandboxes idle for at least `older_than`, and waits until they are gone.
    pub async fn retire_idle(&self, older_than: Duration) {
        let idle: Vec<_> = self.shared.functions.values().flat_map(|f| f.take_idle(older_than)).collect();
        for sandbox in &idle {
            sandbox.kill();
        }
        for sandbox in &idle {
            sandbox.exited().await;
        }
    }

    /// The last 100,000 reports, oldest first.
    pub fn reports(&self) -> Vec<InvocationReport> {
        lock(&self.shared.reports).iter().cloned().collect()
    }

    /// Largest peak memory of any sandbox ever, by function, in bytes. A function that never ran has none.
    pub fn peak_memory(&self) -> BTreeMap<String, u64> {
        for function in self.shared.functions.values() {
            let alive: Vec<_> = lock(&function.alive).values().cloned().collect();
            for sandbox in alive {
                function.peak.fetch_max(sandbox.measure(), Ordering::SeqCst);
            }
        }
        let peaks =
            self.shared.functions.iter().map(|(name, f)| (name.clone(), f.peak.load(Ordering::SeqCst)));
        peaks.filter(|(_, peak)| *peak > 0).collect()
    }

    /// Kills every sandbox and waits until its process is gone. Running and waiting invocations end as
    /// [`InvokeError::Closed`], and so do later ones.
    pub async fn shutdown(&self) {
        self.shared.stop.cancel();
        for function in self.shared.functions.values() {
            function.permits.close();
        }
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

/// One attempt to run an invocation on a sandbox.
enum Attempt {
    /// A reused sandbox died before it took the event: another may run it.
    NotTaken,
    Ended(Result<Bytes, InvokeError>, Option<Instant>),
}

impl Shared {
    pub fn function_arn(&self, name: &str) -> String {
        format!("arn:aws:lambda:{}:{}:function:{name}", self.options.region, self.options.account_id)
    }

    pub fn knows(&self, function: &str) -> bool {
        self.functions.contains_key(function)
    }

    pub async fn invoke(
        self: Arc<Self>,
        name: &str,
        payload: Bytes,
        extras: Extras,
        limit: usize,
        throttle: bool,
    ) -> Invoked {
        let request_id = ids::request_id();
        let refused = |error| Invoked { request_id: request_id.clone(), result: Err(error) };
        let Some(function) = self.functions.get(name).cloned() else {
            return refused(InvokeError::UnknownFunction);
        };
        if payload.len() > limit {
            return refused(InvokeError::PayloadTooLarge { size: payload.len(), limit });
        }
        // Taken before looking at `stop`, so that a shutdown waits for whatever is begun here.
        let busy = self.tasks.token();
        if self.stop.is_cancelled() {
            return refused(InvokeError::Closed);
        }
        let permits = Arc::clone(&function.permits);
        let permit = if throttle {
            permits.try_acquire_owned().map_err(|_| InvokeError::Throttled)
        } else {
            permits.acquire_owned().await.map_err(|_| InvokeError::Closed)
        };
        let permit = match permit {
            Ok(permit) => permit,
            Err(error) => return refused(error),
        };
        let (shared, id) = (Arc::clone(&self), request_id.clone());
        // Spawned: a caller that goes away must not leave a sandbox in the middle of an event.
        let running = tokio::spawn(async move {
            let result = shared.run(&function, permit, id, payload, extras).await;
            drop(busy);
            result
        });
        Invoked { request_id, result: running.await.unwrap_or(Err(InvokeError::Closed)) }
    }

    async fn run(
        &self,
        function: &Arc<Function>,
        permit: OwnedSemaphorePermit,
        request_id: String,
        payload: Bytes,
        extras: Extras,
    ) -> Result<Bytes, InvokeError> {
        let correlation_id = correlation::of(&payload);
        let (result, report) = loop {
            let (sandbox, cold) = match function.reuse() {
                Some(sandbox) => (sandbox, false),
                None => {
                    let id = self.next_sandbox.fetch_add(1, Ordering::SeqCst);
                    let around = Surroundings {
                        log: &self.options.log,
                        region: &self.options.region,
                        scratch: &self.options.scratch,
                        issue: self.options.issue.as_ref(),
                        stop: &self.stop,
                        tasks: &self.tasks,
                    };
                    match Sandbox::start(id, function, around).await {
                        Ok(sandbox) => (sandbox, true),
                        Err(error) => {
                            let message = format!("{}: {error}", function.spec.binary.display());
                            let report =
                                self.report(function, id, &request_id, correlation_id, Outcome::InitFailed);
                            break (Err(InvokeError::InitFailed { message }), report);
                        }
                    }
                }
            };
            let (result, taken) =
                match self.attempt(function, &sandbox, cold, &request_id, &payload, &extras).await {
                    Attempt::NotTaken => continue,
                    Attempt::Ended(result, taken) => (result, taken),
                };
            let ended = Instant::now();
            let peak = sandbox.measure();
            function.peak.fetch_max(peak, Ordering::SeqCst);
            let outcome = match &result {
                Ok(_) => Outcome::Ok,
                Err(InvokeError::TimedOut { .. }) => Outcome::TimedOut,
                Err(InvokeError::Crashed { signal, code }) => {
                    Outcome::Crashed { signal: *signal, code: *code }
                }
                Err(InvokeError::InitFailed { .. }) => Outcome::InitFailed,
                Err(_) => Outcome::FunctionError,
            };
            let mut report = self.report(function, sandbox.id, &request_id, correlation_id, outcome);
            report.duration = taken.map_or(Duration::ZERO, |at| ended - at);
            report.init_duration = cold.then(|| taken.unwrap_or(ended) - sandbox.started);
            report.peak_memory_bytes = peak;
            report.cold = cold;
            self.warn_of_memory(function, &sandbox, peak);
            if matches!(outcome, Outcome::Ok | Outcome::FunctionError) {
                function.give_back(&sandbox);
            } else {
                sandbox.kill();
                sandbox.exited().await;
            }
            break (result, report);
        };
        drop(permit);
        self.options.log.report(&report);
        let mut reports = lock(&self.reports);
        if reports.len() == MAX_REPORTS {
            reports.pop_front();
        }
        reports.push_back(report);
        if self.stop.is_cancelled() && result.is_err() { Err(InvokeError::Closed) } else { result }
    }

    async fn attempt(
        &self,
        function: &Function,
        sandbox: &Sandbox,
        cold: bool,
        request_id: &str,
        payload: &Bytes,
        extras: &Extras,
    ) -> Attempt {
        let timeout = function.spec.timeout;
        let (taken_by, taken) = oneshot::channel();
        let (done_by, mut done) = oneshot::channel();
        sandbox.api.offer(Event {
            request_id: request_id.to_owned(),
            payload: payload.clone(),
            trace: ids::trace_header(extras.trace.as_deref()),
            client_context: extras.client_context.clone(),
            arn: function.arn.clone(),
            timeout,
            taken: taken_by,
            done: done_by,
        });
        let init_failed = |message| Attempt::Ended(Err(InvokeError::InitFailed { message }), None);
        // A warm sandbox has answered but may not have asked again; the time that takes it counts as the
        // invocation before, so its limit is the function's own.
        let patience = if cold { INIT_TIMEOUT } else { timeout };
        let taken = tokio::select! {
            biased;
            Ok(at) = taken => at,
            message = sandbox.api.init_error() => return init_failed(message),
            status = sandbox.exited() => return if cold {
                let Exit { signal, code } = status.into();
                init_failed(InvokeError::Crashed { signal, code }.to_string())
            } else {
                Attempt::NotTaken
            },
            () = tokio::time::sleep(patience) => return if cold {
                init_failed(format!("Init phase timed out after {:.2} seconds", patience.as_secs_f64()))
            } else {
                Attempt::Ended(Err(InvokeError::TimedOut { after: timeout }), None)
            },
        };
        sandbox.invocations.fetch_add(1, Ordering::SeqCst);
        let mut deadline = std::pin::pin!(tokio::time::sleep_until((taken + timeout).into()));
        let mut sample = tokio::time::interval(SAMPLE);
        let mut exited = std::pin::pin!(sandbox.exited());
        let result = loop {
            tokio::select! {
                biased;
                answer = &mut done => break match answer {
                    Ok(Done::Response(body)) => Ok(body),
                    Ok(Done::TooLarge) => Err(InvokeError::ResponseTooLarge),
                    Ok(Done::Error(payload)) => Err(InvokeError::FunctionError { payload }),
                    // Only the Runtime API answers, and it lives as long as the sandbox.
                    Err(_) => Err(InvokeError::Crashed { signal: None, code: None }),
                },
                status = &mut exited => {
                    let Exit { signal, code } = status.into();
                    break Err(InvokeError::Crashed { signal, code });
                }
                () = &mut deadline => break Err(InvokeError::TimedOut { after: timeout }),
                _ = sample.tick() => { sandbox.measure(); }
            }
        };
        Attempt::Ended(result, Some(taken))
    }

    fn report(
        &self,
        function: &Function,
        sandbox: u64,
        request_id: &str,
        correlation_id: Option<String>,
        outcome: Outcome,
    ) -> InvocationReport {
        InvocationReport {
            function: function.spec.name.clone(),
            sandbox,
            request_id: request_id.to_owned(),
            correlation_id,
            duration: Duration::ZERO,
            init_duration: None,
            peak_memory_bytes: 0,
            outcome,
            cold: true,
        }
    }

    /// On Lambda the process would have been killed; here it is said, once for each sandbox.
    fn warn_of_memory(&self, function: &Function, sandbox: &Sandbox, peak: u64) {
        let limit = u64::from(function.spec.memory_mb) * 1024 * 1024;
        if peak > limit && !sandbox.warned.swap(true, Ordering::SeqCst) {
            let line = format!(
                "WARNING: Max Memory Used: {} MB exceeds Memory Size: {} MB; Lambda would have ended the sandbox",
                peak.div_ceil(1024 * 1024),
                function.spec.memory_mb
            );
            self.options.log.line(&function.spec.name, sandbox.id, &line);
        }
    }
}

/// How a process ended.
struct Exit {
    signal: Option<i32>,
    code: Option<i32>,
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        Self { signal: status.signal(), code: status.code() }
    }
}
