//! Plays histories: through the API and signed webhooks, as a customer and Paddle would, each in a workspace of its own.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use account::Scope;
use futures::future::join_all;
use ledger_tests::{Evidence, History, Outcome, PRICES, Step};
use local::{DataDir, Profile, Stack, StackOptions, accounts::Accounts};
use local_gate::{Fault, Rule, Trigger};
use local_lambda::{InvocationReport, LogSink};
use local_parties::{PADDLE_SECRET, Paddle};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

use crate::{letters::DeadLetters, paddle::Names, sayings::Sayings, tables::Tables};

/// How long anything may take before a history counts as stuck.
const PATIENCE: Duration = Duration::from_secs(60);
/// Least pause between two looks at what is under way, and the longest if no function says that it has done something.
const LOOK: Duration = Duration::from_millis(50);
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The functions that have a part in histories. If another were called, its history would be stuck.
const FUNCTIONS: &str = include_str!("../functions");

/// What dies or fails, and in which ways. A check's claim on its key outlives its sandbox by half a minute, so that one is spared.
const VICTIMS: [&str; 8] = [
    "billing-take-paddle",
    "billing-apply-paddle",
    "billing-apply-paddle",
    "ops-dispatch-events",
    "verify-create-task",
    "verify-split-list",
    "verify-check-chunk",
    "verify-finish-task",
];
const FAULTS: [(Fault, u32); 5] = [
    (Fault::KillBefore, 1),
    (Fault::KillAfter, 1),
    (Fault::LoseAnswer, 3),
    (Fault::Repeat, 1),
    (Fault::Fail, 3),
];

/// What a call of Paddle's or a task ends with.
const ENDS: [&str; 4] =
    ["billing-apply-paddle", "verify-split-list", "verify-finish-task", "verify-cancel-task"];

/// What is under way: calls of Paddle not yet acted on, and tasks not yet at their end, as of a look.
#[derive(Clone, Default)]
struct UnderWay {
    look: u64,
    calls: Arc<BTreeSet<String>>,
    tasks: Arc<BTreeSet<String>>,
}

/// A stack on which histories are played.
pub struct Driver {
    pub stack: Stack,
    pub tables: Arc<Tables>,
    pub letters: DeadLetters,
    sayings: Arc<Sayings>,
    accounts: Accounts,
    client: Client,
    under_way: watch::Receiver<UnderWay>,
    look: Arc<Notify>,
    looking: tokio::task::JoinHandle<()>,
    run: String,
    plays: AtomicU64,
    /// Faults that were planned and not yet forgotten.
    planned: Mutex<Vec<Trigger>>,
    hit: AtomicU64,
}

/// Who a history is about.
struct Customer<'a> {
    driver: &'a Driver,
    play: String,
    workspace: String,
    key: String,
}

/// Hears what functions say, and when a processor is done.
struct Ears {
    sayings: Arc<Sayings>,
    done: Arc<Notify>,
}

impl LogSink for Ears {
    fn line(&self, function: &str, sandbox: u64, line: &str) {
        self.sayings.hear(function, sandbox, line);
    }
    fn report(&self, report: &InvocationReport) {
        if ENDS.contains(&report.function.as_str()) {
            self.done.notify_one();
        }
    }
}

static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
});

fn hit(planned: impl Iterator<Item = Trigger>) -> u64 {
    planned.filter(Trigger::hit).count() as u64
}

/// Runs a test.
pub fn run<F: Future>(test: F) -> F::Output {
    RUNTIME.block_on(test)
}

/// A number from the environment.
pub fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is a number, and not {text}")),
        Err(_) => default,
    }
}

