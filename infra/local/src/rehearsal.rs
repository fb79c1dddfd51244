//! What the demonstrations share: a customer of a running stack, who writes down what happens.

use std::io::Write as _;
use std::time::{Duration, Instant};

use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;

use crate::{Error, StackFile};

/// How often something is looked at that is waited for.
const LOOK: Duration = Duration::from_millis(50);

/// An account's view of the API.
pub struct Api<'a> {
    /// Where it is.
    pub stack: &'a StackFile,
    /// What asks; follows redirections.
    pub client: Client,
    /// The account's API key.
    pub key: String,
}

impl<'a> Api<'a> {
    /// Of the account of this key.
    pub fn new(stack: &'a StackFile, key: String) -> Self {
        Self { stack, client: Client::new(), key }
    }

    /// The answer to a request with the account's key.
    ///
    /// # Errors
    /// If it is not one of success.
    pub async fn answer(&self, request: RequestBuilder) -> Result<Response, Error> {
        let response = request.header("x-api-key", &self.key).send().await.map_err(failed)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (url, status) = (response.url().path().to_owned(), response.status());
        Err(Error::Demo(format!("{url} answered {status}: {}", response.text().await.unwrap_or_default())))
    }

    /// The same, read as JSON.
    ///
    /// # Errors
    /// As [`Self::answer`].
    pub async fn json(&self, request: RequestBuilder) -> Result<Value, Error> {
        self.answer(request).await?.json().await.map_err(failed)
    }

    /// Reads a resource.
    ///
    /// # Errors
    /// As [`Self::answer`].
    pub async fn get(&self, path: &str) -> Result<Value, Error> {
        self.json(self.client.get(format!("{}{path}", self.stack.base_url))).await
    }

    /// Posts JSON.
    ///
    /// # Errors
    /// As [`Self::answer`].
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Error> {
        self.json(self.client.post(format!("{}{path}", self.stack.base_url)).json(body)).await
    }
}

/// Looks until it sees what is wanted.
///
/// # Errors
/// That of a look, or what was seen when patience ended.
pub async fn until<F: Future<Output = Result<Value, Error>>>(
    patience: Duration,
    mut look: impl FnMut() -> F,
    wanted: impl Fn(&Value) -> bool,
) -> Result<Value, Error> {
    let begun = Instant::now();
    loop {
        let now = look().await?;
        if wanted(&now) {
            return Ok(now);
        }
        if begun.elapsed() > patience {
            return Err(Error::Demo(format!("still {now} after {patience:?}")));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What went wrong with a request.
pub fn failed(error: impl std::fmt::Display) -> Error {
    Error::Demo(error.to_string())
}

/// Writes a line of what happened.
///
/// # Errors
/// As standard output.
pub fn line(text: &str) -> Result<(), Error> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

/// Writes what happened if it is what should have.
///
/// # Errors
/// If it is something else.
pub fn check(what: &str, given: &Value, expected: &Value) -> Result<(), Error> {
    match given == expected {
        true => line(&format!("  {what}: {given}")),
        false => Err(Error::Demo(format!("NOT {what}: {given} instead of {expected}"))),
    }
}
