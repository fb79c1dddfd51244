//! All that a customer can see of a task that has ended, without what differs between any two runs: ids and times.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{App, until};

#[derive(Debug, PartialEq)]
pub struct Outcome {
    csv: Vec<String>,
    jobs: Vec<Value>,
    pub task: Value,
    events: Vec<Value>,
    entries: Vec<String>,
    balance: BTreeMap<String, i64>,
    usage: Value,
}

impl Outcome {
    /// Waits until the customer's only task has ended and all that follows from it has happened, and looks at everything.
    pub async fn of(app: &App, id: &str) -> Self {
        let task = app.finished(id).await;
        let verified = task["job_status"]["completed"].as_u64().unwrap();
        // The usage comes by the last event, and a repeat of that may still be on its way: then nothing is.
        until("the usage", || async { (usage(app).await["total"]["sum"] == verified).then_some(()) }).await;
        settled(app).await;
        Self::now(app, id).await
    }

    async fn now(app: &App, id: &str) -> Self {
        let path = format!("/v1/verification/tasks/{id}");
        let mut task = app.get(&path).await.expect(200);
        for name in ["id", "workspace", "created_at", "started_at", "finished_at"] {
            assert!(
                task.as_object_mut().unwrap().remove(name).is_some_and(|v| v.is_string()),
                "{name}: {task}"
            );
        }
        let csv = app.download(id).await;
        let csv = csv.lines().map(|line| {
            // `checked_at` is the last but one; no result column holds a comma.
            let mut cells: Vec<_> = line.rsplitn(3, ',').collect();
            cells[1] = if cells[1].is_empty() { "" } else { "then" };
            cells.join(",")
        });
        let mut jobs = app.all(&format!("{path}/jobs"), 200).await;
        for job in &mut jobs {
            job.as_object_mut().unwrap().remove("validated_at");
        }
        let events = app.all(&format!("{path}/events"), 200).await;
        let events = events.iter().map(|e| json!([e["kind"], e["data"]]));
        let balance = app.balance().await;
        let entries = ledger(app, &balance).await;
        Self {
            csv: csv.collect(),
            jobs,
            task,
            events: events.collect(),
            entries,
            balance,
            usage: usage(app).await,
        }
    }

    /// All of it, for comparing with another run's.
    pub fn visible(self) -> Value {
        json!([self.csv, self.jobs, self.task, self.events, self.entries, self.balance, self.usage])
    }

    /// Compares member by member, so that a difference can be read.
    #[track_caller]
    pub fn must_equal(&self, undisturbed: &Self) {
        assert_eq!(self.task, undisturbed.task);
        assert_eq!(self.events, undisturbed.events, "every step happened once");
        assert_eq!(self.entries, undisturbed.entries);
        assert_eq!(self.balance, undisturbed.balance);
        assert_eq!(self.usage, undisturbed.usage);
        assert_eq!(self.csv.len(), undisturbed.csv.len());
        for (line, (ours, theirs)) in self.csv.iter().zip(&undisturbed.csv).enumerate() {
            assert_eq!(ours, theirs, "line {line}");
        }
        for (ours, theirs) in self.jobs.iter().zip(&undisturbed.jobs) {
            assert_eq!(ours, theirs);
        }
        assert_eq!(self, undisturbed);
    }
}

/// Waits until no queue holds anything; a message in a dead-letter queue is a failure.
pub async fn settled(app: &App) {
    until("an end of the messages", || async {
        let health = app.get("/v1/health").await.expect(200);
        assert_eq!(health["status"], "ok", "{health}");
        let mut queues = health["queues"].as_object().unwrap().values();
        let empty = |q: &Value| q.as_object().unwrap().values().all(|n| *n == 0);
        queues.all(empty).then_some(())
    })
    .await;
}

async fn usage(app: &App) -> Value {
    let usage = app.get("/v1/usage").await.expect(200);
    let total = &usage["total"];
    let sum: u64 = total.as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    json!({ "total": { "sum": sum, "by status": total }, "charged": usage["charged"] })
}

/// The entries of the ledger without ids and times; that they add up to the balance, and settle each hold once.
async fn ledger(app: &App, balance: &BTreeMap<String, i64>) -> Vec<String> {
    let entries = app.all("/v1/account/credits/history", 200).await;
    let mut accounts: BTreeMap<&str, i64> = BTreeMap::new();
    let mut kinds = Vec::new();
    for entry in &entries {
        let credits = entry["amount"].as_i64().unwrap();
        let lots: i64 = entry["lots"].as_array().unwrap().iter().map(|l| l["amount"].as_i64().unwrap()).sum();
        assert!(credits > 0 && lots == credits, "{entry}");
        *accounts.entry(entry["from"].as_str().unwrap()).or_default() -= credits;
        *accounts.entry(entry["to"].as_str().unwrap()).or_default() += credits;
        kinds.push(format!("{} {credits}", entry["kind"].as_str().unwrap()));
    }
    accounts.insert("granted", -accounts["granted"]);
    for (account, credits) in balance {
        let entered = accounts.get(account.as_str()).copied().unwrap_or(0);
        assert_eq!(entered, *credits, "{account}: {entries:?}");
    }
    kinds.sort();
    kinds
}
