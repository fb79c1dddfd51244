//! Load: many clients at once with a realistic mix through the whole stack; then the same under low limits with clients that wait
//! as they are told.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::{Duration, Instant},
};

use account::Scope;
use clap::Args;
use local::{Profile, Stack, accounts::Accounts, build_functions, functions::binary_folder};
use reqwest::{Client, Method, RequestBuilder, StatusCode, redirect::Policy};
use serde_json::{Value, json};

use crate::{
    Outcome, api, list,
    report::{self, Table, quantile},
    root,
};

/// The function whose place hello takes: its route is then answered by hello, through the same front.
const HELLO: (&str, &str) = ("ops-get-docs", "/docs");
/// How long a task may take after the last request.
const PATIENCE: Duration = Duration::from_secs(300);
/// Low limits, and the longest that one may have to wait by them.
const LOW: (&str, u64) = ("standard=10/2,strict=2/2,standard-ip=1000000/60,strict-ip=1000000/60", 2);
/// Operations of each client under low limits.
const LIMITED: u64 = 40;

#[derive(Args)]
pub struct Options {
    /// Seconds of load.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Clients at once.
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// Leave docs/benchmarks.md as it is.
    #[arg(long)]
    dry: bool,
}

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ask {
    Hello,
    Credits,
    Tasks,
    Task,
    Check,
    Paste,
    Upload,
}

impl Ask {
    /// The mix, in twentieths: mostly reads, as a page that looks at its tasks makes them.
    const MIX: [Self; 20] = [
        Self::Hello,
        Self::Tasks,
        Self::Check,
        Self::Task,
        Self::Credits,
        Self::Hello,
        Self::Task,
        Self::Check,
        Self::Tasks,
        Self::Paste,
        Self::Task,
        Self::Credits,
        Self::Check,
        Self::Tasks,
        Self::Task,
        Self::Upload,
        Self::Credits,
        Self::Check,
        Self::Task,
        Self::Tasks,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Hello => "hello, in the place of `GET /docs`",
            Self::Credits => "`GET /v1/account/credits`",
            Self::Tasks => "`GET /v1/verification/tasks`",
            Self::Task => "`GET /v1/verification/tasks/{id}`",
            Self::Check => "`POST /v1/verify`",
            Self::Paste => "`POST /v1/verification/tasks`, 20 addresses",
            Self::Upload => "`POST /v1/verification/uploads`, 200 rows",
        }
    }
}

/// What came of a client's requests.
#[derive(Default)]
struct Seen {
    /// Milliseconds by question, of answers that were none of 429.
    took: BTreeMap<Ask, Vec<f64>>,
    statuses: BTreeMap<(Ask, u16), u64>,
    /// Tasks accepted, with their rows.
    tasks: Vec<(String, u64)>,
    charged: u64,
    limited: u64,
    faults: Vec<String>,
}

/// A client.
struct Loader {
    client: Client,
    base_url: String,
    key: String,
    number: u64,
    /// Seconds that a refusal may name; none if there may be no refusal.
    waits: Option<u64>,
    seen: Seen,
}

