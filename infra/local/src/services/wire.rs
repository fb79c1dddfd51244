//! AWS's JSON protocols and STS, as the stack itself speaks them with a cloud that is not embedded.

use serde_json::Value;

use crate::stack::{STACK_KEY, credentials};
use crate::{ACCOUNT_ID, REGION};

/// A service by its name in signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    DynamoDb,
    Streams,
    Sqs,
    Kms,
    SecretsManager,
    Ssm,
}

impl Api {
    /// What stands before an operation's name in `X-Amz-Target`.
    fn prefix(self) -> &'static str {
        match self {
            Self::DynamoDb => "DynamoDB_20120810",
            Self::Streams => "DynamoDBStreams_20120810",
            Self::Sqs => "AmazonSQS",
            Self::Kms => "TrentService",
            Self::SecretsManager => "secretsmanager",
            Self::Ssm => "AmazonSSM",
        }
    }

    fn scope(self) -> &'static str {
        match self {
            Self::DynamoDb | Self::Streams => "dynamodb",
            Self::Sqs => "sqs",
            Self::Kms => "kms",
            Self::SecretsManager => "secretsmanager",
            Self::Ssm => "ssm",
        }
    }
}

/// Why a call gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Nobody answered, or not to the end.
    #[error("the cloud does not answer")]
    Unreachable(#[from] reqwest::Error),
    /// The answer is not what the protocol says.
    #[error("{operation} was answered with what cannot be read: {body}")]
    Unreadable {
        /// The operation.
        operation: String,
        /// The answer.
        body: String,
    },
    /// The service refused.
    #[error("{operation}: {code}: {message}")]
    Refused {
        /// The operation.
        operation: String,
        /// The error's name, without its namespace.
        code: String,
        /// The service's words.
        message: String,
    },
}

impl WireError {
    /// The service's name for it.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Refused { code, .. } => code,
            _ => "",
        }
    }
}

/// Keys of a role session.
pub(crate) struct Session {
    pub access_key: String,
    pub secret: String,
    pub token: String,
}

/// An endpoint where every service answers.
#[derive(Debug, Clone)]
pub struct Wire {
    endpoint: String,
    client: reqwest::Client,
}

impl Wire {
    pub(crate) fn new(endpoint: String) -> Self {
        Self { endpoint, client: reqwest::Client::new() }
    }

    /// Base URL.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Calls an operation. Who calls is said and not proven: the stack is the owner of the cloud, which runs for it alone.
    pub(crate) async fn call(&self, api: Api, operation: &str, input: &Value) -> Result<Value, WireError> {
        let request = self
            .client
            .post(&self.endpoint)
            .header("x-amz-target", format!("{}.{operation}", api.prefix()))
            .header("content-type", "application/x-amz-json-1.0")
            .header("authorization", scope(api.scope()))
            .body(input.to_string());
        let answer = request.send().await?;
        let (status, body) = (answer.status(), answer.text().await?);
        let unreadable = || WireError::Unreadable { operation: operation.to_owned(), body: body.clone() };
        let given: Value = match body.is_empty() {
            true => Value::Null,
            false => serde_json::from_str(&body).map_err(|_| unreadable())?,
        };
        if status.is_success() {
            return Ok(given);
        }
        let text = |names: [&str; 2]| names.iter().find_map(|n| given[*n].as_str()).unwrap_or_default();
        let code = text(["__type", "code"]);
        Err(WireError::Refused {
            operation: operation.to_owned(),
            code: code.rsplit('#').next().unwrap_or(code).to_owned(),
            message: text(["message", "Message"]).to_owned(),
        })
    }

    /// Takes a role, as Lambda does for each of its execution environments. STS speaks the older query protocol.
    pub(crate) async fn assume_role(&self, role: &str, session: &str) -> Result<Session, WireError> {
        const OPERATION: &str = "AssumeRole";
        let form = format!(
            "Action={OPERATION}&Version=2011-06-15&RoleArn=arn:aws:iam::{ACCOUNT_ID}:role/{role}&RoleSessionName={session}"
        );
        let request = self
            .client
            .post(&self.endpoint)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("authorization", scope("sts"))
            .body(form);
        let body = request.send().await?.text().await?;
        let element = |name: &str| {
            let (_, rest) = body.split_once(&format!("<{name}>"))?;
            Some(rest.split_once(&format!("</{name}>"))?.0.to_owned())
        };
        let session = || {
            Some(Session {
                access_key: element("AccessKeyId")?,
                secret: element("SecretAccessKey")?,
                token: element("SessionToken")?,
            })
        };
        session().ok_or_else(|| WireError::Unreadable { operation: OPERATION.to_owned(), body: body.clone() })
    }
}

/// The header that says for which service, region and account a request is.
fn scope(service: &str) -> String {
    let (key, _) = credentials(STACK_KEY);
    format!(
        "AWS4-HMAC-SHA256 Credential={key}/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=none"
    )
}
