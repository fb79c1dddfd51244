//! A sandbox: one process of a function, its Runtime API, its temporary folder and its output.

use crate::{
    FunctionSpec, Issue, LogSink, SandboxInfo,
    http1::serve,
    ids,
    runtime_api::{RuntimeApi, lock},
};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    net::TcpListener,
    process::{Child, Command},
    sync::{Notify, Semaphore, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Longest log line passed on in one piece; CloudWatch cuts events at 256 KiB too.
const MAX_LINE: usize = 256 * 1024;

/// The variable by which a sandbox's calls to AWS tell whose they are.
const SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";

/// A function and its sandboxes. Each sandbox is either idle or held together with a permit, and a new one is made
/// only when none is idle, so that there are never more sandboxes than permits.
pub(crate) struct Function {
    pub spec: FunctionSpec,
    pub arn: String,
    pub permits: Arc<Semaphore>,
    /// Most recently used last.
    pub idle: Mutex<Vec<Arc<Sandbox>>>,
    pub alive: Mutex<BTreeMap<u64, Arc<Sandbox>>>,
    pub peak: AtomicU64,
}

impl Function {
    /// The most recently used idle sandbox that lives.
    pub fn reuse(&self) -> Option<Arc<Sandbox>> {
        let mut idle = lock(&self.idle);
        std::iter::from_fn(|| idle.pop())
            .find(|s| s.usable())
            .inspect(|s| s.busy.store(true, Ordering::SeqCst))
    }

    /// Makes a sandbox available again.
    pub fn give_back(&self, sandbox: &Arc<Sandbox>) {
        *lock(&sandbox.idle_since) = Instant::now();
        sandbox.busy.store(false, Ordering::SeqCst);
        let mut idle = lock(&self.idle);
        if sandbox.usable() {
            idle.push(Arc::clone(sandbox));
        }
    }

    /// Takes out the sandboxes idle for at least `older_than`.
    pub fn take_idle(&self, older_than: Duration) -> Vec<Arc<Sandbox>> {
        lock(&self.idle).extract_if(.., |s| lock(&s.idle_since).elapsed() >= older_than).collect()
    }
}

/// One process.
pub(crate) struct Sandbox {
    pub id: u64,
    /// The session token of its credentials: whose calls are whose.
    pub session: String,
    pub pid: u32,
    pub api: RuntimeApi,
    pub started: Instant,
    pub invocations: AtomicU64,
    pub warned: AtomicBool,
    busy: AtomicBool,
    idle_since: Mutex<Instant>,
    peak: AtomicU64,
    killed: AtomicBool,
    kill: Notify,
    exit: watch::Sender<Option<ExitStatus>>,
}

/// What a sandbox needs from the service around it.
pub(crate) struct Surroundings<'a> {
    pub log: &'a Arc<dyn LogSink>,
    pub region: &'a str,
    pub scratch: &'a Path,
    pub issue: Option<&'a Issue>,
    pub stop: &'a CancellationToken,
    pub tasks: &'a TaskTracker,
}

impl Sandbox {
    /// Starts a process of `function` and the tasks that serve, read and reap it.
    pub async fn start(
        id: u64,
        function: &Arc<Function>,
        around: Surroundings<'_>,
    ) -> std::io::Result<Arc<Self>> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let folder = tempfile::Builder::new().prefix("lambda-").tempdir_in(around.scratch)?;
        let (task, tmp) = (folder.path().join("task"), folder.path().join("tmp"));
        std::fs::create_dir(&task)?;
        std::fs::create_dir(&tmp)?;