impl Loader {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base_url)).header("x-api-key", &self.key)
    }

    /// Sends until it is not refused for its rate; status and body.
    async fn ask(&mut self, ask: Ask, request: RequestBuilder) -> Outcome<(StatusCode, Value)> {
        loop {
            let request = request.try_clone().ok_or("a request that cannot be sent twice")?;
            let from = Instant::now();
            let answer = request.send().await?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            let body = answer.bytes().await?;
            let took = from.elapsed();
            *self.seen.statuses.entry((ask, status.as_u16())).or_default() += 1;
            if status != StatusCode::TOO_MANY_REQUESTS {
                self.seen.took.entry(ask).or_default().push(took.as_secs_f64() * 1000.0);
                let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
                if !status.is_success() {
                    self.seen.faults.push(format!("{} answered {status}: {json}", ask.name()));
                }
                return Ok((status, json));
            }
            self.seen.limited += 1;
            let field = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
            let after = field("retry-after").parse::<u64>().ok();
            let told = field("ratelimit").contains(";r=0;t=") && field("ratelimit-policy").contains(";q=");
            match (after, self.waits) {
                (Some(after), Some(most)) if told && (1..=most).contains(&after) => {
                    tokio::time::sleep(Duration::from_secs(after)).await;
                }
                _ => return Err(format!("429 with {headers:?}").into()),
            }
        }
    }

    async fn step(&mut self, turn: u64) -> Outcome<()> {
        let at = usize::try_from(turn + self.number * 7)? % Ask::MIX.len();
        let mut ask = Ask::MIX[at];
        if ask == Ask::Task && self.seen.tasks.is_empty() {
            ask = Ask::Tasks;
        }
        let unique = self.number * 1_000_000 + turn;
        match ask {
            Ask::Hello => drop(self.ask(ask, self.request(Method::GET, HELLO.1)).await?),
            Ask::Credits => drop(self.ask(ask, self.request(Method::GET, "/v1/account/credits")).await?),
            Ask::Tasks => {
                drop(self.ask(ask, self.request(Method::GET, "/v1/verification/tasks?limit=10")).await?);
            }
            Ask::Task => {
                let id = self.seen.tasks.last().map(|(id, _)| id.clone()).unwrap_or_default();
                let path = format!("/v1/verification/tasks/{id}");
                drop(self.ask(ask, self.request(Method::GET, &path)).await?);
            }
            Ask::Check => {
                let body = json!({ "email": format!("person{unique}@gmail.com") });
                let (_, checked) =
                    self.ask(ask, self.request(Method::POST, "/v1/verify").json(&body)).await?;
                self.seen.charged += checked["credits_charged"].as_u64().unwrap_or(0);
            }
            Ask::Paste => {
                let emails: Vec<String> =
                    (0..20).map(|n| format!("p{n}.{unique}@d{n}.corp.example")).collect();
                let request = self.request(Method::POST, "/v1/verification/tasks");
                let (_, task) = self.ask(ask, request.json(&json!({ "emails": emails }))).await?;
                self.accepted(&task, 20);
            }
            Ask::Upload => {
                let mut file = Vec::new();
                list::write_csv(200, &mut file)?;
                let request = self.request(Method::POST, "/v1/verification/uploads");
                let new = json!({ "file_name": "contacts.csv", "size": file.len() });
                let (_, link) = self.ask(ask, request.json(&new)).await?;
                self.accepted(&link["task"], 200);
                let mut put = self.client.put(link["upload"]["url"].as_str().unwrap_or_default()).body(file);
                for (name, value) in link["upload"]["headers"].as_object().into_iter().flatten() {
                    put = put.header(name, value.as_str().unwrap_or_default());
                }
                let status = put.send().await?.status();
                if !status.is_success() {
                    self.seen.faults.push(format!("the upload was answered {status}"));
                }
            }
        }
        Ok(())
    }

    fn accepted(&mut self, task: &Value, rows: u64) {
        if let Some(id) = task["id"].as_str() {
            self.seen.tasks.push((id.to_owned(), rows));
        }
    }

    /// Waits for every accepted task and compares what was charged with the balance.
    async fn settle(&mut self) -> Outcome<()> {
        let (mut charged, begun) = (self.seen.charged, Instant::now());
        let tasks = std::mem::take(&mut self.seen.tasks);
        let different: BTreeSet<&String> = tasks.iter().map(|(id, _)| id).collect();
        if different.len() != tasks.len() {
            self.seen.faults.push("one task was accepted twice".into());
        }
        for (id, rows) in &tasks {
            let path = format!("/v1/verification/tasks/{id}");
            let task = loop {
                let (_, task) = self.ask(Ask::Task, self.request(Method::GET, &path)).await?;
                match task["state"].as_str() {
                    Some("awaiting_upload" | "queued" | "running") if begun.elapsed() < PATIENCE => {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                    _ => break task,
                }
            };
            let request = self.request(Method::GET, &format!("{path}/events?limit=200"));
            let (_, events) = self.ask(Ask::Task, request).await?;
            let ends = events["data"].as_array().into_iter().flatten();
            let ends = ends.filter(|e| e["kind"] == "verification.task.completed").count();
            if task["state"] != "completed" || task["rows"] != *rows || ends != 1 {
                self.seen.faults.push(format!("{ends} ends of {task}"));
            }
            charged += task["credits"]["charged"].as_u64().unwrap_or(0);
        }
        let (_, credits) = self.ask(Ask::Credits, self.request(Method::GET, "/v1/account/credits")).await?;
        let balance = &credits["balance"];
        if balance["spent"] != charged || balance["held"] != 0 {
            self.seen.faults.push(format!("{charged} credits by the answers, the balance is {balance}"));
        }
        self.seen.tasks = tasks;
        Ok(())
    }
}

/// A client of a new account of its own.
async fn loader(stack: &Stack, number: u64, waits: Option<u64>) -> Outcome<Loader> {
    let accounts = Accounts::of(stack)?;
    let account = accounts.create("load", &[Scope::Verify, Scope::Read, Scope::Credits]).await?;
    accounts.give(account.workspace, &format!("load-{}", account.workspace), 10_000_000).await?;
    let client = Client::builder().redirect(Policy::none()).build()?;
    let (base_url, key) = (stack.base_url().to_owned(), account.key.token);
    Ok(Loader { client, base_url, key, number, waits, seen: Seen::default() })
}

