//! CORS as an HTTP API does it (API Gateway guide, "Configure CORS for HTTP APIs").

use crate::http1::{Answer, json};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};

/// The API's CORS configuration.
#[derive(Clone, Debug, Default)]
pub struct Cors {
    /// Exact origins, `*`, `https://*` or `http://*`.
    pub allow_origins: Vec<String>,
    /// Methods, or `*`.
    pub allow_methods: Vec<String>,
    /// Request headers, or `*`.
    pub allow_headers: Vec<String>,
    /// Response headers that scripts may read.
    pub expose_headers: Vec<String>,
    /// Seconds that a preflight answer may be cached.
    pub max_age: Option<i64>,
    /// Whether cookies and credentials may be sent.
    pub allow_credentials: bool,
}

const CORS_HEADERS: [HeaderName; 6] = [
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_ALLOW_METHODS,
    header::ACCESS_CONTROL_ALLOW_HEADERS,
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
    header::ACCESS_CONTROL_MAX_AGE,
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
];

/// An OPTIONS request with Origin and Access-Control-Request-Method: answered without any route.
pub(super) fn is_preflight<B>(request: &Request<B>) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ORIGIN)
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

impl Cors {
    /// 204, with headers if the origin is allowed.
    pub(super) fn preflight(&self, origin: Option<&HeaderValue>) -> Answer {
        let mut answer = json(StatusCode::NO_CONTENT, Bytes::new());
        answer.headers_mut().remove(header::CONTENT_TYPE);
        if let Some(allowed) = self.allowed(origin) {
            let headers = answer.headers_mut();
            self.common(allowed, headers);
            set(headers, header::ACCESS_CONTROL_ALLOW_METHODS, &self.allow_methods.join(","));
            set(headers, header::ACCESS_CONTROL_ALLOW_HEADERS, &self.allow_headers.join(","));
            if let Some(seconds) = self.max_age {
                set(headers, header::ACCESS_CONTROL_MAX_AGE, &seconds.to_string());
            }
        }
        answer
    }

    /// Puts the configured headers in place of whatever the function sent.
    pub(super) fn apply(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        for name in CORS_HEADERS {
            headers.remove(name);
        }
        if let Some(allowed) = self.allowed(origin) {
            self.common(allowed, headers);
        }
    }

    fn common(&self, allowed: HeaderValue, headers: &mut HeaderMap) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        if self.allow_credentials {
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        set(headers, header::ACCESS_CONTROL_EXPOSE_HEADERS, &self.expose_headers.join(","));
    }

    /// The value of Access-Control-Allow-Origin for a request's origin.
    fn allowed(&self, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
        let origin = origin?;
        let text = origin.to_str().ok()?;
        if self.allow_origins.iter().any(|allowed| allowed == "*") {
            return Some(HeaderValue::from_static("*"));
        }
        let fits = |allowed: &String| match allowed.as_str() {
            "https://*" => text.starts_with("https://"),
            "http://*" => text.starts_with("http://"),
            exact => exact.eq_ignore_ascii_case(text),
        };
        self.allow_origins.iter().any(fits).then(|| origin.clone())
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let (false, Ok(value)) = (value.is_empty(), HeaderValue::try_from(value)) {
        headers.insert(name, value);
    }
}
