//! A stack that the tests share, and customers who use it.

mod cloud;
mod log;
mod operator;
mod watch;

use std::{
    collections::BTreeMap,
    future::Future,
    path::Path,
    sync::{Arc, LazyLock, Once},
    time::{Duration, Instant},
};

use account::{NewKey, Scope};
use bytes::Bytes;
pub use cloud::left_out;
use local::{
    DataDir, Profile, Stack, StackOptions,
    accounts::{Accounts, NewAccount},
};
pub use log::Kept;
pub use operator::Operator;
use piecework_core::{UserId, WorkspaceId};
use reqwest::{Client, Method, RequestBuilder, header::HeaderMap};
use serde_json::{Value, json};
use watch::{Watch, nothing_leaked};

/// How long anything may take before a test says that it does not happen.
pub const PATIENCE: Duration = Duration::from_secs(60);

struct Shared {
    runtime: tokio::runtime::Runtime,
    stack: Stack,
}

static SHARED: LazyLock<Shared> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // Nobody stops this stack, so its folder is where the next run finds and replaces it.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shared");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    let stack = runtime.block_on(start(|options| options.data = DataDir::Path(folder)));
    Shared { runtime, stack }
});

/// The repository.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Builds the functions, once for all tests.
pub fn build() {
    static BUILT: Once = Once::new();
    BUILT.call_once(|| {
        local::build_functions(root(), Profile::Debug, false).unwrap();
    });
}

/// A stack of a test's own, in a fresh folder. The caller stops it.
pub async fn start(change: impl FnOnce(&mut StackOptions)) -> Stack {
    build();
    let mut options = StackOptions::new(root());
    options.data = DataDir::Temp;
    options.cloud = cloud::cloud().clone();
    options.visibility_cap = Some(Duration::from_secs(3));
    options.log = Arc::new(Watch);
    change(&mut options);
    Stack::start(options).await.unwrap()
}

/// Runs a test on the stack that all share.
pub fn run<F: Future>(test: F) -> F::Output {
    let output = SHARED.runtime.block_on(test);
    nothing_leaked();
    output
}

/// The stack that all share.
pub fn stack() -> &'static Stack {
    &SHARED.stack
}

/// Ends every sandbox: the next invocation of each function is a cold start.
pub fn cool(stack: &Stack) {
    for sandbox in stack.lambda().sandboxes() {
        stack.lambda().kill_sandbox(sandbox.id);
    }
}

/// Waits until `look` finds something; a deadline instead of a sleep. Looks often at first, then less: each look is work too.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what} did not happen within {PATIENCE:?}");
        let pause = (begun.elapsed() / 10).clamp(Duration::from_millis(20), Duration::from_millis(200));
        tokio::time::sleep(pause).await;
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// What is answered to a request.
    pub async fn to(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, body: response.bytes().await.unwrap() }
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
    pub fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }
    /// The JSON of an answer with this status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        if self.body.is_empty() { Value::Null } else { self.json() }
    }
    /// The problem document of an answer with this status and kind; checks what every problem has.
    #[track_caller]
    pub fn problem(&self, status: u16, kind: &str) -> Value {
        let problem = self.expect(status);
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{problem}");
        assert_eq!(problem["type"], format!("https://piecework.example/problems/{kind}"), "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        assert!(problem["title"].is_string() && problem["request_id"].is_string(), "{problem}");
        problem
    }
}

/// A customer: a workspace and a key for it.
pub struct App {
    pub base_url: String,
    pub key: String,
    pub workspace: WorkspaceId,
    pub user: UserId,
    client: Client,
}

impl App {
    /// A new customer of the shared stack with an everyday key that may manage keys.
    pub async fn new() -> Self {
        Self::with(&[Scope::Verify, Scope::Read, Scope::Credits, Scope::Keys]).await
    }

    /// A new customer of the shared stack whose key has these scopes.
    pub async fn with(scopes: &[Scope]) -> Self {
        Self::on(stack(), scopes).await
    }

    /// A new customer of a stack.
    pub async fn on(stack: &Stack, scopes: &[Scope]) -> Self {
        let made = Accounts::of(stack).unwrap().create("test", scopes).await.unwrap();
        Self::at(stack.base_url(), &made)
    }

    /// A customer of the stack at an address.
    pub fn at(base_url: &str, made: &NewAccount) -> Self {
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let key = made.key.token.clone();
        let (workspace, user) = (made.workspace, made.user);
        Self { base_url: base_url.to_owned(), key, workspace, user, client }
    }

    /// A new customer of a stack whose user has a verified address, with a key that has every scope but support's.
    pub async fn person(stack: &Stack, email: Option<&str>) -> Self {
        let scopes: Vec<_> = account::Role::Owner.scopes().into_iter().collect();
        let made = Accounts::of(stack).unwrap().create_with("Test Person", email, &scopes).await.unwrap();
        Self::at(stack.base_url(), &made)
    }