impl Driver {
    /// Builds the functions and starts a stack whose prices are those of the histories.
    pub async fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        // Functions are built as this test is.
        let profile = if cfg!(debug_assertions) { Profile::Debug } else { Profile::Release };
        local::build_functions(&root, profile, false).unwrap();
        let mut options = StackOptions::new(root);
        options.only = Some(FUNCTIONS.lines().map(str::to_owned).collect());
        options.profile = profile;
        options.data = DataDir::Temp;
        // A message comes back soon after its sandbox died, and a claim on it has ended by then.
        options.visibility_cap = Some(Duration::from_secs(1));
        options.max_concurrency = usize::try_from(setting("SANDBOXES", 3)).unwrap();
        let done = Arc::new(Notify::new());
        let sayings = Arc::new(Sayings::new());
        options.log = Arc::new(Ears { sayings: Arc::clone(&sayings), done: Arc::clone(&done) });
        let [plain, large, expiring] = PRICES;
        let prices = json!({
            plain.0: { "credits": plain.1 }, large.0: { "credits": large.1 },
            expiring.0: { "credits": expiring.1, "expires_days": 30 },
        });
        let env = [
            ("PADDLE_PRICES", prices.to_string()),
            ("LEASE_SECONDS", "1".into()),
            ("DNS_SECONDS", "60".into()),
        ];
        options.env.extend(env.map(|(name, value)| (name.to_owned(), value)));
        let stack = Stack::start(options).await.unwrap();
        let tables = Arc::new(Tables::of(&stack));
        let (tell, under_way) = watch::channel(UnderWay::default());
        let look = Arc::clone(&done);
        let looking = tokio::spawn({
            let tables = Arc::clone(&tables);
            async move {
                for look in 1.. {
                    let (calls, tasks) = tokio::join!(tables.calls("received"), tables.open_tasks());
                    tell.send_replace(UnderWay { look, calls: calls.into(), tasks: tasks.into() });
                    tokio::time::sleep(LOOK).await;
                    // Whoever waits sees by a later look too.
                    _ = tokio::time::timeout(LOOK_AGAIN, done.notified()).await;
                }
            }
        });
        let micros = jiff::Timestamp::now().as_microsecond();
        Self {
            accounts: Accounts::of(&stack).unwrap(),
            letters: DeadLetters::of(&stack),
            stack,
            tables,
            sayings,
            client: Client::new(),
            under_way,
            look,
            looking,
            run: format!("{micros:x}"),
            plays: AtomicU64::new(0),
            planned: Mutex::default(),
            hit: AtomicU64::new(0),
        }
    }

    /// Ends the stack.
    pub async fn stop(self) {
        self.looking.abort();
        self.letters.stop();
        self.stack.stop().await;
    }

    /// Waits until a look that began after now shows what is wanted.
    async fn until(&self, what: &str, mut wanted: impl FnMut(&UnderWay) -> bool) -> Result<(), String> {
        let mut seen = self.under_way.clone();
        let since = seen.borrow().look;
        let enough = |now: &UnderWay| {
            let late = now.look > since + 1;
            if !late {
                self.look.notify_one();
            }
            late && wanted(now)
        };
        let found = tokio::time::timeout(PATIENCE, seen.wait_for(enough)).await;
        match found {
            Ok(Ok(_)) => Ok(()),
            _ => {
                let letters = self.letters.speak_of(what).join(", ");
                let refused = self.letters.refused().join("\n");
                let said = self.sayings.about(what);
                Err(format!(
                    "{what} did not happen within {PATIENCE:?}\nset aside in between: {letters}\nrefused: {refused}\n{said}"
                ))
            }
        }
    }

    /// Plans a fault for about every tenth history, or as often as `HAVOC` says, by its seed, and forgets those that were planned long ago.
    fn havoc(&self, seed: u64) {
        // Not the history's own numbers: what is planned says nothing of what happens in it.
        let mut rng = StdRng::seed_from_u64(seed ^ 0x6661_756c_7473);
        if rng.random_range(0..setting("HAVOC", 10)) > 0 {
            return;
        }
        let (fault, times) = FAULTS[rng.random_range(0..FAULTS.len())];
        let function = VICTIMS[rng.random_range(0..VICTIMS.len())].to_owned();
        let rule = Rule { function, nth: rng.random_range(1..=6), times, fault };
        let mut planned = self.planned.lock().unwrap();
        if planned.len() >= 20 {
            self.stack.gate().disarm();
            self.hit.fetch_add(hit(planned.drain(..)), Ordering::Relaxed);
        }
        planned.push(self.stack.gate().arm(rule));
    }

    /// How many of the faults that were planned came to something.
    pub fn hit(&self) -> u64 {
        self.hit.load(Ordering::Relaxed) + hit(self.planned.lock().unwrap().iter().cloned())
    }

    /// Plays a history in a workspace of its own, waits until all that comes of it has happened, and gathers what it left. `Err`
    /// says what did not happen.
    pub async fn play(&self, history: &History, disturbed: bool) -> Result<Evidence, String> {
        let made =
            self.accounts.create("ledger", &[Scope::Verify, Scope::Read, Scope::Credits]).await.unwrap();
        self.accounts.leave(made.workspace, history.start).await.unwrap();
        if disturbed {
            self.havoc(history.seed);
        }
        let play = self.plays.fetch_add(1, Ordering::Relaxed);
        let customer = Customer {
            driver: self,
            play: format!("{}x{play}x", self.run),
            workspace: made.workspace.to_string(),
            key: made.key.token.clone(),
        };
        let names: Vec<Names> = history
            .purchases
            .iter()
            .enumerate()
            .map(|(at, p)| Names::new(&customer.play, at, &customer.workspace, p.expired()))
            .collect();
        let mut evidence = Evidence {
            workspace: customer.workspace.clone(),
            transactions: names.iter().map(Names::transaction).collect(),
            gifts: (0..2).map(|name| customer.gift(name)).collect(),
            ..Evidence::default()
        };
        let mut number = 0;
        for group in &history.groups {
            let steps =
                group.iter().enumerate().map(|(at, step)| customer.step(history, &names, step, number + at));
            for outcome in join_all(steps).await {
                evidence.outcomes.push(outcome?);
            }
            number += group.len();
        }
        customer.gather(&mut evidence, history.seed).await?;
        Ok(evidence)
    }
}

