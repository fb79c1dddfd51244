//! A request as a payload format 2.0 event (API Gateway guide, "AWS Lambda proxy integrations for HTTP APIs").

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, header, request::Parts};
use serde::Serialize;
use std::{collections::BTreeMap, net::SocketAddr};

/// What an event is made of.
pub(super) struct Inputs<'a> {
    pub parts: &'a Parts,
    pub body: &'a [u8],
    pub route_key: &'a str,
    pub raw_path: &'a str,
    pub path_parameters: BTreeMap<String, String>,
    pub host: &'a str,
    pub peer: SocketAddr,
    pub port: u16,
    pub request_id: &'a str,
    pub trace: &'a str,
    pub api_id: &'a str,
    pub stage: &'a str,
    pub account_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    version: &'static str,
    route_key: &'a str,
    raw_path: &'a str,
    raw_query_string: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cookies: Vec<String>,
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    query_string_parameters: BTreeMap<String, String>,
    request_context: Context<'a>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    path_parameters: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    is_base64_encoded: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Context<'a> {
    account_id: &'a str,
    api_id: &'a str,
    domain_name: &'a str,
    domain_prefix: &'a str,
    http: Http<'a>,
    request_id: &'a str,
    route_key: &'a str,
    stage: &'a str,
    time: String,
    time_epoch: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Http<'a> {
    method: &'a str,
    path: &'a str,
    protocol: &'static str,
    source_ip: String,
    user_agent: String,
}

/// Headers that concern one connection and do not reach a function.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The event as JSON.
pub(super) fn build(inputs: &Inputs<'_>) -> String {
    let Inputs { parts, body, .. } = inputs;
    let now = jiff::Timestamp::now();
    let source_ip = inputs.peer.ip().to_string();
    let (body, is_base64_encoded) =
        encode(body, parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()));
    let domain_name = domain_of(inputs.host);
    let event = Event {
        version: "2.0",
        route_key: inputs.route_key,
        raw_path: inputs.raw_path,
        raw_query_string: parts.uri.query().unwrap_or_default(),
        cookies: cookies(&parts.headers),
        headers: headers(inputs, &source_ip),
        query_string_parameters: query_string_parameters(parts.uri.query().unwrap_or_default()),
        request_context: Context {
            account_id: inputs.account_id,
            api_id: inputs.api_id,
            domain_name,
            domain_prefix: domain_name.split('.').next().unwrap_or(domain_name),
            http: Http {
                method: parts.method.as_str(),
                path: inputs.raw_path,
                protocol: if parts.version == http::Version::HTTP_10 { "HTTP/1.0" } else { "HTTP/1.1" },
                source_ip,
                user_agent: text(parts.headers.get(header::USER_AGENT).map_or(&[][..], |v| v.as_bytes())),
            },
            request_id: inputs.request_id,
            route_key: inputs.route_key,
            stage: inputs.stage,
            time: now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
            time_epoch: now.as_millisecond(),
        },
        path_parameters: &inputs.path_parameters,
        body,
        is_base64_encoded,
    };
    serde_json::to_string(&event).unwrap_or_default()
}

/// HTTP APIs hand the path over percent-decoded, also as `rawPath`, route by the decoded path (so `%2F` separates
/// segments), and cut it at a decoded `?` (live captures in hotsock/voker pull request 8, cited by
/// middleapi/standard-server pull request 93; honojs/hono issue 2156; aws/aws-lambda-dotnet's test tool).
pub(super) fn decoded_path(path: &str) -> String {
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
    decoded.split('?').next().unwrap_or_default().to_owned()
}

/// The body as text, or as base64: none if empty, text for `text/*` and JSON, XML and JavaScript, base64 for all
/// else and for no content type; checked on AWS in ministackorg/ministack pull request 766 (also that
/// `application/x-www-form-urlencoded` is base64). A text type that is not UTF-8 goes as base64: nothing is lost.
fn encode(body: &[u8], content_type: Option<&str>) -> (Option<String>, bool) {
    if body.is_empty() {
        return (None, false);
    }
    let essence =
        content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let textual = essence.starts_with("text/")
        || matches!(essence.as_str(), "application/json" | "application/xml" | "application/javascript");
    match std::str::from_utf8(body) {
        Ok(text) if textual => (Some(text.to_owned()), false),
        _ => (Some(BASE64_STANDARD.encode(body)), true),
    }
}

