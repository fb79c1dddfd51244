//! Upstream mode (V15, `docs/decisions/upstream.md`): an endpoint whose answers are another party's, which speaks the same contract.
//! Who calls is authenticated here, and the caller's own credentials go on; nothing is kept here.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use aws::{Answered, Ask, Outside, OutsideError};
use axum::{
    Router,
    extract::Request,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{CONTENT_DISPOSITION, CONTENT_TYPE, LOCATION, RETRY_AFTER, VIA},
};
use piecework_core::{
    Fault, Kind, Problem as Cause, Settings, correlation,
    settings::{Environment, SettingError},
    trace,
};
use serde_json::Value;
use utoipa::openapi::OpenApi;

use crate::{
    Problem,
    contract::{Contract, Described},
    extract::RawBody,
};

/// Octets that an answer may have: what fits into a function's own (6 MB with its escapes).
const CAP: usize = 4_500_000;
/// Octets that a list may have, as the download's own; a longer one has to be a link.
const LIST_CAP: usize = 2 << 20;
/// What is left of the function's time for the answer, and for telling Sentry of a failure.
const MARGIN: Duration = Duration::from_millis(2500);
/// How long to wait where nobody said how much time the function has.
const PATIENCE: Duration = Duration::from_secs(7);
/// Of the request's fields, those that go on. The credentials are beside them.
const PASSED: [&str; 4] = ["x-workspace-id", "idempotency-key", "content-type", "accept-language"];
/// Our name in `Via` (RFC 9110, section 7.6.3).
const VIA_US: &str = "1.1 piecework";
/// How many of us may stand one behind the other. More is a circle.
const CHAIN: usize = 3;
/// Octets of a text of the upstream's that a problem repeats.
const TEXT: usize = 500;

