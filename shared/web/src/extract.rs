//! What handlers take: JSON bodies, path and query values, the idempotency key. Each refusal is a problem that says where.

use std::sync::Arc;

use account::Principal;
use axum::extract::{FromRequestParts, OriginalUri};
use bytes::Bytes;
use http::{header::CONTENT_TYPE, request::Parts};
use piecework_core::{Fault, Kind, Problem as Cause, idempotency};
use serde::de::DeserializeOwned;

use crate::Problem;

/// The largest body that is read: what fits into a Lambda event as base64 (reference: HTTP conventions, section 6).
pub(crate) const MAX_BODY: usize = 4_500_000;

/// The request's body as it came.
#[derive(Clone)]
pub(crate) struct RawBody(pub Bytes);

pub(crate) fn body(parts: &Parts) -> Bytes {
    parts.extensions.get::<RawBody>().map(|b| b.0.clone()).unwrap_or_default()
}

/// A JSON object in the body as a `T`. Unknown members are refused where `T` denies them.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Json<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let body = body(parts);
        let media = parts.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
        let media = media.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        if !(media == "application/json" || media.starts_with("application/") && media.ends_with("+json")) {
            return Err(Cause::new(Kind::UnsupportedMediaType).into());
        }
        // Serde would take an array of the members' values for a struct; the contract is an object.
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err(Cause::new(Kind::InvalidBody).fault(Fault::body("", "must be a JSON object")).into());
        }
        let mut json = serde_json::Deserializer::from_slice(&body);
        let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let pointer = pointer(error.path());
            Cause::new(Kind::InvalidBody).fault(Fault::body(&pointer, error.inner().to_string()))
        })?;
        json.end()
            .map_err(|error| Cause::new(Kind::InvalidBody).fault(Fault::body("", error.to_string())))?;
        Ok(Self(value))
    }
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(format!("/{index}")),
            Segment::Map { key } => Some(format!("/{}", key.replace('~', "~0").replace('/', "~1"))),
            Segment::Enum { variant } => Some(format!("/{variant}")),
            Segment::Unknown => None,
        })
        .collect()
}

/// The path's parameters. One that does not parse names nothing that could exist: 404.
#[derive(Debug, Clone)]
pub struct Path<T>(pub T);

impl<S: Sync + Send, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(value)| Self(value)).map_err(|_| Cause::new(Kind::NotFound).into())
    }
}

/// The query string as a `T`.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<S: Sync + Send, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        query.map(|axum::extract::Query(value)| Self(value)).map_err(|error| {
            // The outer text names the crate's own types; the source says what the caller did.
            let why =
                std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            Cause::new(Kind::InvalidQuery).detail(why).into()
        })
    }
}

/// `Idempotency-Key`, if the caller sent one, for the caller's workspace and this very request. Stands behind
/// [`Caller`](crate::Caller) in a signature: keys of different tenants never meet.
#[derive(Debug, Clone)]
pub struct IdempotencyKey(pub Option<idempotency::Request>);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let malformed = |why: String| {
            Cause::new(Kind::InvalidIdempotencyKey).fault(Fault::header("idempotency-key", why))
        };
        let mut values = parts.headers.get_all("idempotency-key").iter();
        let Some(value) = values.next() else { return Ok(Self(None)) };
        if values.next().is_some() {
            return Err(malformed("sent more than once".into()).into());
        }
        let text = value.to_str().map_err(|_| malformed("not ASCII".into()))?;
        let key = idempotency::Key::parse(text).map_err(|e| malformed(e.to_string()))?;
        let principal = parts.extensions.get::<Arc<Principal>>().ok_or_else(|| {
            Cause::internal("IdempotencyKey must stand behind Caller in the handler's signature")
        })?;
        let path = parts
            .extensions
            .get::<OriginalUri>()
            .map_or_else(|| parts.uri.path().to_owned(), |u| u.path().to_owned());
        Ok(Self(Some(idempotency::Request {
            // Of each user of a workspace: what one of them asked for may be theirs alone.
            storage_key: key.storage_key(&format!("{}/{}", principal.workspace, principal.user)),
            fingerprint: idempotency::fingerprint(parts.method.as_str(), &path, &body(parts)),
        })))
    }
}

/// The cookies of a request.
#[derive(Debug, Clone, Default)]
pub struct Cookies(Vec<(String, String)>);

impl Cookies {
    /// The value of the first cookie of this name.
    pub fn get(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone())
    }
}

impl<S: Sync> FromRequestParts<S> for Cookies {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let fields = parts.headers.get_all(http::header::COOKIE).iter().filter_map(|f| f.to_str().ok());
        let pairs = fields.flat_map(|field| field.split(';')).filter_map(|pair| pair.trim().split_once('='));
        Ok(Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()))
    }
}
