//! `piecework demo`: the main jobs on real sample files, through the API as a customer would.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::{Error, StackFile, keys};

const CONTACTS: &[u8] = include_bytes!("../samples/contacts.csv");
/// How long the whole list may take before the demonstration gives up.
const PATIENCE: Duration = Duration::from_secs(600);

/// Walks the main jobs on a running stack and writes what happened.
///
/// # Errors
/// If a job fails.
pub async fn run(stack: &StackFile) -> Result<(), Error> {
    verify_contacts(stack).await
}

/// An account's view of the API.
pub(crate) struct Api<'a> {
    pub stack: &'a StackFile,
    pub client: Client,
    pub key: String,
}

impl Api<'_> {
    async fn answer(&self, request: RequestBuilder) -> Result<Response, Error> {
        let failed = |e: reqwest::Error| Error::Demo(e.to_string());
        let response = request.header("x-api-key", &self.key).send().await.map_err(failed)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (url, status) = (response.url().path().to_owned(), response.status());
        Err(Error::Demo(format!("{url} answered {status}: {}", response.text().await.unwrap_or_default())))
    }

    pub async fn json(&self, request: RequestBuilder) -> Result<Value, Error> {
        self.answer(request).await?.json().await.map_err(|e| Error::Demo(e.to_string()))
    }

    pub async fn get(&self, path: &str) -> Result<Value, Error> {
        self.json(self.client.get(format!("{}{path}", self.stack.base_url))).await
    }
}

pub(crate) fn line(text: &str) -> Result<(), Error> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

/// Uploads the sample customer file, waits for its results, and shows counts, credits and the file.
async fn verify_contacts(stack: &StackFile) -> Result<(), Error> {
    let key = keys::create(stack, "demo", &[]).await?;
    let api = Api { stack, client: Client::new(), key };
    let before = api.get("/v1/account/credits").await?;
    let new = json!({ "file_name": "contacts.csv", "size": CONTACTS.len() });
    let uploads = format!("{}/v1/verification/uploads", stack.base_url);
    let made = api.json(api.client.post(uploads).json(&new)).await?;
    let (task, upload) = (&made["task"]["id"], &made["upload"]);
    let task = task.as_str().unwrap_or_default();
    line(&format!("Task {task}: uploading contacts.csv ({} octets)", CONTACTS.len()))?;
    let mut put = api.client.put(upload["url"].as_str().unwrap_or_default()).body(CONTACTS);
    for (name, value) in upload["headers"].as_object().into_iter().flatten() {
        put = put.header(name, value.as_str().unwrap_or_default());
    }
    let put = put.send().await.map_err(|e| Error::Demo(e.to_string()))?;
    if !put.status().is_success() {
        return Err(Error::Demo(format!(
            "the upload was answered {}: {}",
            put.status(),
            put.text().await.unwrap_or_default()
        )));
    }

    let done = wait(&api, task).await?;
    if done["state"] != "completed" {
        return Err(Error::Demo(format!("the task ended as {}: {}", done["state"], done["problem"])));
    }
    line(&format!("\n  {:<12}{:>8}", "rows", done["rows"]))?;
    for status in ["valid", "risky", "invalid", "unknown"] {
        line(&format!("  {status:<12}{:>8}", done["verification_status"][status]))?;
    }
    line(&format!("  {:<12}{:>8}   (not charged)", "duplicates", done["duplicates"]))?;
    let after = api.get("/v1/account/credits").await?;
    line(&format!(
        "\n  credits     {} used; balance {} → {}",
        done["credits"]["charged"], before["balance"]["available"], after["balance"]["available"]
    ))?;
    let path = save(&api, task).await?;
    line(&format!("  results     {}", path.display()))
}

async fn wait(api: &Api<'_>, task: &str) -> Result<Value, Error> {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("  {bar:40} {pos}/{len} rows  {elapsed}");
    bar.set_style(style.map_err(|e| Error::Demo(e.to_string()))?);
    let begun = Instant::now();
    loop {
        let now = api.get(&format!("/v1/verification/tasks/{task}")).await?;
        let rows = now["rows"].as_u64().unwrap_or(0);
        bar.set_length(rows);
        bar.set_position(rows.saturating_sub(now["job_status"]["queued"].as_u64().unwrap_or(0)));
        let state = now["state"].as_str().unwrap_or_default();
        if ["completed", "cancelled", "failed", "expired"].contains(&state) {
            bar.finish();
            return Ok(now);
        }
        if begun.elapsed() > PATIENCE {
            return Err(Error::Demo(format!("{task} is still {state}")));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Fetches the results, by the link if they are large.
async fn save(api: &Api<'_>, task: &str) -> Result<PathBuf, Error> {
    let download = api.client.get(format!("{}/v1/verification/tasks/{task}/download", api.stack.base_url));
    let csv = api.answer(download).await?.bytes().await.map_err(|e| Error::Demo(e.to_string()))?;
    let folder = api.stack.data.join("demo");
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{task}.csv"));
    std::fs::write(&path, csv)?;
    Ok(path)
}