/// Completes a list made for people: the names of what it lacked, and the list with a sentence in its place.
pub type ForPeople = fn(&[u8]) -> Option<(Vec<&'static str>, Vec<u8>)>;

/// An endpoint's place for an upstream, not yet known whether there is one.
pub(crate) struct Seat {
    /// The setting that has the upstream's address.
    pub setting: &'static str,
    pub document: fn() -> OpenApi,
    pub for_people: Option<ForPeople>,
    /// The route, with who may call.
    pub route: Box<dyn FnOnce(Arc<Upstream>) -> Router + Send>,
}

impl Seat {
    /// The route to the upstream, if the setting names one.
    pub fn taken(self, settings: &Settings) -> Result<Option<Router>, SettingError> {
        let Some(base) = base(settings, self.setting)? else { return Ok(None) };
        let upstream = Upstream {
            base,
            outside: Outside::default(),
            document: self.document,
            contract: OnceLock::new(),
            for_people: self.for_people,
        };
        Ok(Some((self.route)(Arc::new(upstream))))
    }
}

/// `https://host[:port][/path]`; in `dev` also `http`.
fn base(settings: &Settings, name: &'static str) -> Result<Option<String>, SettingError> {
    let Some(text) = settings.text(name) else { return Ok(None) };
    let unusable = |why: &str| SettingError::Unusable { name, why: why.to_owned() };
    let uri: http::Uri = text.parse().map_err(|_| unusable("must be a URL"))?;
    let authority = uri.authority().ok_or_else(|| unusable("must be an absolute URL"))?;
    let plain = uri.scheme_str() == Some("http") && settings.environment == Environment::Dev;
    if uri.scheme_str() != Some("https") && !plain {
        return Err(unusable("must begin with https://"));
    }
    if authority.as_str().contains('@') || uri.query().is_some() || text.contains('#') {
        return Err(unusable("must have no credentials, query or fragment"));
    }
    Ok(Some(text.trim_end_matches('/').to_owned()))
}

/// The party whose answers go on.
pub(crate) struct Upstream {
    base: String,
    outside: Outside,
    document: fn() -> OpenApi,
    contract: OnceLock<Contract>,
    for_people: Option<ForPeople>,
}

/// Why an answer of the upstream does not go on.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the upstream answers {0}")]
    Status(u16),
    #[error("the upstream's {0} is not as described")]
    Header(&'static str),
    #[error("the upstream's answer is no JSON: {0}")]
    NoJson(serde_json::Error),
    #[error(transparent)]
    Unfit(#[from] crate::contract::Unfit),
    #[error(transparent)]
    Outside(#[from] OutsideError),
    #[error("the verification API's address leads back to this one")]
    Circle,
}

impl From<Broken> for Cause {
    fn from(broken: Broken) -> Self {
        let (kind, detail) = match &broken {
            Broken::Outside(OutsideError::Late(_)) => {
                (Kind::Unavailable, "The verification API did not answer in time.")
            }
            Broken::Outside(OutsideError::Failed(_)) => {
                (Kind::Unavailable, "The verification API cannot be reached.")
            }
            Broken::Status(502..=504) => (Kind::Unavailable, "The verification API cannot answer right now."),
            Broken::Status(500..) => (Kind::Upstream, "The verification API failed."),
            _ => (Kind::Upstream, "The verification API's answer cannot be used."),
        };
        let mut problem = Self::new(kind).detail(detail);
        problem.cause = Some(Box::new(broken));
        problem
    }
}

impl Upstream {
    /// Asks the upstream what the caller asked, and answers what it answers.
    pub async fn relay(&self, request: Request) -> Result<Response, Problem> {
        let patience = patience(&request);
        let ask = self.ask(&request)?;
        let answered = self.outside.ask(&ask, patience, CAP).await.map_err(Broken::from)?;
        let contract = self.contract.get_or_init(|| Contract::of(&(self.document)()));
        match contract.described(answered.status) {
            Some(described) => Ok(self.accepted(contract, described, answered)?),
            None => Ok(refused(&answered)?),
        }
    }

    /// The same request to the upstream.
    fn ask(&self, request: &Request) -> Result<Ask, Cause> {
        let path = request.uri().path();
        // Ids are of these; anything else could lead elsewhere, and names nothing.
        if !path.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-')) {
            return Err(Cause::new(Kind::NotFound));
        }
        let query = request.uri().query().map(|q| format!("?{q}")).unwrap_or_default();
        let fields = request.headers();
        let mut vias: Vec<String> = all(fields, VIA.as_str()).collect();
        let ours = vias.iter().flat_map(|v| v.split(',')).filter(|v| v.trim() == VIA_US).count();
        if ours >= CHAIN {
            return Err(Broken::Circle.into());
        }
        vias.push(VIA_US.to_owned());
        let mut headers = vec![
            ("accept".to_owned(), "application/json, text/csv;q=0.9, */*;q=0.1".to_owned()),
            ("user-agent".to_owned(), concat!("piecework/", env!("CARGO_PKG_VERSION")).to_owned()),
            (VIA.as_str().to_owned(), vias.join(", ")),
        ];
        // What says here who calls, says it there.
        let credentials = if fields.contains_key("x-api-key") { "x-api-key" } else { "authorization" };
        for name in PASSED.into_iter().chain([credentials]) {
            headers.extend(all(fields, name).map(|value| (name.to_owned(), value)));
        }
        let ids = [("x-correlation-id", correlation::current()), ("traceparent", trace::traceparent())];
        headers.extend(ids.into_iter().filter_map(|(name, id)| Some((name.to_owned(), id?))));
        Ok(Ask {
            method: request.method().to_string(),
            url: format!("{}{path}{query}", self.base),
            headers,
            body: request.extensions().get::<RawBody>().map_or_else(Bytes::new, |body| body.0.clone()),
        })
    }

    /// An answer of a status that the description has.
    fn accepted(
        &self,
        contract: &Contract,
        described: Described<'_>,
        answered: Answered,
    ) -> Result<Response, Broken> {
        let status = StatusCode::from_u16(answered.status).map_err(|_| Broken::Status(answered.status))?;
        let media = answered.header("content-type").map(media_type).unwrap_or_default();
        let location = answered.header("location").map(str::to_owned);
        let mut response = match described {
            Described::Json(_) if media != "application/json" => return Err(Broken::Header("content-type")),
            Described::Json(schema) => {
                let json: Value = serde_json::from_slice(&answered.body).map_err(Broken::NoJson)?;
                let done = contract.complete(schema, json)?;
                told(done.missing.iter().map(String::as_str));
                axum::Json(done.value).into_response()
            }
            Described::Other(wanted) if media != wanted => return Err(Broken::Header("content-type")),
            Described::Other(_) if answered.body.len() > LIST_CAP => {
                return Err(OutsideError::TooLong(LIST_CAP).into());
            }
            Described::Other(_) => self.list(answered),
            Described::Elsewhere | Described::Empty => ().into_response(),
        };
        *response.status_mut() = status;
        let to = match (described, location) {
            (Described::Elsewhere, Some(to)) if is_link(&to) => Some(to),
            (Described::Elsewhere, _) => return Err(Broken::Header("location")),
            // Where the new thing is here: under the same path.
            (_, Some(to)) => {
                let path = to.strip_prefix(&self.base).unwrap_or(&to);
                path.starts_with("/v1/").then(|| path.to_owned())
            }
            (_, None) => None,
        };
        if let Some(to) = to {
            let to = HeaderValue::try_from(to).map_err(|_| Broken::Header("location"))?;
            response.headers_mut().insert(LOCATION, to);
        }
        Ok(response)
    }

    /// A list as it came, but for what people are told of what it lacks.
    fn list(&self, answered: Answered) -> Response {
        let headers: HeaderMap = [CONTENT_TYPE, CONTENT_DISPOSITION]
            .into_iter()
            .filter_map(|name: HeaderName| {
                let value = HeaderValue::try_from(answered.header(name.as_str())?).ok()?;
                Some((name, value))
            })
            .collect();
        let body = match self.for_people.and_then(|complete| complete(&answered.body)) {
            Some((lacks, body)) => {
                told(lacks);
                body
            }
            None => answered.body,
        };
        (headers, body).into_response()
    }
}

/// How long the upstream may take: until shortly before Lambda ends the invocation.
fn patience(request: &Request) -> Duration {
    let Some(context) = lambda_http::RequestExt::lambda_context_ref(request) else { return PATIENCE };
    let deadline = SystemTime::UNIX_EPOCH + Duration::from_millis(context.deadline);
    deadline.duration_since(SystemTime::now()).unwrap_or_default().saturating_sub(MARGIN)
}

/// The values of a field that are text. Those that are not were refused, or are nobody's.
fn all<'a>(fields: &'a HeaderMap, name: &str) -> impl Iterator<Item = String> + 'a {
    fields.get_all(name).iter().filter_map(|value| value.to_str().ok().map(str::to_owned))
}