impl Customer<'_> {
    fn gift(&self, name: u64) -> String {
        format!("{}gift{name}", self.play)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.driver
            .client
            .request(method, format!("{}{path}", self.driver.stack.base_url()))
            .header("x-api-key", &self.key)
    }

    /// Sends a request as one who has lost the answer would, until it is answered for good.
    async fn insist(&self, request: impl Fn() -> RequestBuilder) -> Result<(u16, Value), String> {
        let begun = Instant::now();
        for attempt in 1.. {
            let answer = request().send().await;
            if let Ok(answer) = answer {
                let status = answer.status().as_u16();
                let body = answer.bytes().await.unwrap_or_default();
                let body: Value = serde_json::from_slice(&body).unwrap_or_default();
                let under_way = body["type"].as_str().is_some_and(|kind| kind.ends_with("in-flight"));
                if status < 500 && !under_way {
                    return Ok((status, body));
                }
            }
            if begun.elapsed() > PATIENCE {
                break;
            }
            // As a client does whose request failed.
            tokio::time::sleep(LOOK * attempt).await;
        }
        Err("a request is never answered".to_owned())
    }

    async fn post(&self, path: &str, key: &str, body: &Value) -> Result<(u16, Value), String> {
        self.insist(|| self.request(Method::POST, path).header("idempotency-key", key).json(body)).await
    }

    async fn get(&self, path: &str) -> Result<Value, String> {
        match self.insist(|| self.request(Method::GET, path)).await? {
            (200, body) => Ok(body),
            (status, body) => Err(format!("GET {path}: {status} {body}")),
        }
    }

    async fn step(
        &self,
        history: &History,
        names: &[Names],
        step: &Step,
        number: usize,
    ) -> Result<Outcome, String> {
        let key = format!("{}-{number}", self.play);
        match step {
            Step::Hear(at, said) => {
                let call = names[*at].say(&history.purchases[*at], *said);
                let (body, event) = (call.to_string(), names[*at].event(*said));
                let url = format!("{}/v1/webhooks/paddle", self.driver.stack.base_url());
                let send = || {
                    let signature = Paddle::sign(PADDLE_SECRET, body.as_bytes());
                    let request = self.driver.client.post(&url).header("paddle-signature", signature);
                    request.header("content-type", "application/json").body(body.clone())
                };
                let (status, answer) = self.insist(send).await?;
                if status != 200 {
                    return Err(format!("{said:?} is answered with {status}: {answer}"));
                }
                self.driver.until(&event, |now| !now.calls.contains(&event)).await?;
                Ok(Outcome::Heard)
            }
            Step::List { known, unknown, twice } => {
                let address = |n: &u64| format!("user{n}@gmail.com");
                let mut emails: Vec<String> = (0..*known).map(|n| address(&n)).collect();
                emails.extend((0..*unknown).map(|n| format!("user{n}@a.down.example")));
                emails.extend((0..*twice).map(|n| address(&n).to_uppercase()));
                self.list(&key, &json!({ "emails": emails }), false).await
            }
            Step::Cancelled { known } => {
                let emails: Vec<String> = (0..*known).map(|n| format!("user{n}@gmail.com")).collect();
                self.list(&key, &json!({ "emails": emails }), true).await
            }
            Step::Check { known } => {
                let domain = if *known { "gmail.com" } else { "a.down.example" };
                let body = json!({ "email": format!("ada@{domain}") });
                match self.post("/v1/verify", &key, &body).await? {
                    (200, answer) => {
                        Ok(Outcome::Checked(answer["credits_charged"].as_u64().unwrap_or(u64::MAX)))
                    }
                    other => refused(other),
                }
            }
            Step::Gift { name, amount } => {
                let workspace = self.workspace.parse().unwrap();
                let given = self.driver.accounts.give(workspace, &self.gift(*name), *amount).await;
                given.map(Outcome::Given).map_err(|e| e.to_string())
            }
        }
    }

    async fn list(&self, key: &str, body: &Value, cancel: bool) -> Result<Outcome, String> {
        let (status, made) = self.post("/v1/verification/tasks", key, body).await?;
        if status != 202 {
            return refused((status, made));
        }
        let task = made["id"].as_str().unwrap_or_default().to_owned();
        let path = format!("/v1/verification/tasks/{task}");
        if cancel {
            let (status, answer) =
                self.insist(|| self.request(Method::POST, &format!("{path}/cancel"))).await?;
            if ![200, 409].contains(&status) {
                return Err(format!("a list cannot be cancelled: {status} {answer}"));
            }
        }
        self.driver.until(&task, |now| !now.tasks.contains(&task)).await?;
        let done = self.get(&path).await?;
        let state = done["state"].as_str().unwrap_or_default().to_owned();
        Ok(Outcome::Listed { task, state, charged: done["credits"]["charged"].as_u64().unwrap_or(u64::MAX) })
    }

    async fn pages(&self, path: &str) -> Result<Vec<Value>, String> {
        let (mut rows, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}?limit=200{cursor}")).await?;
            rows.extend(page["data"].as_array().into_iter().flatten().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(rows),
            }
        }
    }

    async fn gather(&self, evidence: &mut Evidence, seed: u64) -> Result<(), String> {
        let partition = format!("WSP#{}", self.workspace);
        evidence.credits = self.get("/v1/account/credits").await?;
        evidence.rows = self.driver.tables.partition(&partition).await;
        if evidence.due() {
            // What the API shows already, the sweep does to the table once its time has come.
            evidence.before = evidence.credits.take();
            self.driver.tables.let_the_sweep_come(&evidence.rows).await;
            self.driver.stack.run_schedule("billing-expire-lots").await.map_err(|e| e.to_string())?;
            evidence.credits = self.get("/v1/account/credits").await?;
            evidence.rows = self.driver.tables.partition(&partition).await;
        }
        evidence.entries = self.pages("/v1/account/credits/history").await?;
        if !evidence.transactions.is_empty() {
            evidence.purchases = self.pages("/v1/account/purchases").await?;
        }
        // Of some histories an entry, and of a few every entry.
        let some = usize::try_from(seed).unwrap_or(0) % evidence.entries.len().max(1);
        for (at, entry) in evidence.entries.iter().enumerate() {
            if seed.is_multiple_of(4) && at == some || seed.is_multiple_of(50) {
                let id = entry["id"].as_str().unwrap_or_default().to_owned();
                let trail = self.get(&format!("/v1/account/credits/entries/{id}/trail?limit=200")).await?;
                evidence.trails.push((id, trail));
            }
        }
        Ok(())
    }
}

fn refused((status, answer): (u16, Value)) -> Result<Outcome, String> {
    let number = |name: &str| answer[name].as_u64().unwrap_or(u64::MAX);
    match status {
        402 => Ok(Outcome::Refused { required: number("required"), available: number("available") }),
        _ => Err(format!("{status} {answer}")),
    }
}
