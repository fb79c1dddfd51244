//! Browser uploads: `POST /BUCKET` with a form and a signed policy.
//!
//! `s3s` can do these, but holds the file in memory, refuses a form signed more than 15 minutes ago whatever its
//! policy's expiry, and answers 400 where S3 answers 403. So only its policy parser is used here. Rules: "POST
//! Object" and "POST policy" in the S3 API reference.

use std::collections::BTreeMap;
use std::pin::pin;

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use s3s::post_policy::{PostPolicy, PostPolicyCondition};
use s3s::{Body, HttpResponse, S3Error, S3Result, s3_error};
use sha2::Sha256;

use crate::access::CallContext;
use crate::api::Api;
use crate::digest::{Algorithm, Sums, hex, unhex};
use crate::event::CreatedBy;
use crate::form::Form;
use crate::guard::check_region;
use crate::receive::{Expect, receive};
use crate::store::{Condition, Detail, Headers, NewObject};

/// S3's limit for all that precedes the file.
const MAX_FIELDS: usize = 20 * 1024;
/// How much of a refused upload is read so that the browser sees the refusal and not a broken connection.
const MAX_DRAIN: usize = 256 * 1024 * 1024;

type Fields = BTreeMap<String, String>;

/// The bucket, if the path is that of a bucket.
pub(crate) fn bucket_of(path: &str) -> Option<&str> {
    let bucket = path.strip_prefix('/')?;
    let bucket = bucket.strip_suffix('/').unwrap_or(bucket);
    (!bucket.is_empty() && !bucket.contains('/')).then_some(bucket)
}

/// Handles the upload; a refusal is sent after the rest of the body.
pub(crate) async fn handle(api: &Api, bucket: &str, boundary: &str, body: Body) -> S3Result<HttpResponse> {
    let mut form = Form::new(body, boundary);
    let answer = upload(api, bucket, &mut form).await;
    // The closing delimiter on success, the rest of the file on a refusal.
    let _ = tokio::time::timeout(api.idle, form.drain(MAX_DRAIN)).await;
    answer
}

async fn upload(api: &Api, bucket: &str, form: &mut Form<Body>) -> S3Result<HttpResponse> {
    let (fields, file_name) = tokio::time::timeout(api.idle, read_fields(form))
        .await
        .map_err(|_| s3_error!(RequestTimeout, "The form was not sent within the timeout period."))??;
    let get = |name: &str| fields.get(name).map(String::as_str);

    let key = get("key")
        .ok_or_else(|| s3_error!(InvalidArgument, "Bucket POST must contain a field named 'key'."))?;
    let key = key.replace("${filename}", file_name.as_deref().unwrap_or_default());
    if key.is_empty() || key.len() > 1024 {
        return Err(s3_error!(KeyTooLongError, "Your key is too long or empty"));
    }
    let access_key = verify(api, &fields)?;
    let policy = PostPolicy::from_base64(get("policy").unwrap_or_default())
        .map_err(|error| s3_error!(InvalidPolicyDocument, "Invalid Policy: {error}"))?;
    let range = allow(&policy, bucket, &key, &fields)?;
    api.gate.allow(&CallContext {
        access_key: &access_key,
        action: "s3:PutObject",
        bucket: Some(bucket),
        key: Some(&key),
    })?;
    let named = bucket.to_owned();
    api.store.run(move |store| store.require_bucket(&named)).await?;

    let mut sums = Sums::default();
    for algorithm in Algorithm::ALL {
        let name = format!("x-amz-checksum-{}", algorithm.name().to_ascii_lowercase());
        *sums.slot(algorithm) = fields.get(&name).cloned();
    }
    let expect = Expect { md5: get("content-md5").map(str::to_owned), sums, range, ..Expect::default() };
    let received = receive(&api.store, pin!(form.stream()), expect, api.idle).await?;
    let new = NewObject {
        bucket: bucket.to_owned(),
        key: key.clone(),
        size: received.digests.size,
        etag: hex(&received.digests.md5),
        detail: Detail { headers: headers(&fields), sums: received.digests.sums, ..Detail::default() },
        by: CreatedBy::Post,
    };
    let stored = api.store.run(move |store| store.put(received.scratch, &new, &Condition::default())).await?;
    answer(bucket, &key, &stored.etag, &fields)
}

/// The fields before the file, and the file's name. What follows the file is ignored, as S3 does.
async fn read_fields(form: &mut Form<Body>) -> S3Result<(Fields, Option<String>)> {
    let mut fields = Fields::new();
    let mut left = MAX_FIELDS;
    form.start().await?;
    while let Some(field) = form.next().await? {
        if field.name == "file" {
            return Ok((fields, field.file_name));
        }
        let value = form.text(left).await?;
        left = left.saturating_sub(field.name.len() + value.len());
        // Two values for one field could show the policy one and the store the other.
        if fields.insert(field.name, value).is_some() {
            return Err(s3_error!(InvalidArgument, "A form field occurs twice."));
        }
    }
    Err(s3_error!(IncorrectNumberOfFilesInPostRequest, "POST requires exactly one file upload per request."))
}