    /// The same user with a key for another workspace of theirs.
    pub async fn inside(&self, stack: &Stack, workspace: &str, scopes: &[Scope]) -> Self {
        let key = NewKey { name: "inside".to_owned(), scopes: scopes.to_vec(), expires_at: None };
        let workspace = workspace.parse().unwrap();
        let accounts = Accounts::of(stack).unwrap();
        let made = accounts.account().create_key(self.user, workspace, key).await.unwrap();
        Self { workspace, ..self.holding(&made.token) }
    }

    /// The same customer with a new key that has these scopes only.
    pub async fn narrowed(&self, scopes: &[&str]) -> Self {
        let made =
            self.post("/v1/api-keys", &json!({ "name": "narrowed", "scopes": scopes })).await.expect(201);
        self.holding(made["token"].as_str().unwrap())
    }

    /// The same customer of a stack that answers elsewhere by now.
    pub fn moved_to(&self, stack: &Stack) -> Self {
        Self { base_url: stack.base_url().to_owned(), ..self.holding(&self.key) }
    }

    /// The same customer with another key.
    pub fn holding(&self, key: &str) -> Self {
        Self {
            base_url: self.base_url.clone(),
            key: key.to_owned(),
            workspace: self.workspace,
            user: self.user,
            client: self.client.clone(),
        }
    }

    /// A request with the key, not yet sent.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).header("x-api-key", &self.key)
    }

    /// A request without the key, not yet sent.
    pub fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base_url))
    }

    pub async fn send(&self, request: RequestBuilder) -> Answer {
        Answer::to(request).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PATCH, path).json(body)).await
    }

    /// A POST with an idempotency key.
    pub async fn post_once(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).header("idempotency-key", key).json(body)).await
    }

    /// Makes a task of a pasted list; its id.
    pub async fn task(&self, emails: &[&str]) -> String {
        let made = self.post("/v1/verification/tasks", &json!({ "emails": emails })).await.expect(202);
        made["id"].as_str().unwrap().to_owned()
    }

    /// Asks for an upload link; the whole answer.
    pub async fn link(&self, body: &Value) -> Value {
        self.post("/v1/verification/uploads", body).await.expect(201)
    }

    /// A request to anywhere, without the key and not yet sent.
    pub fn elsewhere(&self, method: Method, url: &str) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends octets to an upload link.
    pub async fn put(&self, link: &Value, body: impl Into<Bytes>) -> Answer {
        let mut request = self.client.put(link["upload"]["url"].as_str().unwrap()).body(body.into());
        for (name, value) in link["upload"]["headers"].as_object().unwrap() {
            request = request.header(name, value.as_str().unwrap());
        }
        self.send(request).await
    }

    /// Uploads a file; the task's id.
    pub async fn upload(&self, file_name: &str, body: impl Into<Bytes>) -> String {
        let body = body.into();
        let link = self.link(&json!({ "file_name": file_name, "size": body.len() })).await;
        let put = self.put(&link, body).await;
        assert_eq!(put.status, 200, "{}", put.text());
        link["task"]["id"].as_str().unwrap().to_owned()
    }

    /// The task, once it is in a final state.
    pub async fn finished(&self, task: &str) -> Value {
        until("the end of the task", || async {
            let task = self.get(&format!("/v1/verification/tasks/{task}")).await.expect(200);
            let state = task["state"].as_str().unwrap().to_owned();
            ["completed", "cancelled", "failed", "expired"].contains(&state.as_str()).then_some(task)
        })
        .await
    }

    /// Every row of a list, page by page.
    pub async fn all(&self, path: &str, limit: u32) -> Vec<Value> {
        let (mut rows, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}?limit={limit}{cursor}")).await.expect(200);
            rows.extend(page["data"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return rows,
            }
        }
    }

    /// The finished list, also by its link.
    pub async fn download(&self, task: &str) -> String {
        let answer = self.get(&format!("/v1/verification/tasks/{task}/download")).await;
        match answer.status {
            303 => self.send(self.client.get(answer.header("location").unwrap())).await.text(),
            _ => {
                assert_eq!(answer.status, 200, "{}", answer.text());
                answer.text()
            }
        }
    }

    /// The balance by account. Checks what always holds.
    pub async fn balance(&self) -> BTreeMap<String, i64> {
        let credits = self.get("/v1/account/credits").await.expect(200);
        let balance: BTreeMap<String, i64> = serde_json::from_value(credits["balance"].clone()).unwrap();
        assert_eq!(
            balance["granted"],
            ["available", "held", "spent", "clawed", "expired"].iter().map(|a| balance[*a]).sum::<i64>(),
            "{balance:?}"
        );
        let remaining: i64 =
            credits["grants"].as_array().unwrap().iter().map(|g| g["remaining"].as_i64().unwrap()).sum();
        assert_eq!(remaining, balance["available"], "the lots add up to the balance");
        balance
    }

    /// What a request that was refused must leave as it was: the balance, and all tasks.
    pub async fn belongings(&self) -> (BTreeMap<String, i64>, Vec<Value>) {
        (self.balance().await, self.all("/v1/verification/tasks", 200).await)
    }
}
