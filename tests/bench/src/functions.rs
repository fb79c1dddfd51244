//! Every function against its budgets: cold start, warm time, memory, package size.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Cursor, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use account::Role;
use clap::Args;
use local::{
    Profile, Stack, StackFile, accounts::Accounts, build_functions, functions::binary_folder, purchase,
    rehearsal, seed::Seeded, top_up,
};
use serde_json::{Value, json};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::{
    Outcome,
    api::{self, Api},
    report::{self, Table, judge, quantile},
    root,
    sandbox::Sandbox,
    warm::{self, Warm},
};

/// Cold start ÷ that of hello.
const COLD: f64 = 1.5;
/// Warm time inside a read endpoint ÷ that of hello.
const WARM: f64 = 2.0;
/// Peak memory of an HTTP function, MiB.
const HTTP_MEMORY: f64 = 40.0;
/// Peak memory of a processor, MiB.
const PROCESSOR_MEMORY: f64 = 128.0;
/// Zipped package, MiB.
const PACKAGE: f64 = 4.0;

const MIB: f64 = 1024.0 * 1024.0;
/// Addresses of the list that warms the functions up: as many as a request can carry.
const PASTED: usize = 100_000;
/// Requests that each HTTP function then gets.
const REQUESTS: usize = 50;
/// How long an export or an erasure may take.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Args)]
pub struct Options {
    /// Cold starts of each function.
    #[arg(long, default_value_t = 30)]
    rounds: usize,
    /// Warm invocations of each of the three that are compared.
    #[arg(long, default_value_t = 3000)]
    warm: usize,
    /// Warm time alone, which needs few functions built; docs/benchmarks.md is left as it is.
    #[arg(long)]
    warm_only: bool,
    /// Leave docs/benchmarks.md as it is.
    #[arg(long)]
    dry: bool,
}

/// The read endpoint whose warm time is measured, what makes the thing that it reads, and what both are compared with.
const READ: &str = "verify-get-task";
const MAKES: &str = "verify-create-task";
const COMPARED: [&str; 2] = ["bench-hello", "bench-two-gets"];

/// A function's binary and what it finds in its environment as deployed.
struct Function {
    name: String,
    http: bool,
    binary: PathBuf,
    env: BTreeMap<String, String>,
}

/// What a run of the stack shows.
struct Seen {
    functions: Vec<Function>,
    peaks: BTreeMap<String, u64>,
    warm: Warm,
}

pub fn run(options: &Options) -> Outcome<bool> {
    let root = root();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    println!("Building the functions …");
    if options.warm_only {
        api::build_compared(&root, &COMPARED, &[MAKES, READ])?;
        let warm = runtime.block_on(warm_alone(&root, options.warm))?;
        let (text, kept) = warm_table(&warm);
        println!("{text}");
        return Ok(kept);
    }
    build_functions(&root, Profile::Release, true)?;
    api::build_compared(&root, &COMPARED, &[])?;
    println!("Memory and warm time, on a stack …");
    let seen = runtime.block_on(on_a_stack(&root, options))?;
    drop(runtime);
    println!("Cold starts …");
    let hello = Function {
        name: "hello".into(),
        http: true,
        binary: binary_folder(&root, Profile::Release).join("bench-hello"),
        env: BTreeMap::new(),
    };
    let cold = cold_starts(&hello, &seen.functions, options.rounds)?;
    let (text, kept) = tables(&hello, &seen, &cold)?;
    println!("\n{text}");
    if !options.dry {
        report::write(&root, "functions", &text)?;
    }
    Ok(kept)
}

async fn on_a_stack(root: &Path, options: &Options) -> Outcome<Seen> {
    let stack = api::stack(root, |_| {}).await?;
    let api = Api::new(&stack, 1_000_000).await?;
    let task = warm_up(root, &stack, &api).await?;
    let peaks = stack.lambda().peak_memory();
    let routed: BTreeSet<&str> = stack.model().routes.iter().map(|route| route.function.as_str()).collect();
    let folder = binary_folder(root, Profile::Release);
    let functions: Vec<Function> = stack
        .model()
        .functions
        .iter()
        .map(|function| {
            let name = function.name.clone();
            let (http, binary) = (routed.contains(name.as_str()), folder.join(&name));
            Function { http, binary, env: env_of(&stack, &name), name }
        })
        .collect();
    let warm = warm_time(root, &stack, &api, &task, options.warm)?;
    stack.stop().await;
    Ok(Seen { functions, peaks, warm })
}

/// What the function finds in its environment as deployed.
fn env_of(stack: &Stack, function: &str) -> BTreeMap<String, String> {
    let mut env = stack.function_env(function);
    // Log lines are JSON.
    env.retain(|name, _| name != "LOG_FORMAT" && name != "NO_COLOR");
    env
}

