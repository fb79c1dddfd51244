//! The second cloud: ministack, in a process that ends with the stack, however that ends.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::{ACCOUNT_ID, Error, REGION};

/// Runs the program until standard input ends, and that ends with whoever holds its other side: a stack that is killed leaves nobody
/// behind. What a signal would do to it is not left to the terminal either.
const KEEPER: &str = r#"exec 3<&0
"$0" </dev/null 3<&- &
program=$!
cat <&3 >/dev/null
kill "$program"
wait "$program"
rm -f running"#;
/// There until the program has ended, and has written what it had.
const RUNNING: &str = "running";

/// How long the program may take to start.
const START: Duration = Duration::from_secs(60);
/// How long it may take to write what it has and end.
const END: Duration = Duration::from_secs(30);

/// The running program.
pub(crate) struct Ministack {
    keeper: Child,
    address: SocketAddr,
}

impl Ministack {
    /// Starts it on what an earlier one has left in `folder`.
    pub(crate) async fn start(program: &Path, folder: PathBuf) -> Result<Self, Error> {
        if !program.is_file() {
            let hint = "tests/cloud/ministack installs it there";
            return Err(Error::Cloud(format!("{} is not there; {hint}", program.display())));
        }
        std::fs::create_dir_all(&folder)?;
        // One whose stack was killed may still be writing.
        let begun = Instant::now();
        while folder.join(RUNNING).exists() && begun.elapsed() < END {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        std::fs::write(folder.join(RUNNING), "")?;
        // It binds the port itself, and to no port of its own choice.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?;
        let path = folder.join("log");
        let log = std::fs::File::options().create(true).append(true).open(&path)?;
        let state = |name: &str| folder.join(name);
        let keeper = Command::new("sh")
            .args(["-c", KEEPER])
            .arg(program)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", &folder)
            .env("TMPDIR", &folder)
            .env("BIND_HOST", free.ip().to_string())
            .env("GATEWAY_PORT", free.port().to_string())
            .env("IOT_MTLS_ENABLED", "0")
            .env("SFTP_ENABLED", "0")
            .env("LOG_LEVEL", "WARNING")
            .env("MINISTACK_ACCOUNT_ID", ACCOUNT_ID)
            .env("MINISTACK_REGION", REGION)
            .env("PERSIST_STATE", "1")
            .env("STATE_DIR", state("state"))
            .env("S3_PERSIST", "1")
            .env("S3_DATA_DIR", state("s3"))
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C reaches the stack only, which then ends it.
            .process_group(0)
            .spawn()?;
        let this = Self { keeper, address: free };
        let (client, begun) = (reqwest::Client::new(), Instant::now());
        let health = format!("{}/_ministack/health", this.endpoint());
        while !client.get(&health).send().await.is_ok_and(|answer| answer.status().is_success()) {
            if begun.elapsed() > START {
                let said = std::fs::read_to_string(&path).unwrap_or_default();
                return Err(Error::Cloud(format!("ministack did not start; it said:\n{said}")));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(this)
    }

    /// Where it answers, for all services.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a base URL.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends it, and waits until it has written what it has.
    pub(crate) async fn stop(mut self) {
        drop(self.keeper.stdin.take());
        if tokio::time::timeout(END, self.keeper.wait()).await.is_err() {
            tracing::warn!("ministack has not ended yet");
        }
    }
}
