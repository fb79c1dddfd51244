//! The command line.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::cloud::Cloud;
use crate::functions::{Profile, build_functions};
use crate::log::Terminal;
use crate::options::{DataDir, Resolver, StackOptions};
use crate::seed::{Seeded, first_request, seed};
use crate::{Error, Stack, StackFile, data, demo, elsewhere, files, keys, openapi, purchase, top_up, traces};

/// The port of the HTTP API, or the next free one.
const PORT: u16 = 9000;
/// What is logged unless `RUST_LOG` says otherwise: awsim and dynoxide warn of every refused call.
const LOG: &str = "warn,local=info,awsim_core=error,dynoxide=error";
/// Keys of the sample account, in the data folder.
const SEED_FILE: &str = "seed.json";

/// Runs Piecework on this machine: the same function binaries that deploy, with AWS's services embedded.
#[derive(Parser)]
#[command(name = "piecework", version)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Args)]
struct Common {
    /// Delete the local data first.
    #[arg(long, global = true)]
    fresh: bool,
    /// Port of the HTTP API [default: 9000, or the next free one].
    #[arg(long, global = true)]
    port: Option<u16>,
    /// Where the data is kept [default: .piecework beside template.yaml].
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Run release builds of the functions.
    #[arg(long, global = true)]
    release: bool,
    /// Look up real DNS instead of the stand-in's demonstration zone.
    #[arg(long, global = true)]
    system_resolver: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Start everything but the functions.
    Services {
        /// The Invoke API that queues, streams and schedules call, such as that of `cargo lambda watch`.
        #[arg(long, value_name = "URL")]
        lambda_endpoint: Option<String>,
        /// Where the services listen, for functions that do not run on the loopback: Docker's bridge for `sam local`.
        #[arg(long, value_name = "ADDRESS", default_value_t = Ipv4Addr::LOCALHOST.into())]
        host: IpAddr,
    },
    /// Walk the main jobs on sample files, on the running stack or on one of its own.
    Demo,
    /// Play a purchase at Paddle's stand-in from the checkout to the refund, and check every grant.
    Purchase,
    /// Pay into a wallet at PayFast's stand-in, have it charged back and given again, and check each step; as `demo` does.
    TopUp,
    /// Make an API key on the running stack.
    CreateKey {
        /// What the key is for.
        #[arg(long)]
        name: String,
        /// What it may do, separated by commas.
        #[arg(long, value_delimiter = ',')]
        scopes: Vec<String>,
    },
    /// Show what a request set off: the spans of a trace as a tree with durations.
    Trace {
        /// A trace id, or a correlation id.
        id: String,
    },
    /// Write the OpenAPI document.
    Openapi,
    /// Run a function's binary with the variables that it has on the running stack: the runner of `cargo lambda watch`.
    Exec {
        /// The binary.
        program: PathBuf,
        /// Its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

/// Runs the command line.
pub fn main() -> ExitCode {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| LOG.to_owned()).parse::<Targets>();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    tracing_subscriber::registry().with(lines).with(filter.unwrap_or_default()).init();
    let cli = Cli::parse();
    let outcome = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Error::from);
    let outcome = outcome.and_then(|runtime| {
        let outcome = runtime.block_on(run(cli));
        // A build that was interrupted must not hold the end up.
        runtime.shutdown_background();
        outcome
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}

async fn run(cli: Cli) -> Result<(), Error> {
    let root = root()?;
    let folder = cli.common.data.clone().unwrap_or_else(|| root.join(".piecework"));
    match cli.command {
        None => serve(options(&root, &folder, &cli.common)?, &folder, &cli.common).await,
        Some(Command::Services { lambda_endpoint, host }) => {
            let options = options(&root, &folder, &cli.common)?;
            let options = StackOptions { functions: false, lambda_endpoint, host, ..options };
            serve(options, &folder, &cli.common).await
        }
        Some(Command::Demo) => walk(&cli.common, &root, &folder, demo::run).await,
        Some(Command::Purchase) => walk(&cli.common, &root, &folder, purchase::run).await,
        Some(Command::TopUp) => walk(&cli.common, &root, &folder, top_up::run).await,
        Some(Command::CreateKey { name, scopes }) => {
            say(&keys::create(&StackFile::read(&folder)?, &name, &scopes).await?)
        }
        Some(Command::Trace { id }) => say(&traces::show(&folder.join(traces::FILE), &id)?),
        Some(Command::Openapi) => {
            let profile = profile(&cli.common);
            build(&root, profile).await?;
            say(&openapi::document(&root, profile)?)
        }
        Some(Command::Exec { program, arguments }) => elsewhere::exec(&folder, &program, &arguments),
    }
}

/// Walks a story on the running stack, or on one of its own.
async fn walk(
    common: &Common,
    root: &Path,
    folder: &Path,
    story: impl AsyncFnOnce(&StackFile) -> Result<(), Error>,
) -> Result<(), Error> {
    if data::in_use(folder) {
        return story(&StackFile::read(folder)?).await;
    }
    let started = start(options(root, folder, common)?, folder, common).await?;
    let outcome = story(&started.file).await;
    started.stop().await;
    outcome
}

/// The nearest folder upwards with a `template.yaml`; else the repository this was built from.
fn root() -> Result<PathBuf, Error> {
    let here = std::env::current_dir()?;
    let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let found = here.ancestors().find(|folder| folder.join("template.yaml").is_file());
    Ok(found.map_or(built_from, Path::to_owned).canonicalize()?)
}

fn profile(common: &Common) -> Profile {
    if common.release { Profile::Release } else { Profile::Debug }
}

fn options(root: &Path, folder: &Path, common: &Common) -> Result<StackOptions, Error> {
    let port = match common.port {
        Some(port) => port,
        None => free_port()?,
    };
    Ok(StackOptions {
        data: DataDir::Path(folder.to_owned()),
        cloud: Cloud::from_env(root)?,
        port: Some(port),
        profile: profile(common),
        resolver: if common.system_resolver { Resolver::System } else { Resolver::StandIn },
        log: Arc::new(Terminal::start()),
        schedules: true,
        traces: true,
        ..StackOptions::new(root)
    })
}

fn free_port() -> Result<u16, Error> {
    let mut candidates = PORT..PORT + 1000;
    let free = candidates.find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::AddrInUse).into())
}

