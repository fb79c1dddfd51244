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
    client::{http::HttpConnector as _, orchestrator::HttpRequest},
    http::Headers,
};
use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream};

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

    async fn send(&self, request: HttpRequest, patience: Duration, cap: usize) -> Result<Got, OutsideError> {
        match tokio::time::timeout(patience, self.fetch(request, cap)).await {
            Ok(got) => got,
            Err(_) => Err(OutsideError::Late(patience)),
        }
    }

    async fn fetch(&self, request: HttpRequest, cap: usize) -> Result<Got, OutsideError> {
        let failed = |e: &dyn std::error::Error| {
            OutsideError::Failed(aws_smithy_types::error::display::DisplayErrorContext(e).to_string())
        };
        let answer = self.connector(request.uri()).call(request).await.map_err(|e| failed(&e))?;
        let (status, max_age) = (answer.status().as_u16(), max_age(answer.headers()));
        if !matches!(status, 200 | 201) {
            return Err(OutsideError::Status(status));
        }
        let mut stream = ByteStream::new(answer.into_body());
        let mut body = Vec::new();
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|e| failed(&e))?;
            if body.len() + piece.len() > cap {
                return Err(OutsideError::TooLong(cap));
            }
            body.extend_from_slice(&piece);
        }
        Ok(Got { body, max_age })
    }

    fn connector(&self, url: &str) -> &Connector {
        // A connection that slept with its sandbox is of no use: none is kept.
        let builder = || Connector::builder().pool_max_idle_per_host(0);
        match url.starts_with("http://") {
            true => self.0.plain.get_or_init(|| builder().build_http()),
            false => {
                self.0.tls.get_or_init(|| builder().tls_provider(Provider::Rustls(CryptoMode::Ring)).build())
            }
        }
    }
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
