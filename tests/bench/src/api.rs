//! A stack in release mode and a customer of it who can pay.

use std::{path::Path, time::Duration};

use account::Scope;
use bytes::Bytes;
use local::{
    DataDir, Profile, Stack, StackOptions,
    accounts::{Accounts, NewAccount},
    functions::cargo_build,
};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, redirect::Policy};
use serde_json::Value;

use crate::Outcome;

/// How often a task is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Builds functions that others are compared with, by their binaries' names; and of ours the packages named.
pub fn build_compared(root: &Path, binaries: &[&str], ours: &[&str]) -> Outcome<()> {
    let mut build = cargo_build(root);
    build.args(["--release", "-p", "bench"]);
    build.args(ours.iter().flat_map(|name| ["-p", name]));
    build.args(binaries.iter().chain(ours).flat_map(|name| ["--bin", name]));
    match build.status()?.success() {
        true => Ok(()),
        false => Err("the functions to compare with do not build".into()),
    }
}

/// A stack of the binaries that deploy, in a fresh folder.
pub async fn stack(root: &Path, change: impl FnOnce(&mut StackOptions)) -> Outcome<Stack> {
    let mut options = StackOptions::new(root);
    options.data = DataDir::Temp;
    options.profile = Profile::Release;
    change(&mut options);
    Ok(Stack::start(options).await?)
}

/// A customer.
pub struct Api {
    base_url: String,
    pub account: NewAccount,
    client: Client,
}

impl Api {
    /// A new customer with so many credits besides those for signing up.
    pub async fn new(stack: &Stack, credits: u64) -> Outcome<Self> {
        let accounts = Accounts::of(stack)?;
        let scopes = [Scope::Verify, Scope::Read, Scope::Credits, Scope::Keys];
        let account = accounts.create("bench", &scopes).await?;
        // A source id of its own: there may be several customers.
        accounts.give(account.workspace, &account.workspace.to_string(), credits).await?;
        let client = Client::builder().redirect(Policy::none()).build()?;
        Ok(Self { base_url: stack.base_url().to_owned(), account, client })
    }

    async fn send(&self, request: RequestBuilder) -> Outcome<Response> {
        let answer = request.send().await?;
        let status = answer.status();
        if status.is_success() || status.is_redirection() {
            return Ok(answer);
        }
        Err(format!("{} answered {status}: {}", answer.url().clone(), answer.text().await?).into())
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.base_url))
            .header("x-api-key", &self.account.key.token)
    }

    pub async fn get(&self, path: &str) -> Outcome<Value> {
        Ok(self.send(self.request(Method::GET, path)).await?.json().await?)
    }

    pub async fn post(&self, path: &str, body: &Value) -> Outcome<Value> {
        Ok(self.send(self.request(Method::POST, path).json(body)).await?.json().await?)
    }

    /// Uploads a file as a new list; the task's id.
    pub async fn upload(&self, file_name: &str, file: &Path) -> Outcome<String> {
        let size = std::fs::metadata(file)?.len();
        let body = serde_json::json!({ "file_name": file_name, "size": size });
        let link = self.post("/v1/verification/uploads", &body).await?;
        let upload = &link["upload"];
        let mut put =
            self.client.put(upload["url"].as_str().unwrap_or_default()).body(tokio::fs::read(file).await?);
        for (name, value) in upload["headers"].as_object().into_iter().flatten() {
            put = put.header(name, value.as_str().unwrap_or_default());
        }
        self.send(put).await?;
        Ok(link["task"]["id"].as_str().unwrap_or_default().to_owned())
    }

    /// The task, once it has come to an end; `look` sees it on the way.
    pub async fn finished(&self, id: &str, mut look: impl FnMut(&Value)) -> Outcome<Value> {
        loop {
            let task = self.get(&format!("/v1/verification/tasks/{id}")).await?;
            look(&task);
            match task["state"].as_str().unwrap_or_default() {
                "completed" => return Ok(task),
                "cancelled" | "failed" | "expired" => {
                    return Err(format!("the task did not complete: {task}").into());
                }
                _ => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// The finished list, and whether it came by a link.
    pub async fn download(&self, id: &str) -> Outcome<(Bytes, bool)> {
        let answer =
            self.send(self.request(Method::GET, &format!("/v1/verification/tasks/{id}/download"))).await?;
        if answer.status() != StatusCode::SEE_OTHER {
            return Ok((answer.bytes().await?, false));
        }
        let link =
            answer.headers().get("location").and_then(|l| l.to_str().ok()).ok_or("303 without a link")?;
        Ok((self.send(self.client.get(link)).await?.bytes().await?, true))
    }
}