/// Lower-case names, duplicates joined by a comma, cookies taken out, the gateway's own headers put in.
fn headers(inputs: &Inputs<'_>, source_ip: &str) -> BTreeMap<String, String> {
    let given = &inputs.parts.headers;
    let mut headers = BTreeMap::new();
    for name in given.keys().filter(|n| *n != header::COOKIE && !HOP_BY_HOP.contains(&n.as_str())) {
        let values: Vec<_> = given.get_all(name).iter().map(|v| text(v.as_bytes())).collect();
        headers.insert(name.as_str().to_owned(), values.join(","));
    }
    let forwarded = match headers.get("x-forwarded-for") {
        Some(before) => format!("{before}, {source_ip}"),
        None => source_ip.to_owned(),
    };
    headers.extend(
        [
            ("content-length", inputs.body.len().to_string()),
            ("host", inputs.host.to_owned()),
            ("x-amzn-trace-id", inputs.trace.split(';').next().unwrap_or_default().to_owned()),
            ("x-forwarded-for", forwarded),
            ("x-forwarded-port", inputs.port.to_string()),
            ("x-forwarded-proto", "http".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    headers
}

/// Every cookie of every Cookie header.
fn cookies(headers: &HeaderMap) -> Vec<String> {
    let all = headers.get_all(header::COOKIE).iter().map(|v| text(v.as_bytes()));
    all.flat_map(|line| line.split(';').map(|c| c.trim().to_owned()).collect::<Vec<_>>())
        .filter(|cookie| !cookie.is_empty())
        .collect()
}

/// Decoded, duplicates joined by a comma.
fn query_string_parameters(query: &str) -> BTreeMap<String, String> {
    let mut parameters: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        parameters
            .entry(name.into_owned())
            .and_modify(|joined| {
                joined.push(',');
                joined.push_str(&value);
            })
            .or_insert_with(|| value.clone().into_owned());
    }
    parameters
}

/// A host without its port.
fn domain_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((domain, port)) if port.bytes().all(|b| b.is_ascii_digit()) => domain,
        _ => host,
    }
}

/// Header bytes as text: UTF-8, or Latin-1 if they are not.
fn text(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| bytes.iter().map(|b| char::from(*b)).collect(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_text_or_base64_by_content_type_as_seen_on_aws() {
        for text in [
            "text/plain",
            "text/csv; charset=utf-8",
            "TEXT/HTML",
            "application/json",
            "application/json; charset=utf-8",
            "application/xml",
            "application/javascript",
        ] {
            assert_eq!(encode(b"ab", Some(text)), (Some("ab".into()), false), "{text}");
        }
        for binary in [
            "application/x-www-form-urlencoded",
            "application/octet-stream",
            "image/png",
            "multipart/form-data",
            "application/problem+json",
            "",
        ] {
            assert_eq!(encode(b"ab", Some(binary)), (Some("YWI=".into()), true), "{binary}");
        }
        assert_eq!(encode(b"ab", None), (Some("YWI=".into()), true));
        assert_eq!(encode(b"\xff", Some("text/plain")), (Some("/w==".into()), true));
        assert_eq!(encode(b"", Some("image/png")), (None, false));
    }

    #[test]
    fn queries_are_decoded_and_joined() {
        let parameters = query_string_parameters("a=1&b=x%20y+z&a=2&c&d=%2C");
        let pairs = [("a", "1,2"), ("b", "x y z"), ("c", ""), ("d", ",")];
        assert_eq!(parameters, pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
        assert!(query_string_parameters("").is_empty());
    }

    #[test]
    fn paths_are_decoded_once_and_cut_at_a_question_mark() {
        assert_eq!(decoded_path("/a%2Fb/%C3%A9%252F"), "/a/b/é%2F");
        assert_eq!(decoded_path("/a%3Fb=c"), "/a");
    }

    #[test]
    fn domains_have_no_port() {
        assert_eq!(domain_of("api.example.com:3000"), "api.example.com");
        assert_eq!(domain_of("localhost"), "localhost");
        assert_eq!(domain_of("[::1]:3000"), "[::1]");
    }
}
