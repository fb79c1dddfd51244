//! Requests to parties that are not AWS: the TLS that the SDK's clients have linked already, with the usual public roots
//! (`docs/decisions/amazon-roots.md`). The client is made on first use, because reading the system's roots takes a while.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use aws_smithy_http_client::{
    Connector,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::{
    client::{
        http::{HttpConnector as _, HttpConnectorSettings},
        orchestrator::HttpRequest,
    },
    http::Headers,
};
use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream};
use bytes::Bytes;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(2);
/// How often a read is asked in all.
const READS: u32 = 3;
/// The pause before the first repeat, at most; it doubles with each. Half of it is left to chance.
const PAUSE: Duration = Duration::from_millis(200);
/// A party that names a longer pause is not asked again.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A client for parties that are not AWS: a handle that is cheap to clone.
#[derive(Clone, Default)]
pub struct Outside(Arc<Made>);

#[derive(Default)]
struct Made {
    tls: OnceLock<Connector>,
    /// For parties of development, which need no roots read.
    plain: OnceLock<Connector>,
}

/// What was got.
#[derive(Debug, Clone)]
pub struct Got {
    /// The body, within the cap.
    pub body: Vec<u8>,
    /// How long the answer may be kept by its `Cache-Control`; zero for `no-store` and `no-cache`, `None` if it does not say.
    pub max_age: Option<Duration>,
}

/// What a party is asked, whatever it answers.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// The HTTP method.
    pub method: String,
    /// The address.
    pub url: String,
    /// Header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// What it answered, whatever the status.
#[derive(Debug, Clone)]
pub struct Answered {
    /// The HTTP status.
    pub status: u16,
    headers: Headers,
    /// The body, within the cap.
    pub body: Vec<u8>,
}

impl Answered {
    /// The first field of this name, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// `Retry-After` in seconds (RFC 9110, section 10.2.3); a date counts as absent.
    pub fn retry_after(&self) -> Option<Duration> {
        self.header("retry-after")?.trim().parse().ok().map(Duration::from_secs)
    }

    /// Whether the same read may be answered better a moment later.
    fn passing(&self) -> bool {
        matches!(self.status, 502..=504) && self.retry_after().is_none_or(|pause| pause <= LONGEST_PAUSE)
    }
}

/// Why nothing was got.
#[derive(Debug, thiserror::Error)]
pub enum OutsideError {
    /// The address is not one.
    #[error("the address cannot be used: {0}")]
    Address(String),
    /// It took too long, from the first octet sent to the last received.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// The connection, TLS or HTTP failed.
    #[error("the request failed: {0}")]
    Failed(String),
    /// Any status but 200 and 201. Redirects are not followed: nobody but the configured party says where to look.
    #[error("the answer is {0}")]
    Status(u16),
    /// The body is longer than the cap, in octets.
    #[error("the answer is longer than {0} octets")]
    TooLong(usize),
}

impl Outside {
    /// The body at an address: within `patience` in all, and of at most `cap` octets.
    pub async fn get(&self, url: &str, patience: Duration, cap: usize) -> Result<Got, OutsideError> {
        let mut request = HttpRequest::get(url).map_err(|e| OutsideError::Address(e.to_string()))?;
        request.headers_mut().insert("accept", "application/json");
        self.send(request, patience, cap).await
    }

    /// What is answered to a body sent to an address, likewise.
    pub async fn post(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: String,
        patience: Duration,
        cap: usize,
    ) -> Result<Got, OutsideError> {
        let address = |e: &dyn std::error::Error| OutsideError::Address(e.to_string());
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method("POST").map_err(|e| address(&e))?;
        request.set_uri(url).map_err(|e| address(&e))?;
        for (name, value) in headers {
            request.headers_mut().try_insert(*name, value.clone()).map_err(|e| address(&e))?;
        }
        self.send(request, patience, cap).await
    }

    /// What is answered, whatever the status and without following a redirect: within `patience` in all, and of at most `cap` octets.
    ///
    /// A read (`GET`) is asked up to three times, with a pause that chance varies, while the connection fails or the answer is
    /// 502, 503 or 504. Anything else is asked once: nobody knows whether it had its effect.
    pub async fn ask(&self, ask: &Ask, patience: Duration, cap: usize) -> Result<Answered, OutsideError> {
        match tokio::time::timeout(patience, self.ask_again(ask, cap)).await {
            Ok(answered) => answered,
            Err(_) => Err(OutsideError::Late(patience)),
        }
    }