struct Started {
    stack: Stack,
    file: StackFile,
    seeded: Seeded,
}

impl Started {
    async fn stop(self) {
        StackFile::remove(self.stack.data());
        self.stack.stop().await;
    }
}

async fn build(root: &Path, profile: Profile) -> Result<(), Error> {
    let root = root.to_owned();
    let built = tokio::task::spawn_blocking(move || build_functions(&root, profile, true));
    built.await.map_err(|e| Error::Task(e.to_string()))??;
    Ok(())
}

async fn start(options: StackOptions, folder: &Path, common: &Common) -> Result<Started, Error> {
    if data::in_use(folder) {
        return Err(Error::Locked(folder.to_owned()));
    }
    if common.fresh {
        data::clear(folder)?;
    }
    if options.functions {
        build(&options.root, options.profile).await?;
    }
    let (begun, functions, root) = (Instant::now(), options.functions, options.root.clone());
    let stack = Stack::start(options).await?;
    let seeded = if functions { seeded(&stack).await? } else { Seeded::default() };
    elsewhere::write(&stack, &root)?;
    let file = StackFile::of(&stack, &seeded);
    file.write()?;
    tracing::info!(
        functions = stack.model().functions.len(),
        routes = stack.model().routes.len(),
        milliseconds = begun.elapsed().as_millis() as u64,
        "started"
    );
    Ok(Started { stack, file, seeded })
}

/// The sample data's keys: from the folder, or made now.
async fn seeded(stack: &Stack) -> Result<Seeded, Error> {
    let path = stack.data().join(SEED_FILE);
    match std::fs::read(&path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let seeded = seed(stack).await?;
            files::replace(&path, &serde_json::to_vec_pretty(&seeded)?)?;
            Ok(seeded)
        }
        Err(e) => Err(e.into()),
    }
}

async fn serve(options: StackOptions, folder: &Path, common: &Common) -> Result<(), Error> {
    // Before anything starts, so that an early Ctrl-C ends the start and not only the program's patience.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let ended = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    tokio::pin!(ended);
    let started = tokio::select! {
        started = start(options, folder, common) => started?,
        () = &mut ended => return Ok(()),
    };
    say(&welcome(&started))?;
    ended.await;
    started.stop().await;
    Ok(())
}

fn welcome(started: &Started) -> String {
    let (file, endpoints) = (&started.file, &started.file.endpoints);
    let (data, mail) = (file.data.display().to_string(), file.data.join("mail").display().to_string());
    let mut text = String::new();
    for (name, value) in [
        ("API", &file.base_url),
        ("API key", &file.api_key),
        ("admin key", &file.admin_key),
        ("token", &file.token),
        ("issuer", &endpoints.issuer),
        ("Paddle", &endpoints.paddle),
        ("PayFast", &endpoints.payfast),
        ("DynamoDB", &endpoints.dynamodb),
        ("S3", &endpoints.s3),
        ("SQS", &endpoints.sqs),
        ("KMS, secrets", &endpoints.kms),
        ("data", &data),
        ("mail", &mail),
    ] {
        if !value.is_empty() {
            let _ = writeln!(text, "  {name:<14}{value}");
        }
    }
    if !file.api_key.is_empty() {
        let _ = writeln!(text, "\n  {}", first_request(&file.base_url, &started.seeded));
    }
    text.push_str("\n  Ctrl-C ends it; the data stays.");
    text
}

fn say(text: &str) -> Result<(), Error> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}