/// Verifies the policy's signature and answers the access key it was made with.
fn verify(api: &Api, fields: &Fields) -> S3Result<String> {
    let get = |name: &str| {
        fields
            .get(name)
            .ok_or_else(|| s3_error!(AccessDenied, "Bucket POST must contain a field named '{name}'."))
    };
    let (policy, signature) = (get("policy")?, get("x-amz-signature")?);
    let (credential, date) = (get("x-amz-credential")?, get("x-amz-date")?);
    if get("x-amz-algorithm")? != "AWS4-HMAC-SHA256" {
        return Err(s3_error!(InvalidArgument, "x-amz-algorithm must be AWS4-HMAC-SHA256"));
    }
    check_region(credential, &api.region)?;
    let scope: Vec<&str> = credential.rsplitn(5, '/').collect();
    let [terminator, service, region, day, access_key] = scope[..] else {
        return Err(s3_error!(InvalidArgument, "the credential is mal-formed"));
    };
    if (terminator, service) != ("aws4_request", "s3") || !date.starts_with(day) {
        return Err(s3_error!(InvalidArgument, "the credential is mal-formed"));
    }
    let secret = api.gate.secret(access_key)?;
    let mut key = format!("AWS4{}", secret.expose()).into_bytes();
    for step in [day, region, service, terminator] {
        key = hmac(&key, step.as_bytes())?.finalize().into_bytes().to_vec();
    }
    unhex(signature)
        .and_then(|signature| hmac(&key, policy.as_bytes()).ok()?.verify_slice(&signature).ok())
        .ok_or_else(|| {
            s3_error!(SignatureDoesNotMatch, "The request signature we calculated does not match.")
        })?;
    Ok(access_key.to_owned())
}

fn hmac(key: &[u8], text: &[u8]) -> S3Result<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(S3Error::internal_error)?;
    mac.update(text);
    Ok(mac)
}

/// Checks expiry and conditions; answers the allowed size in bytes, both ends included.
fn allow(policy: &PostPolicy, bucket: &str, key: &str, fields: &Fields) -> S3Result<Option<(u64, u64)>> {
    if policy.expiration <= std::time::SystemTime::now().into() {
        return Err(s3_error!(AccessDenied, "Invalid according to Policy: Policy expired."));
    }
    let value = |field: &str| match field {
        "bucket" => bucket,
        "key" => key,
        other => fields.get(other).map(String::as_str).unwrap_or_default(),
    };
    let mut range = None;
    let mut covered = Vec::new();
    for condition in &policy.conditions {
        let (field, holds) = match condition {
            PostPolicyCondition::Eq { field, value: wanted } => (field, value(field) == wanted),
            PostPolicyCondition::StartsWith { field, prefix } => (field, value(field).starts_with(prefix)),
            PostPolicyCondition::ContentLengthRange { min, max } => {
                let (low, high) = range.unwrap_or((0, u64::MAX));
                range = Some((low.max(*min), high.min(*max)));
                continue;
            }
        };
        if !holds {
            return Err(s3_error!(
                AccessDenied,
                "Invalid according to Policy: Policy Condition failed: {condition:?}"
            ));
        }
        covered.push(field.as_str());
    }
    let exempt = |name: &str| {
        matches!(name, "policy" | "x-amz-signature" | "submit" | "bucket") || name.starts_with("x-ignore-")
    };
    if let Some(extra) = fields.keys().find(|name| !exempt(name) && !covered.contains(&name.as_str())) {
        return Err(s3_error!(AccessDenied, "Invalid according to Policy: Extra input fields: {extra}"));
    }
    Ok(range)
}

fn headers(fields: &Fields) -> Headers {
    let get = |name: &str| fields.get(name).cloned();
    let metadata = fields
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("x-amz-meta-")?.to_owned(), value.clone())));
    Headers {
        cache_control: get("cache-control"),
        content_disposition: get("content-disposition"),
        content_encoding: get("content-encoding"),
        content_language: get("content-language"),
        content_type: get("content-type"),
        expires: None,
        metadata: metadata.collect(),
    }
}

/// 204, or what the form asked for.
fn answer(bucket: &str, key: &str, etag: &str, fields: &Fields) -> S3Result<HttpResponse> {
    let location = format!("/{bucket}/{}", percent_encoding::utf8_percent_encode(key, crate::api::PATH));
    let mut headers = HeaderMap::new();
    let mut set = |name, value: String| {
        HeaderValue::try_from(value).map(|value| headers.insert(name, value)).map_err(S3Error::internal_error)
    };
    set(header::ETAG, format!("\"{etag}\""))?;
    let redirect = fields.get("success_action_redirect").and_then(|target| url::Url::parse(target).ok());
    let (status, body) = if let Some(mut target) = redirect {
        let etag = format!("\"{etag}\"");
        target
            .query_pairs_mut()
            .append_pair("bucket", bucket)
            .append_pair("key", key)
            .append_pair("etag", &etag);
        set(header::LOCATION, target.into())?;
        (StatusCode::SEE_OTHER, Body::empty())
    } else {
        set(header::LOCATION, location.clone())?;
        match fields.get("success_action_status").map(String::as_str) {
            Some("200") => (StatusCode::OK, Body::empty()),
            Some("201") => {
                set(header::CONTENT_TYPE, "application/xml".to_owned())?;
                let key = escape(key);
                let xml = format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<PostResponse><Location>{location}</Location>\
                     <Bucket>{bucket}</Bucket><Key>{key}</Key><ETag>&quot;{etag}&quot;</ETag></PostResponse>"
                );
                (StatusCode::CREATED, Body::from(xml))
            }
            _ => (StatusCode::NO_CONTENT, Body::empty()),
        }
    };
    let mut response = HttpResponse::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