    async fn ask_again(&self, ask: &Ask, cap: usize) -> Result<Answered, OutsideError> {
        let times = if ask.method == "GET" { READS } else { 1 };
        let mut pause = PAUSE;
        for _ in 1..times {
            match self.ask_once(ask, cap).await {
                Err(OutsideError::Failed(cause)) => tracing::info!(cause, "asking again"),
                Ok(answered) if answered.passing() => {
                    tracing::info!(status = answered.status, "asking again");
                }
                settled => return settled,
            }
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
            pause *= 2;
        }
        self.ask_once(ask, cap).await
    }

    async fn ask_once(&self, ask: &Ask, cap: usize) -> Result<Answered, OutsideError> {
        let address = |e: &dyn std::error::Error| OutsideError::Address(e.to_string());
        let mut request = HttpRequest::new(SdkBody::from(ask.body.clone()));
        request.set_method(&ask.method).map_err(|e| address(&e))?;
        request.set_uri(ask.url.as_str()).map_err(|e| address(&e))?;
        for (name, value) in &ask.headers {
            request.headers_mut().try_append(name.clone(), value.clone()).map_err(|e| address(&e))?;
        }
        let (status, headers, body) = self.call(request).await?;
        Ok(Answered { status, headers, body: read(body, cap).await? })
    }

    async fn send(&self, request: HttpRequest, patience: Duration, cap: usize) -> Result<Got, OutsideError> {
        match tokio::time::timeout(patience, self.fetch(request, cap)).await {
            Ok(got) => got,
            Err(_) => Err(OutsideError::Late(patience)),
        }
    }

    async fn fetch(&self, request: HttpRequest, cap: usize) -> Result<Got, OutsideError> {
        let (status, headers, body) = self.call(request).await?;
        if !matches!(status, 200 | 201) {
            return Err(OutsideError::Status(status));
        }
        Ok(Got { body: read(body, cap).await?, max_age: max_age(&headers) })
    }

    async fn call(&self, request: HttpRequest) -> Result<(u16, Headers, SdkBody), OutsideError> {
        let mut answer = self.connector(request.uri()).call(request).await.map_err(|e| failed(&e))?;
        let headers = std::mem::take(answer.headers_mut());
        Ok((answer.status().as_u16(), headers, answer.into_body()))
    }

    fn connector(&self, url: &str) -> &Connector {
        // A connection that slept with its sandbox is of no use: none is kept.
        let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT).build();
        let builder = || Connector::builder().pool_max_idle_per_host(0).connector_settings(settings.clone());
        match url.starts_with("http://") {
            true => self.0.plain.get_or_init(|| builder().build_http()),
            false => {
                self.0.tls.get_or_init(|| builder().tls_provider(Provider::Rustls(CryptoMode::Ring)).build())
            }
        }
    }
}

fn failed(error: &dyn std::error::Error) -> OutsideError {
    OutsideError::Failed(aws_smithy_types::error::display::DisplayErrorContext(error).to_string())
}

/// A body of at most `cap` octets.
async fn read(body: SdkBody, cap: usize) -> Result<Vec<u8>, OutsideError> {
    let mut stream = ByteStream::new(body);
    let mut body = Vec::new();
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|e| failed(&e))?;
        if body.len() + piece.len() > cap {
            return Err(OutsideError::TooLong(cap));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// `max-age` of a `Cache-Control` field (RFC 9111, section 5.2.2).
fn max_age(headers: &Headers) -> Option<Duration> {
    let mut found = None;
    let directives = headers.get_all("cache-control").flat_map(|field| field.split(','));
    for directive in directives.map(str::trim) {
        if directive.eq_ignore_ascii_case("no-store") || directive.eq_ignore_ascii_case("no-cache") {
            return Some(Duration::ZERO);
        }
        if let Some((name, seconds)) = directive.split_once('=')
            && name.trim().eq_ignore_ascii_case("max-age")
        {
            found = seconds.trim().trim_matches('"').parse().ok().map(Duration::from_secs);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_is_read_as_the_field_says() {
        let age = |field: &'static str| {
            let mut headers = Headers::new();
            headers.insert("cache-control", field);
            max_age(&headers)
        };
        assert_eq!(age("public, max-age=19302, must-revalidate"), Some(Duration::from_secs(19302)));
        assert_eq!(age("Max-Age = \"60\""), Some(Duration::from_secs(60)));
        assert_eq!(age("max-age=60, no-store"), Some(Duration::ZERO));
        assert_eq!(age("max-age=soon"), None);
        assert_eq!(max_age(&Headers::new()), None);
    }
}
