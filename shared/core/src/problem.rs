//! Problem details (RFC 9457): every error an endpoint can answer with has a kind here, and a kind is a stable URI.

use std::{collections::BTreeMap, error::Error, fmt};

use http::StatusCode;
use serde::Serialize;
use serde_json::Value;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $name:ident = $status:ident, $slug:literal, $title:literal;)+) => {
        /// What went wrong, from a client's side. The slug is part of the contract.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind { $($(#[doc = $doc])+ $name,)+ }

        impl Kind {
            /// Every kind there is.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The HTTP status.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)+ }
            }
            /// The last part of the type URI.
            pub fn slug(self) -> &'static str {
                match self { $(Self::$name => $slug,)+ }
            }
            /// The type: a URI of ours, or the registered one where there is one
            /// (<https://www.iana.org/assignments/http-problem-types>).
            pub fn uri(self) -> String {
                let base = match self {
                    Self::QuotaExceeded => "https://iana.org/assignments/http-problem-types#",
                    _ => "https://piecework.example/problems/",
                };
                format!("{base}{}", self.slug())
            }
            /// One sentence, the same for every occurrence.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }
        }
    };
}

kinds! {
    /// The body is not JSON, or not of the shape the endpoint takes.
    InvalidBody = BAD_REQUEST, "invalid-body", "The request body cannot be used.";
    /// A query parameter is missing or out of range.
    InvalidQuery = BAD_REQUEST, "invalid-query", "A query parameter cannot be used.";
    /// The cursor is forged, another caller's, another filter's, or stale.
    InvalidCursor = BAD_REQUEST, "invalid-cursor", "The cursor cannot be used.";
    /// The `Idempotency-Key` header is missing or malformed.
    InvalidIdempotencyKey = BAD_REQUEST, "invalid-idempotency-key", "The Idempotency-Key header is missing or malformed.";
    /// No credentials, or none that are good.
    Unauthenticated = UNAUTHORIZED, "unauthenticated", "Credentials are missing or not valid.";
    /// The balance does not cover it.
    InsufficientCredits = PAYMENT_REQUIRED, "insufficient-credits", "The balance does not cover this.";
    /// The credentials are good and do not allow this.
    Forbidden = FORBIDDEN, "forbidden", "These credentials do not allow this.";
    /// There is no such thing, or none that the caller may know of.
    NotFound = NOT_FOUND, "not-found", "There is nothing here.";
    /// The path exists, the method does not.
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method-not-allowed", "This path does not take this method.";
    /// The thing is in a state in which this cannot be done.
    WrongState = CONFLICT, "wrong-state", "This cannot be done in the present state.";
    /// A request with the same idempotency key is still being answered.
    InFlight = CONFLICT, "in-flight", "A request with this Idempotency-Key is still being answered.";
    /// It was here and is no longer kept.
    Gone = GONE, "gone", "This is no longer kept.";
    /// The body is larger than the endpoint takes.
    BodyTooLarge = PAYLOAD_TOO_LARGE, "body-too-large", "The request body is too large.";
    /// The body is not declared as JSON.
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The body must be application/json.";
    /// The idempotency key was used for another request.
    KeyReused = UNPROCESSABLE_ENTITY, "idempotency-key-reused", "This Idempotency-Key was used for another request.";
    /// A list with nothing in it.
    EmptyList = UNPROCESSABLE_ENTITY, "empty-list", "The list has no addresses.";
    /// A list with too many rows.
    TooManyRows = UNPROCESSABLE_ENTITY, "too-many-rows", "The list has too many rows.";
    /// A file that cannot be read as a list.
    UnreadableFile = UNPROCESSABLE_ENTITY, "unreadable-file", "The file cannot be read as a list of addresses.";
    /// A declared file that is larger than the service takes.
    FileTooLarge = UNPROCESSABLE_ENTITY, "file-too-large", "The file is too large.";
    /// The upstream API refuses what was asked, for a reason of its own (V15).
    UpstreamRefused = UNPROCESSABLE_ENTITY, "upstream-refused", "The verification API refuses this.";
    /// A rate limit; `Retry-After` says when there is more. The type is the registered one.
    QuotaExceeded = TOO_MANY_REQUESTS, "quota-exceeded", "Too many requests.";
    /// Something failed on our side. The cause is in the log, under the request id.
    Internal = INTERNAL_SERVER_ERROR, "internal", "Something failed on our side.";
    /// The upstream API failed, or answered something that its contract does not have (V15).
    Upstream = BAD_GATEWAY, "upstream", "The verification API cannot be used right now.";
    /// A service that we depend on does not answer. Try again.
    Unavailable = SERVICE_UNAVAILABLE, "unavailable", "The service cannot answer right now.";
}