        let mut variables = environment(&function.spec, around.region, id, &task, &tmp);
        variables.insert(SESSION_TOKEN.to_owned(), ids::session_token());
        if let Some(issue) = around.issue {
            variables.extend(issue(function.spec.name.clone(), id).await?);
        }
        let (started, session) = (Instant::now(), variables[SESSION_TOKEN].clone());
        let mut child = Command::new(std::path::absolute(&function.spec.binary)?)
            .env_clear()
            .envs(variables)
            .env("AWS_LAMBDA_RUNTIME_API", listener.local_addr()?.to_string())
            .current_dir(&task)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Its own group: Ctrl-C reaches the service only, which then ends the sandboxes itself, and a kill
            // reaches whatever the function started.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let sandbox = Arc::new(Self {
            id,
            session,
            pid: child.id().unwrap_or_default(),
            api: RuntimeApi::new(),
            started,
            invocations: AtomicU64::new(0),
            warned: AtomicBool::new(false),
            busy: AtomicBool::new(true),
            idle_since: Mutex::new(started),
            peak: AtomicU64::new(0),
            killed: AtomicBool::new(false),
            kill: Notify::new(),
            exit: watch::Sender::new(None),
        });
        lock(&function.alive).insert(id, Arc::clone(&sandbox));

        let outputs =
            [
                child.stdout.take().map(|out| {
                    tokio::spawn(pump(out, Arc::clone(around.log), function.spec.name.clone(), id))
                }),
                child.stderr.take().map(|out| {
                    tokio::spawn(pump(out, Arc::clone(around.log), function.spec.name.clone(), id))
                }),
            ];
        // Not a child of `stop`: the Runtime API must be refused only when the process is gone.
        let gone = CancellationToken::new();
        let served = Arc::clone(&sandbox);
        tokio::spawn(serve(listener, gone.clone(), Duration::ZERO, move |request, _| {
            let served = Arc::clone(&served);
            async move { served.api.handle(request).await }
        }));
        let (watched, function, stop) = (Arc::clone(&sandbox), Arc::clone(function), around.stop.clone());
        around.tasks.spawn(async move {
            let status = watched.reap(&mut child, &stop).await;
            lock(&function.idle).retain(|s| s.id != id);
            lock(&function.alive).remove(&id);
            watched.exit.send_replace(Some(status));
            gone.cancel();
            for output in outputs.into_iter().flatten() {
                // Something the function started in another process group may hold the pipe open for ever.
                let _ = tokio::time::timeout(Duration::from_secs(1), output).await;
            }
            drop(folder);
        });
        Ok(sandbox)
    }

    /// Waits for the process to end, killing it when asked to. It is reaped here and nowhere else, so that its
    /// process id is not anyone else's when it is signalled.
    async fn reap(&self, child: &mut Child, stop: &CancellationToken) -> ExitStatus {
        loop {
            tokio::select! {
                status = child.wait() => return status.unwrap_or_else(|_| ExitStatus::from_raw(9)),
                () = self.kill.notified() => {}
                () = stop.cancelled() => {}
            }
            self.killed.store(true, Ordering::SeqCst);
            self.measure();
            if let Ok(pid) = i32::try_from(self.pid)
                && let Err(error) = killpg(Pid::from_raw(pid), Signal::SIGKILL)
            {
                tracing::debug!(%error, pid, "kill");
            }
            if let Ok(status) = child.wait().await {
                return status;
            }
        }
    }

    /// Whether it may be given work.
    pub fn usable(&self) -> bool {
        !self.killed.load(Ordering::SeqCst) && self.exit.borrow().is_none()
    }

    /// Sends SIGKILL; false if the process is gone.
    pub fn kill(&self) -> bool {
        let alive = self.exit.borrow().is_none();
        self.killed.store(true, Ordering::SeqCst);
        self.kill.notify_one();
        alive
    }

    /// Completes when the process has been reaped.
    pub async fn exited(&self) -> ExitStatus {
        let mut exit = self.exit.subscribe();
        match exit.wait_for(Option::is_some).await {
            Ok(status) => status.unwrap_or_default(),
            Err(_) => ExitStatus::from_raw(9),
        }
    }

    /// Reads the peak resident memory so far, in bytes; keeps the last value once the process is gone.
    pub fn measure(&self) -> u64 {
        // The process id may be another's by now.
        if self.exit.borrow().is_some() {
            return self.peak.load(Ordering::SeqCst);
        }
        let now = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).ok().and_then(|status| {
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
            line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
        });
        let now = now.unwrap_or_default() * 1024;
        self.peak.fetch_max(now, Ordering::SeqCst).max(now)
    }

    pub fn info(&self, function: &str) -> SandboxInfo {
        SandboxInfo {
            function: function.to_owned(),
            id: self.id,
            pid: self.pid,
            busy: self.busy.load(Ordering::SeqCst),
            invocations: self.invocations.load(Ordering::SeqCst),
            peak_memory_bytes: self.measure(),
        }
    }
}

/// The environment of a function: its own, and over it what Lambda sets for an OS-only runtime ("Defined runtime
/// environment variables" in the Lambda guide). Nothing of ours passes but PATH.
fn environment(
    spec: &FunctionSpec,
    region: &str,
    id: u64,
    task: &Path,
    tmp: &Path,
) -> BTreeMap<String, String> {
    let date = jiff::Timestamp::now().strftime("%Y/%m/%d").to_string();
    let path = |p: &Path| p.to_string_lossy().into_owned();
    let mut environment = BTreeMap::from(
        [("LANG", "en_US.UTF-8".to_owned()), ("TZ", ":UTC".to_owned())].map(|(k, v)| (k.to_owned(), v)),
    );
    environment.extend(std::env::var("PATH").map(|path| ("PATH".to_owned(), path)));
    environment.extend(spec.env.clone());
    let reserved = [
        ("AWS_DEFAULT_REGION", region.to_owned()),
        ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", spec.memory_mb.to_string()),
        ("AWS_LAMBDA_FUNCTION_NAME", spec.name.clone()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", spec.name)),
        ("AWS_LAMBDA_LOG_STREAM_NAME", format!("{date}/[$LATEST]{id:032x}")),
        ("AWS_REGION", region.to_owned()),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime".to_owned()),
        ("LAMBDA_TASK_ROOT", path(task)),
        ("TMPDIR", path(tmp)),
        ("_HANDLER", "bootstrap".to_owned()),
        // X-Ray is not on during init; the runtime sets this per invocation from the event's header.
        ("_X_AMZN_TRACE_ID", ids::trace_header(None)),
    ];
    environment.extend(reserved.map(|(k, v)| (k.to_owned(), v)));
    environment
}

/// Passes output on line by line.
async fn pump(output: impl AsyncRead + Unpin, log: Arc<dyn LogSink>, function: String, id: u64) {
    let mut reader = BufReader::new(output);
    let mut line = Vec::new();
    let emit = |line: &mut Vec<u8>| {
        let text = String::from_utf8_lossy(line);
        log.line(&function, id, text.trim_end_matches(['\n', '\r']));
        drop(text);
        line.clear();
    };
    loop {
        let available = match reader.fill_buf().await {
            Ok([]) | Err(_) => break,
            Ok(available) => available,
        };
        let newline = available.iter().position(|b| *b == b'\n');
        let take = newline.map_or(available.len(), |at| at + 1);
        line.extend_from_slice(&available[..take]);
        reader.consume(take);
        if newline.is_some() || line.len() >= MAX_LINE {
            emit(&mut line);
        }
    }
    if !line.is_empty() {
        emit(&mut line);
    }
}
