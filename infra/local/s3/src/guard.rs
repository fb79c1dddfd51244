//! Rules of request signing that S3 has and `s3s` does not check.
//!
//! `s3s` verifies a signature over the headers that the signature names. S3 also demands that every `x-amz-*`
//! header is among them: otherwise whoever holds a presigned upload could add `x-amz-copy-source` and read any
//! object. See "Authenticating Requests (AWS Signature Version 4)" in the S3 API reference.

use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::request::Parts;
use s3s::{S3Result, s3_error};
use url::form_urlencoded;

/// The longest life of a presigned URL, seconds.
const MAX_EXPIRES: u32 = 604_800;
/// Sent unsigned by common clients, and without effect or checked against the body.
const UNSIGNED: [&str; 2] = ["x-amz-content-sha256", "x-amz-user-agent"];

/// Checks a request before `s3s` verifies its signature; anonymous requests are left to it.
/// Parameters that a client signed into the URL instead of sending them as headers become headers.
pub(crate) fn check(request: &mut Parts, region: &str) -> S3Result<()> {
    let query: Vec<(String, String)> =
        form_urlencoded::parse(request.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let param = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());

    if let Some(scheme) = request.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()) {
        let Some(fields) = scheme.strip_prefix("AWS4-HMAC-SHA256") else { return Err(unsupported()) };
        let field = |name: &str| {
            fields.split(',').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='))
        };
        check_region(field("Credential").unwrap_or_default(), region)?;
        return check_signed(request, field("SignedHeaders").unwrap_or_default());
    }
    if param("X-Amz-Signature").is_some() {
        let expires = param("X-Amz-Expires").and_then(|seconds| seconds.parse().ok()).unwrap_or_default();
        if !(1..=MAX_EXPIRES).contains(&expires) {
            return Err(s3_error!(
                AuthorizationQueryParametersError,
                "X-Amz-Expires must be between 1 and {MAX_EXPIRES} seconds"
            ));
        }
        check_region(param("X-Amz-Credential").unwrap_or_default(), region)?;
        check_signed(request, param("X-Amz-SignedHeaders").unwrap_or_default())?;
        for (name, value) in &query {
            if name.starts_with("x-amz-")
                && let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value))
            {
                request.headers.insert(name, value);
            }
        }
        return Ok(());
    }
    // Signature version 2.
    if param("Signature").is_some() { Err(unsupported()) } else { Ok(()) }
}

/// The region in a credential scope, `KEY/DATE/REGION/s3/aws4_request`, must be ours.
pub(crate) fn check_region(credential: &str, region: &str) -> S3Result<()> {
    match credential.rsplit('/').nth(2) {
        Some(named) if named == region => Ok(()),
        Some(named) => Err(s3_error!(
            AuthorizationHeaderMalformed,
            "The authorization header is malformed; the region '{named}' is wrong; expecting '{region}'"
        )),
        None => Err(s3_error!(AuthorizationHeaderMalformed, "The authorization header is malformed")),
    }
}

fn check_signed(request: &Parts, signed: &str) -> S3Result<()> {
    let signed: Vec<&str> = signed.split(';').collect();
    let covered = |name: &str| signed.contains(&name) || UNSIGNED.contains(&name);
    let stray =
        request.headers.keys().find(|name| name.as_str().starts_with("x-amz-") && !covered(name.as_str()));
    if stray.is_some() || !signed.contains(&"host") {
        return Err(s3_error!(
            AccessDenied,
            "There were headers present in the request which were not signed"
        ));
    }
    Ok(())
}

fn unsupported() -> s3s::S3Error {
    s3_error!(
        InvalidRequest,
        "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
    )
}