/// One thing that is wrong with a request: where, and what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Fault {
    /// Where: a JSON Pointer into the body (`#/emails/3`), `query:limit` or `header:idempotency-key`.
    pub pointer: String,
    /// What.
    pub detail: String,
}

impl Fault {
    /// A fault in the body, at a JSON Pointer such as `/emails/3`.
    pub fn body(pointer: &str, detail: impl Into<String>) -> Self {
        Self { pointer: format!("#{pointer}"), detail: detail.into() }
    }
    /// A fault in a query parameter.
    pub fn query(name: &str, detail: impl Into<String>) -> Self {
        Self { pointer: format!("query:{name}"), detail: detail.into() }
    }
    /// A fault in a header.
    pub fn header(name: &str, detail: impl Into<String>) -> Self {
        Self { pointer: format!("header:{name}"), detail: detail.into() }
    }
}

/// A failure on its way to the client: what the client sees, and the cause, which only the log sees.
#[derive(Debug)]
pub struct Problem {
    /// What went wrong.
    pub kind: Kind,
    /// This occurrence, for people. No personal data, nothing of the inside.
    pub detail: Option<String>,
    /// What is wrong with the request, point by point.
    pub faults: Vec<Fault>,
    /// Further members.
    pub extensions: BTreeMap<&'static str, Value>,
    /// Why, for the log.
    pub cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Problem {
    /// A problem of this kind.
    pub fn new(kind: Kind) -> Self {
        Self { kind, detail: None, faults: Vec::new(), extensions: BTreeMap::new(), cause: None }
    }

    /// Something failed on our side.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let mut problem = Self::new(Kind::Internal);
        problem.cause = Some(cause.into());
        problem
    }

    /// With a sentence about this occurrence.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// With one more thing that is wrong.
    #[must_use]
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// With one more member.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.extensions.insert(name, value.into());
        self
    }

    /// The document, as `application/problem+json` has it.
    pub fn document(&self, request_id: Option<&str>) -> Value {
        let mut document = serde_json::Map::new();
        document.insert("type".into(), self.kind.uri().into());
        document.insert("title".into(), self.kind.title().into());
        document.insert("status".into(), self.kind.status().as_u16().into());
        if let Some(detail) = &self.detail {
            document.insert("detail".into(), detail.as_str().into());
        }
        if let Some(id) = request_id {
            document.insert("request_id".into(), id.into());
        }
        if !self.faults.is_empty() {
            document.insert("errors".into(), serde_json::to_value(&self.faults).unwrap_or_default());
        }
        for (name, value) in &self.extensions {
            document.insert((*name).to_owned(), value.clone());
        }
        Value::Object(document)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.detail {
            Some(detail) => write!(f, "{} {detail}", self.kind.title()),
            None => f.write_str(self.kind.title()),
        }
    }
}

impl Error for Problem {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_ref().map(|cause| &**cause as &(dyn Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_never_shows_the_cause() {
        let problem = Problem::internal("table piecework-verify is gone").with("retry", true);
        let text = problem.document(Some("req-1")).to_string();
        assert!(!text.contains("piecework-verify"));
        assert!(text.contains("\"request_id\":\"req-1\"") && text.contains("\"retry\":true"));
    }

    #[test]
    fn slugs_are_unique() {
        let slugs: std::collections::HashSet<_> = Kind::ALL.iter().map(|k| k.slug()).collect();
        assert_eq!(slugs.len(), Kind::ALL.len());
    }
}
