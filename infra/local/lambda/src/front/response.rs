//! A function's answer as an HTTP response.
//!
//! An object with `statusCode` is a response in payload format 2.0; anything else, even if it is not JSON, is the
//! body of a 200 of type `application/json` (the guide says so for JSON; that the rest is treated alike was observed
//! by AWS's own test tool, aws/aws-lambda-dotnet `InvokeResponseExtensions.cs`, as was the default content type).

use crate::http1::{Answer, json};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Why a response with `statusCode` could not be sent.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("statusCode is not an HTTP status from 200 to 599")]
    Status,
    #[error("header {0} is not a valid header")]
    Header(String),
    #[error("a cookie is not a valid header value")]
    Cookie,
    #[error("isBase64Encoded is true but body is not base64")]
    Base64,
    #[error("not a response: {0}")]
    Shape(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Proxy {
    status_code: Value,
    #[serde(default)]
    headers: Option<Map<String, Value>>,
    #[serde(default)]
    cookies: Option<Vec<String>>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: Option<bool>,
}

/// Headers about the connection or the framing, which the server writes itself.
const OURS: [&str; 7] =
    ["connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

pub(super) fn from_payload(payload: &Bytes) -> Result<Answer, Malformed> {
    #[derive(Deserialize)]
    struct Peek {
        #[serde(rename = "statusCode", default)]
        status_code: Option<serde::de::IgnoredAny>,
    }
    // `{"statusCode": null}` counts as having none.
    let proxied = serde_json::from_slice::<Peek>(payload).is_ok_and(|peek| peek.status_code.is_some());
    let object = payload.trim_ascii_start().first() == Some(&b'{');
    if !(object && proxied) {
        return Ok(json(StatusCode::OK, payload.clone()));
    }
    let proxy: Proxy = serde_json::from_slice(payload).map_err(|e| Malformed::Shape(e.to_string()))?;
    let status = match &proxy.status_code {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    let status = status.filter(|s| (200..600).contains(s)).and_then(|s| u16::try_from(s).ok());
    let status = status.and_then(|s| StatusCode::from_u16(s).ok()).ok_or(Malformed::Status)?;
    let body = match proxy.body {
        Some(body) if proxy.is_base64_encoded == Some(true) => {
            Bytes::from(BASE64_STANDARD.decode(body).map_err(|_| Malformed::Base64)?)
        }
        body => Bytes::from(body.unwrap_or_default()),
    };
    let bodiless = status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
    let mut answer = Response::new(Full::new(if bodiless { Bytes::new() } else { body }));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    for (name, value) in proxy.headers.unwrap_or_default() {
        let value = match value {
            Value::Null => continue,
            Value::String(text) => text,
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            Value::Array(_) | Value::Object(_) => return Err(Malformed::Header(name)),
        };
        let (Ok(key), Ok(value)) = (HeaderName::try_from(&name), HeaderValue::try_from(value)) else {
            return Err(Malformed::Header(name));
        };
        if !OURS.contains(&key.as_str()) {
            headers.append(key, value);
        }
    }
    for cookie in proxy.cookies.unwrap_or_default() {
        headers.append(header::SET_COOKIE, HeaderValue::try_from(cookie).map_err(|_| Malformed::Cookie)?);
    }
    if !headers.contains_key(header::CONTENT_TYPE) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    }
    Ok(answer)
}
