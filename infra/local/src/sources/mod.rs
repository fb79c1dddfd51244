//! What invokes functions besides HTTP: queues, streams, schedules, and objects announced to queues.

pub mod filter;
pub mod s3_events;
pub mod schedule;
pub mod sqs;
pub mod stream;

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use local_lambda::Lambda;
use serde_json::Value;

/// Why an invocation has to be taken as failed.
#[derive(Debug, thiserror::Error)]
pub enum InvocationError {
    /// Our own service says so.
    #[error(transparent)]
    Lambda(#[from] local_lambda::InvokeError),
    /// A foreign Lambda endpoint could not be reached.
    #[error("the Lambda endpoint cannot be reached: {0}")]
    Endpoint(#[from] reqwest::Error),
    /// A foreign Lambda endpoint answered with an error.
    #[error("the Lambda endpoint answered {status}: {body}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Body.
        body: String,
    },
}

/// Where functions run: in our sandboxes, or behind somebody's Invoke API (`cargo lambda watch`, `sam local`).
#[derive(Clone)]
pub enum Invoker {
    /// Ours.
    Sandboxes(Lambda),
    /// Another's.
    Remote {
        /// Base URL of the Invoke API.
        endpoint: String,
        /// Shared connections.
        client: reqwest::Client,
    },
}

impl Invoker {
    /// Invokes and waits.
    ///
    /// # Errors
    /// If nothing answered, or the function answered with an error.
    pub async fn invoke(&self, function: &str, event: &Value) -> Result<Bytes, InvocationError> {
        let payload = Bytes::from(event.to_string());
        match self {
            Self::Sandboxes(lambda) => Ok(lambda.invoke(function, payload).await?),
            Self::Remote { endpoint, client } => {
                let url = format!("{endpoint}/2015-03-31/functions/{function}/invocations");
                let answer = client.post(url).body(payload).send().await?;
                let (status, failed) =
                    (answer.status(), answer.headers().contains_key("x-amz-function-error"));
                let body = answer.bytes().await?;
                if failed || !status.is_success() {
                    let body = String::from_utf8_lossy(&body).into_owned();
                    return Err(InvocationError::Refused { status: status.as_u16(), body });
                }
                Ok(body)
            }
        }
    }
}

/// Which items of a batch an answer names as failed. `None`: the whole batch has failed.
///
/// Lambda's rules for `ReportBatchItemFailures` ("Reporting batch item failures", Lambda developer guide): an empty or null answer or
/// list is success; an identifier that is empty, null, misnamed or not in the batch, or an answer that is not
/// JSON of that shape, fails the whole batch.
pub fn failed_items<'a>(answer: &[u8], batch: impl Iterator<Item = &'a str>) -> Option<BTreeSet<String>> {
    if answer.iter().all(u8::is_ascii_whitespace) {
        return Some(BTreeSet::new());
    }
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let failures = match &answer {
        Value::Null => return Some(BTreeSet::new()),
        // A plain string is what a function returns that knows nothing of partial failures.
        Value::String(s) if s.is_empty() => return Some(BTreeSet::new()),
        Value::Object(fields) => match fields.get("batchItemFailures") {
            None | Some(Value::Null) => return Some(BTreeSet::new()),
            Some(Value::Array(failures)) => failures,
            Some(_) => return None,
        },
        _ => return None,
    };
    let known: BTreeSet<&str> = batch.collect();
    failures
        .iter()
        .map(|failure| {
            let id = failure["itemIdentifier"].as_str().filter(|id| known.contains(id))?;
            Some(id.to_owned())
        })
        .collect()
}

/// A wait that doubles with every attempt, up to a limit.
fn backoff(attempt: u32) -> Duration {
    Duration::from_millis(50 << attempt.min(7)).min(Duration::from_secs(5))
}

#[cfg(test)]
mod tests {
    use super::failed_items;

    #[test]
    fn partial_batch_answers_are_read_as_lambda_reads_them() {
        let batch = ["m1", "m2"];
        let read = |answer: &str| failed_items(answer.as_bytes(), batch.into_iter()).map(|s| s.len());
        let cases = [
            ("", Some(0)),
            ("null", Some(0)),
            ("{}", Some(0)),
            (r#""""#, Some(0)),
            (r#"{"batchItemFailures":[]}"#, Some(0)),
            (r#"{"batchItemFailures":null}"#, Some(0)),
            (r#"{"batchItemFailures":[{"itemIdentifier":"m2"}]}"#, Some(1)),
            (r#"{"batchItemFailures":[{"itemIdentifier":"m1"},{"itemIdentifier":"m2"}]}"#, Some(2)),
            (r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#, None),
            (r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#, None),
            (r#"{"batchItemFailures":[{"itemId":"m1"}]}"#, None),
            (r#"{"batchItemFailures":[{"itemIdentifier":"m1"},{"itemIdentifier":"other"}]}"#, None),
            (r#"{"batchItemFailures":"m1"}"#, None),
            ("not json", None),
        ];
        for (answer, expected) in cases {
            assert_eq!(read(answer), expected, "{answer}");
        }
    }
}
