//! `piecework demo`: the main jobs on real sample files, through the API as a customer would.

use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::rehearsal::{Api, failed, line, until};
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

/// Uploads the sample customer file, waits for its results, and shows counts, credits and the file.
async fn verify_contacts(stack: &StackFile) -> Result<(), Error> {
    let key = keys::create(stack, "demo", &[]).await?;
    let api = Api::new(stack, key);
    let before = api.get("/v1/account/credits").await?;
    let new = json!({ "file_name": "contacts.csv", "size": CONTACTS.len() });
    let made = api.post("/v1/verification/uploads", &new).await?;
    let (task, upload) = (&made["task"]["id"], &made["upload"]);
    let task = task.as_str().unwrap_or_default();
    line(&format!("Task {task}: uploading contacts.csv ({} octets)", CONTACTS.len()))?;
    let mut put = api.client.put(upload["url"].as_str().unwrap_or_default()).body(CONTACTS);
    for (name, value) in upload["headers"].as_object().into_iter().flatten() {
        put = put.header(name, value.as_str().unwrap_or_default());
    }
    let put = put.send().await.map_err(failed)?;
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
    bar.set_style(style.map_err(failed)?);
    let path = format!("/v1/verification/tasks/{task}");
    let ended = |now: &Value| {
        let rows = now["rows"].as_u64().unwrap_or(0);
        bar.set_length(rows);
        bar.set_position(rows.saturating_sub(now["job_status"]["queued"].as_u64().unwrap_or(0)));
        ["completed", "cancelled", "failed", "expired"].iter().any(|state| now["state"] == *state)
    };
    let done = until(PATIENCE, || api.get(&path), ended).await?;
    bar.finish();
    Ok(done)
}

/// Fetches the results, by the link if they are large.
async fn save(api: &Api<'_>, task: &str) -> Result<PathBuf, Error> {
    let download = api.client.get(format!("{}/v1/verification/tasks/{task}/download", api.stack.base_url));
    let csv = api.answer(download).await?.bytes().await.map_err(failed)?;
    let folder = api.stack.data.join("demo");
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{task}.csv"));
    std::fs::write(&path, csv)?;
    Ok(path)
}