/// Warm time, on a stack that has nothing else.
async fn warm_alone(root: &Path, rounds: usize) -> Outcome<Warm> {
    let stack = api::stack(root, |stack| stack.only = Some([MAKES, READ].map(str::to_owned).into())).await?;
    let api = Api::new(&stack, 10).await?;
    let made = api.post("/v1/verification/tasks", &json!({ "emails": ["person@corp.example"] })).await?;
    let warm = warm_time(root, &stack, &api, made["id"].as_str().unwrap_or_default(), rounds)?;
    stack.stop().await;
    Ok(warm)
}

fn warm_time(root: &Path, stack: &Stack, api: &Api, task: &str, rounds: usize) -> Outcome<Warm> {
    let folder = binary_folder(root, Profile::Release);
    let key = &api.account.key;
    let reads = [
        format!("{} KEY#{} KEY", stack.table("AccountTable")?, key.key.id),
        format!("{} WSP#{} TASK#{task}", stack.table("VerifyTable")?, api.account.workspace),
    ];
    let event = event_of(root, READ, &key.token, task, "")?;
    let (binary, env) = (folder.join(READ), env_of(stack, READ));
    let setting =
        warm::Setting { binary: &binary, env: &env, folder: &folder, event: &event, holds: task, reads };
    tokio::task::block_in_place(|| warm::measure(&setting, rounds))
}

/// Puts every function to work, the heaviest request of the API among it; the id of the list verified.
async fn warm_up(root: &Path, stack: &Stack, api: &Api) -> Outcome<String> {
    let emails: Vec<String> = (0..PASTED).map(|n| format!("person{n}@d{}.corp.example", n % 5000)).collect();
    let made = api.post("/v1/verification/tasks", &json!({ "emails": emails })).await?;
    let task = made["id"].as_str().unwrap_or_default().to_owned();
    api.finished(&task, |_| {}).await?;
    // Another whose results come in the answer and not by a link.
    let made = api.post("/v1/verification/tasks", &json!({ "emails": emails[..14_000] })).await?;
    let small = made["id"].as_str().unwrap_or_default();
    api.finished(small, |_| {}).await?;
    let (_, by_link) = api.download(small).await?;
    if by_link {
        return Err("this list was to be small enough for an answer without a link".into());
    }
    let spare = api.post("/v1/api-keys", &json!({ "name": "spare", "scopes": ["read"] })).await?;
    let spare = spare["id"].as_str().unwrap_or_default();
    let routed: BTreeSet<&str> = stack.model().routes.iter().map(|route| route.function.as_str()).collect();
    for function in routed {
        let event = event_of(root, function, &api.account.key.token, &task, spare)?;
        for _ in 0..REQUESTS {
            let answer = stack.lambda().invoke(function, event.clone().into()).await?;
            let answer: Value = serde_json::from_slice(&answer)?;
            if answer["statusCode"].as_u64().is_none_or(|status| status >= 500) {
                return Err(format!("{function} answered {answer}").into());
            }
        }
    }
    stack.run_schedule("verify-sweep-tasks").await?;
    rehearse(stack).await?;
    Ok(task)
}

/// Puts to work what no list does: a purchase, a payment, an invitation, an export and an erasure, each from end to end.
async fn rehearse(stack: &Stack) -> Outcome<()> {
    let file = StackFile::of(stack, &Seeded::default());
    purchase::run(&file).await?;
    top_up::run(&file).await?;
    let scopes: Vec<_> = Role::Owner.scopes().into_iter().collect();
    let made = Accounts::of(stack)?.create_with("leaver", Some("leaver@example.com"), &scopes).await?;
    let leaver = rehearsal::Api::new(&file, made.key.token);
    let path = |of: &str, what: &Value| format!("{of}/{}", what["id"].as_str().unwrap_or_default());
    let team = leaver.post("/v1/workspaces", &json!({ "name": "Team" })).await?;
    let invitation = json!({ "email": "bob@example.com", "role": "member" });
    leaver.post(&format!("{}/invitations", path("/v1/workspaces", &team)), &invitation).await?;
    let export = path("/v1/me/exports", &leaver.post("/v1/me/export", &Value::Null).await?);
    rehearsal::until(PATIENCE, || leaver.get(&export), |export| export["state"] == "ready").await?;
    let leave = leaver.client.delete(format!("{}/v1/me", stack.base_url()));
    let erasure = path("/v1/erasures", &leaver.json(leave).await?);
    rehearsal::until(PATIENCE, || leaver.get(&erasure), |erasure| erasure["state"] == "completed").await?;
    stack.run_schedule("billing-expire-lots").await?;
    Ok(())
}