/// Runs clients until each has done its part, then settles their accounts; what all of them saw.
async fn clients(
    stack: &Stack,
    options: &Options,
    waits: Option<u64>,
    more: impl Fn(u64, Duration) -> bool + Copy + Send + 'static,
) -> Outcome<Seen> {
    let begun = Instant::now();
    let mut running = Vec::new();
    for number in 0..options.clients as u64 {
        let mut loader = loader(stack, number, waits).await?;
        running.push(tokio::spawn(async move {
            let mut turn = 0;
            while more(turn, begun.elapsed()) {
                loader.step(turn).await?;
                turn += 1;
            }
            // What is asked from here on waits for tasks, and is no part of the mix.
            let (took, statuses) = (loader.seen.took.clone(), loader.seen.statuses.clone());
            loader.settle().await?;
            let late = loader.seen.statuses.iter().filter(|((_, status), _)| *status >= 500).count();
            if late > 0 {
                loader.seen.faults.push(format!("{late} kinds of 5xx"));
            }
            (loader.seen.took, loader.seen.statuses) = (took, statuses);
            Outcome::Ok(loader.seen)
        }));
    }
    let mut all = Seen::default();
    for client in running {
        let seen = client.await??;
        for (ask, took) in seen.took {
            all.took.entry(ask).or_default().extend(took);
        }
        for (key, count) in seen.statuses {
            *all.statuses.entry(key).or_default() += count;
        }
        all.tasks.extend(seen.tasks);
        all.faults.extend(seen.faults);
        all.charged += seen.charged;
        all.limited += seen.limited;
    }
    Ok(all)
}

pub fn run(options: &Options) -> Outcome<bool> {
    let root = root();
    println!("Building the functions …");
    build_functions(&root, Profile::Release, true)?;
    api::build_compared(&root, &["bench-hello"], &[])?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (free, limited) = runtime.block_on(both(&root, options))?;
    let (text, kept) = tables(options, &free, &limited);
    println!("\n{text}");
    for fault in free.faults.iter().chain(&limited.faults).take(20) {
        println!("{fault}");
    }
    if !options.dry {
        report::write(&root, "load", &text)?;
    }
    Ok(kept)
}

async fn both(root: &Path, options: &Options) -> Outcome<(Seen, Seen)> {
    let hello = binary_folder(root, Profile::Release).join("bench-hello");
    println!("{} clients for {} seconds …", options.clients, options.seconds);
    let stack =
        api::stack(root, |stack| drop(stack.binaries.insert(HELLO.0.to_owned(), hello.clone()))).await?;
    let seconds = options.seconds;
    let free = clients(&stack, options, None, move |_, since| since.as_secs() < seconds).await?;
    stack.stop().await;
    println!("Under low limits …");
    let stack = api::stack(root, |stack| {
        stack.binaries.insert(HELLO.0.to_owned(), hello);
        stack.env.insert("RATE_LIMITS".to_owned(), LOW.0.to_owned());
    })
    .await?;
    let limited = clients(&stack, options, Some(LOW.1), |turn, _| turn < LIMITED).await?;
    stack.stop().await;
    Ok((free, limited))
}

fn tables(options: &Options, free: &Seen, limited: &Seen) -> (String, bool) {
    let mut table = Table::new(["request", "answers", "p50 ÷ hello's", "p99 ÷ hello's"]);
    let none = Vec::new();
    let of = |ask: Ask, part: f64| quantile(free.took.get(&ask).unwrap_or(&none), part);
    for ask in free.took.keys().copied() {
        let statuses = free.statuses.iter().filter(|((of, _), _)| *of == ask);
        let statuses: Vec<String> =
            statuses.map(|((_, status), count)| format!("{count} × {status}")).collect();
        let ratio = |part: f64| format!("{:.1}", of(ask, part) / of(Ask::Hello, part));
        table.row([ask.name().to_owned(), statuses.join(", "), ratio(0.5), ratio(0.99)]);
    }
    println!("hello: p50 {:.1} ms, p99 {:.1} ms", of(Ask::Hello, 0.5), of(Ask::Hello, 0.99));
    let done: usize = limited.took.values().map(Vec::len).sum();
    let asked = LIMITED * options.clients as u64;
    let kept = free.faults.is_empty()
        && limited.faults.is_empty()
        && free.limited == 0
        && limited.limited > 0
        && done as u64 == asked;
    let faults = free.faults.len() + limited.faults.len();
    let text = format!(
        "{} clients for {} seconds. {} tasks accepted, each ended once, credits exact; faults: {faults}.\n\n{}\n\
         Under `{}`: {done} of {asked} requests done, after {} answers of 429, each with `Retry-After`, `RateLimit` and \
         `RateLimit-Policy`; {} tasks, credits exact.\n",
        options.clients,
        options.seconds,
        free.tasks.len(),
        table.text(),
        LOW.0,
        limited.limited,
        limited.tasks.len(),
    );
    (text, kept)
}