fn media_type(field: &str) -> String {
    field.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_link(to: &str) -> bool {
    to.parse::<http::Uri>()
        .is_ok_and(|uri| matches!(uri.scheme_str(), Some("https" | "http")) && uri.authority().is_some())
}

/// Names what was not given, once an answer, without values.
fn told<'a>(names: impl IntoIterator<Item = &'a str>) {
    let names: Vec<_> = names.into_iter().collect();
    if !names.is_empty() {
        tracing::warn!(fields = names.join(" "), "verification.unavailable");
    }
}

/// The upstream's refusal as one of ours: what a client did wrong keeps its meaning, what the upstream did wrong is told apart.
fn refused(answered: &Answered) -> Result<Response, Broken> {
    let fitting = |slug: &str| {
        Kind::ALL.iter().copied().find(|k| k.slug() == slug && k.status().as_u16() == answered.status)
    };
    let document: Value = serde_json::from_slice(&answered.body).unwrap_or_default();
    let slug = document["type"].as_str().map(|uri| uri.rsplit(['/', '#']).next().unwrap_or_default());
    let fallback = match answered.status {
        400 => Kind::InvalidBody,
        401 => Kind::Unauthenticated,
        403 => Kind::Forbidden,
        404 => Kind::NotFound,
        409 => Kind::WrongState,
        410 => Kind::Gone,
        413 => Kind::BodyTooLarge,
        415 => Kind::UnsupportedMediaType,
        // Credits are the upstream's business: nobody is told to pay here.
        402 | 422 => Kind::UpstreamRefused,
        429 => Kind::QuotaExceeded,
        status => {
            let problem = Problem(Broken::Status(status).into());
            return Ok(retried(problem.into_response(), answered));
        }
    };
    let known = slug.and_then(fitting).filter(|k| *k != Kind::InsufficientCredits);
    let mut problem = Cause::new(known.unwrap_or(fallback));
    problem.detail = text(&document["detail"]);
    if known.is_none() && problem.detail.is_none() {
        problem.detail = Some(format!("The verification API answers {}.", answered.status));
    }
    if let Some(faults) = document["errors"].as_array() {
        let fault = |f: &Value| Some(Fault { pointer: text(&f["pointer"])?, detail: text(&f["detail"])? });
        problem.faults = faults.iter().filter_map(fault).take(100).collect();
    }
    for name in ["state", "limit", "reason"] {
        match &document[name] {
            Value::Number(number) => problem = problem.with(name, number.clone()),
            value => {
                problem = text(value).into_iter().fold(problem, |problem, value| problem.with(name, value))
            }
        }
    }
    Ok(retried(Problem(problem).into_response(), answered))
}

/// A text of the upstream's that is fit to be shown.
fn text(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    (text.len() <= TEXT && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

/// The answer with the upstream's `Retry-After`.
fn retried(mut response: Response, answered: &Answered) -> Response {
    if matches!(response.status().as_u16(), 429 | 503)
        && let Some(after) = answered.retry_after()
    {
        response.headers_mut().insert(RETRY_AFTER, after.as_secs().into());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(environment: &str, url: &str) -> Result<Option<String>, SettingError> {
        let pairs = [("ENVIRONMENT", environment), ("VERIFICATION_API_URL", url)];
        let settings = Settings::from_values(pairs.map(|(n, v)| (n.to_owned(), v.to_owned()))).unwrap();
        base(&settings, "VERIFICATION_API_URL")
    }

    #[test]
    fn an_address_is_https_and_nothing_but_an_address() {
        assert_eq!(address("prod", ""), Ok(None));
        assert_eq!(address("prod", "https://api.example/x/"), Ok(Some("https://api.example/x".to_owned())));
        assert_eq!(address("dev", "http://127.0.0.1:80"), Ok(Some("http://127.0.0.1:80".to_owned())));
        for wrong in [
            "http://api.example",
            "api.example",
            "/v1",
            "ftp://api.example",
            "https://a:b@api.example",
            "https://api.example?x=1",
            "https://api.example#x",
            "not a url",
        ] {
            let said = address("prod", wrong).unwrap_err().to_string();
            assert!(said.contains("VERIFICATION_API_URL") && !said.contains(wrong), "{wrong}: {said}");
        }
    }
}
