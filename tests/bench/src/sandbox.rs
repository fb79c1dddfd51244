//! One function in one process, and as much of the Lambda Runtime API as it needs. Threads and blocking sockets, so that nothing
//! but the function is between an event and its answer.

use std::{
    collections::BTreeMap,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use crate::Outcome;

/// How long any step may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A request of the function, read to its end.
struct Call {
    path: String,
    body: Vec<u8>,
    at: Instant,
    stream: TcpStream,
}

/// A running function.
pub struct Sandbox {
    child: Child,
    calls: Receiver<Call>,
    address: SocketAddr,
    closed: Arc<AtomicBool>,
    started: Instant,
    /// Where the function waits for an event.
    waiting: Option<TcpStream>,
}

/// What an invocation took.
pub struct Invocation {
    /// What the function answered.
    pub body: Vec<u8>,
    /// From handing over the event to having read the answer.
    pub wall: Duration,
    /// Processor time of the process, until it waits for the next event.
    pub cpu: Duration,
}

impl Sandbox {
    /// Starts the process; see [`Sandbox::ready`].
    pub fn start(binary: &Path, env: &BTreeMap<String, String>) -> Outcome<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (sender, calls) = mpsc::channel();
        let closed = Arc::new(AtomicBool::new(false));
        let ending = Arc::clone(&closed);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ending.load(Ordering::SeqCst) {
                    break;
                }
                let sender = sender.clone();
                thread::spawn(move || serve(stream, &sender));
            }
        });
        let mut command = Command::new(binary);
        // What Lambda sets for every function; the runtime does not start without.
        command
            .env_clear()
            .env("AWS_LAMBDA_FUNCTION_NAME", "bench")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST");
        command.env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256");
        command.envs(env).env("AWS_LAMBDA_RUNTIME_API", address.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let started = Instant::now();
        let mut child = command.spawn()?;
        // As on Lambda, log lines go into a pipe that somebody reads.
        if let Some(mut out) = child.stdout.take() {
            thread::spawn(move || io::copy(&mut out, &mut io::sink()));
        }
        Ok(Self { child, calls, address, closed, started, waiting: None })
    }

    /// Waits for the first `next`; how long it took from just before exec.
    pub fn ready(&mut self) -> Outcome<Duration> {
        let at = self.next()?;
        Ok(at.duration_since(self.started))
    }

    /// Hands over an event and waits for the answer, and then for the function to ask for the next event.
    pub fn invoke(&mut self, event: &[u8]) -> Outcome<Invocation> {
        let mut stream = self.waiting.take().ok_or("the function does not wait for an event")?;
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             lambda-runtime-aws-request-id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n\
             lambda-runtime-deadline-ms: 4102444800000\r\n\
             lambda-runtime-invoked-function-arn: arn:aws:lambda:us-east-1:000000000000:function:bench\r\n\r\n",
            event.len()
        );
        let message = [head.as_bytes(), event].concat();
        let before = self.cpu()?;
        let from = Instant::now();
        stream.write_all(&message)?;
        let mut call = self.calls.recv_timeout(PATIENCE)?;
        if !call.path.ends_with("/response") {
            return Err(format!("{}: {}", call.path, String::from_utf8_lossy(&call.body)).into());
        }
        call.stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")?;
        self.next()?;
        Ok(Invocation { body: call.body, wall: call.at - from, cpu: self.cpu()?.saturating_sub(before) })
    }

    /// Processor time of its one thread so far.
    fn cpu(&self) -> Outcome<Duration> {
        let schedstat = std::fs::read_to_string(format!("/proc/{}/schedstat", self.child.id()))?;
        let spent = schedstat.split_whitespace().next().ok_or("no schedstat")?;
        Ok(Duration::from_nanos(spent.parse()?))
    }

    fn next(&mut self) -> Outcome<Instant> {
        let call = self
            .calls
            .recv_timeout(PATIENCE)
            .map_err(|_| "the function did not ask for an event; does it start?")?;
        if !call.path.ends_with("/invocation/next") {
            return Err(format!("{}: {}", call.path, String::from_utf8_lossy(&call.body)).into());
        }
        self.waiting = Some(call.stream);
        Ok(call.at)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then ends. The process may be gone already, and that is as well.
        let _ = (TcpStream::connect(self.address), self.child.kill(), self.child.wait());
    }
}

/// Reads requests of one connection until it ends.
fn serve(stream: TcpStream, calls: &Sender<Call>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let (mut line, mut length) = (String::new(), 0);
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            match line.trim_end().split_once(':') {
                None => break,
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().map_err(io::Error::other)?;
                }
                Some(_) => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let call = Call { path, body, at: Instant::now(), stream: stream.try_clone()? };
        if calls.send(call).is_err() {
            return Ok(());
        }
    }
}