/// The function's sample event with a real key and real ids.
fn event_of(root: &Path, function: &str, token: &str, task: &str, key: &str) -> Outcome<Vec<u8>> {
    let event = fs::read_to_string(root.join(format!("events/{function}.json")))?;
    let event = event.replace("pwk_put-a-key-here", token);
    Ok(with_id(&with_id(&event, "tsk_", task), "key_", key).into_bytes())
}

/// `text` with every id of this prefix replaced.
fn with_id(text: &str, prefix: &str, id: &str) -> String {
    const LENGTH: usize = 26;
    let mut parts = text.split(prefix);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_id = part.len() >= LENGTH && part.bytes().take(LENGTH).all(|b| b.is_ascii_alphanumeric());
        match part.split_at_checked(LENGTH).filter(|_| is_id) {
            Some((_, rest)) => out.extend([id, rest]),
            None => out.extend([prefix, part]),
        }
    }
    out
}

/// Median cold start in milliseconds by name, hello's among them. Every round starts each function once, hello before every
/// fifth, so that a busy moment of the machine falls on all.
fn cold_starts(hello: &Function, functions: &[Function], rounds: usize) -> Outcome<BTreeMap<String, f64>> {
    let mut took: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for _ in 0..rounds {
        for (at, function) in functions.iter().enumerate() {
            if at.is_multiple_of(5) {
                took.entry(&hello.name).or_default().push(cold_start(hello)?);
            }
            took.entry(&function.name).or_default().push(cold_start(function)?);
        }
    }
    Ok(took.into_iter().map(|(name, took)| (name.to_owned(), quantile(&took, 0.5))).collect())
}

fn cold_start(function: &Function) -> Outcome<f64> {
    let ready = Sandbox::start(&function.binary, &function.env)?.ready();
    Ok(ready.map_err(|e| format!("{}: {e}", function.name))?.as_secs_f64() * 1000.0)
}

/// Size of the binary as a deployment package, in MiB.
fn package(binary: &Path) -> Outcome<f64> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(9))
        .unix_permissions(0o755);
    zip.start_file("bootstrap", options)?;
    zip.write_all(&fs::read(binary)?)?;
    Ok(zip.finish()?.into_inner().len() as f64 / MIB)
}

fn tables(hello: &Function, seen: &Seen, cold: &BTreeMap<String, f64>) -> Outcome<(String, bool)> {
    let mut broken = false;
    let base = cold.get(&hello.name).copied().ok_or("no cold start of hello")?;
    let mut table = Table::new([
        "function",
        "kind",
        "cold ÷ hello (≤ 1.5)",
        "peak MiB (≤ 40, processors ≤ 128)",
        "zipped MiB (≤ 4)",
    ]);
    for function in &seen.functions {
        let peak = seen.peaks.get(&function.name);
        let (kind, most) =
            if function.http { ("HTTP", HTTP_MEMORY) } else { ("processor", PROCESSOR_MEMORY) };
        table.row([
            format!("`{}`", function.name),
            kind.into(),
            judge(cold.get(&function.name).copied().unwrap_or(f64::INFINITY) / base, COLD, 2, &mut broken),
            judge(peak.map_or(f64::INFINITY, |peak| *peak as f64 / MIB), most, 1, &mut broken),
            judge(package(&function.binary)?, PACKAGE, 2, &mut broken),
        ]);
    }
    let (second, warm_kept) = warm_table(&seen.warm);
    println!("hello: cold {base:.2} ms, {:.2} MiB zipped", package(&hello.binary)?);
    Ok((format!("{}\n{second}", table.text()), !broken && warm_kept))
}

fn warm_table(warm: &Warm) -> (String, bool) {
    let mut broken = false;
    let mut table = Table::new(["`verify-get-task` beyond its DynamoDB calls", "÷ hello (≤ 2)"]);
    table.row(["time".into(), judge(warm.wall(), WARM, 2, &mut broken)]);
    table.row(["processor time".into(), judge(warm.cpu(), WARM, 2, &mut broken)]);
    println!(
        "warm p50 µs (wall, cpu): hello {:?}, two gets {:?}, task {:?}",
        warm.hello, warm.two_gets, warm.read
    );
    (table.text(), !broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_replaced_and_other_words_stay() {
        let id = "tsk_01j9z3k5m8n2p4q6r7s8t9v0wx";
        assert_eq!(
            with_id(&format!("/tasks/{id}/jobs tsk_no"), "tsk_", "tsk_new"),
            "/tasks/tsk_new/jobs tsk_no"
        );
    }
}
