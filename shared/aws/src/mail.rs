//! Mail by Amazon SES (API v2, `SendEmail`): one signed request, so that no client of its own is linked for one operation.

use std::time::{Duration, SystemTime};

use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use serde_json::json;

use crate::{Clients, Error, Outside, OutsideError};

const SERVICE: &str = "SES";
const OPERATION: &str = "SendEmail";
/// Where the operation is (SES API v2 reference, `SendEmail`).
const PATH: &str = "/v2/email/outbound-emails";
/// How long SES may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Octets of an answer that are read.
const CAP: usize = 64 * 1024;

/// A mail of plain text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Whom it is from: an identity that SES has verified.
    pub from: String,
    /// Whom it is for. ASCII: SES takes no other local parts, and domains as A-labels.
    pub to: String,
    /// What it is about.
    pub subject: String,
    /// What it says.
    pub text: String,
}

/// Sends mail.
#[derive(Clone)]
pub struct Mailer {
    clients: Clients,
    outside: Outside,
}

fn refused(cause: impl ToString) -> Error {
    Error::Refused { service: SERVICE, operation: OPERATION, cause: cause.to_string() }
}

impl Mailer {
    /// A mailer with the function's own credentials.
    pub fn new(clients: &Clients) -> Self {
        Self { clients: clients.clone(), outside: Outside::default() }
    }

    /// Hands a mail to SES, which has taken it when this returns.
    pub async fn send(&self, letter: &Letter) -> Result<(), Error> {
        let text = |data: &str| json!({ "Data": data, "Charset": "UTF-8" });
        let body = json!({
            "FromEmailAddress": letter.from,
            "Destination": { "ToAddresses": [letter.to] },
            "Content": { "Simple": { "Subject": text(&letter.subject), "Body": { "Text": text(&letter.text) } } },
        });
        let (url, body) = (format!("{}{PATH}", self.clients.mail_endpoint()), body.to_string());
        let headers = self.signed(&url, &body).await?;
        let sent = self.outside.post(&url, &headers, body, PATIENCE, CAP).await;
        match sent {
            Ok(_) => Ok(()),
            // What is asked for too often or at a bad time may be asked for again; a mail that SES will not have never.
            Err(OutsideError::Status(status)) if status != 429 && status < 500 => Err(refused(status)),
            Err(OutsideError::Address(why)) => Err(refused(why)),
            Err(error) => Err(Error::Unavailable { service: SERVICE, cause: error.to_string() }),
        }
    }

    /// The headers of a signed request (SigV4).
    async fn signed(&self, url: &str, body: &str) -> Result<Vec<(&'static str, String)>, Error> {
        let credentials = self.clients.credentials().provide_credentials().await.map_err(refused)?;
        let (identity, region) = (credentials.into(), self.clients.region());
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(region.as_ref())
            .name("ses")
            .time(SystemTime::now())
            .settings(SigningSettings::default());
        let params = params.build().map_err(refused)?.into();
        let mut headers = vec![("content-type", "application/json".to_owned())];
        let plain = headers.iter().map(|(name, value)| (*name, value.as_str()));
        let request = SignableRequest::new("POST", url, plain, SignableBody::Bytes(body.as_bytes()));
        let (signing, _) = sign(request.map_err(refused)?, &params).map_err(refused)?.into_parts();
        let (added, _) = signing.into_parts();
        headers.extend(added.iter().map(|header| (header.name(), header.value().to_owned())));
        Ok(headers)
    }
}
