//! How handlers answer: problems, created things, kept replies.

use axum::response::{IntoResponse, Response};
use http::{
    HeaderValue, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, LOCATION, SET_COOKIE},
};
use piecework_core::{Problem as Cause, idempotency::Reply};
use serde::Serialize;

/// The error of every handler. Any area's error becomes one by `?`.
#[derive(Debug)]
pub struct Problem(pub Cause);

impl<E: Into<Cause>> From<E> for Problem {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

/// The id under which this request is in the log; put into every problem.
#[derive(Clone)]
pub(crate) struct RequestId(pub String);

tokio::task_local! {
    pub(crate) static REQUEST_ID: RequestId;
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self(problem) = self;
        if let Some(cause) = &problem.cause {
            let mut chain = cause.to_string();
            let mut next = cause.source();
            while let Some(error) = next {
                chain = format!("{chain}: {error}");
                next = error.source();
            }
            tracing::error!(kind = problem.kind.slug(), cause = chain, "problem");
        } else {
            tracing::info!(kind = problem.kind.slug(), "problem");
        }
        let id = REQUEST_ID.try_with(|id| id.0.clone()).ok();
        let body = problem.document(id.as_deref()).to_string();
        let mut response = (problem.kind.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(allow) =
            problem.extensions.get("allow").and_then(|v| v.as_str()).and_then(|v| v.parse().ok())
        {
            headers.insert(ALLOW, allow);
        }
        if problem.kind == piecework_core::Kind::Unauthenticated {
            headers.insert(
                http::header::WWW_AUTHENTICATE,
                HeaderValue::from_static("ApiKey header=\"X-API-Key\", Bearer"),
            );
        }
        response
    }
}

impl<T: Serialize> IntoResponse for crate::Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// 201 with the new thing and where it is.
pub struct Created<T>(pub String, pub T);

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, [(LOCATION, self.0)], axum::Json(self.1)).into_response()
    }
}

/// An answer that is kept under an idempotency key: a repeat gets the very same one.
pub struct Answer(pub Reply);

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self(reply)
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, self.0.body).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(location) = self.0.location.and_then(|l| l.parse().ok()) {
            response.headers_mut().insert(LOCATION, location);
        }
        response
    }
}

/// Where a browser goes after this.
#[derive(Debug)]
pub enum Landing<T> {
    /// Elsewhere: 303.
    There(String),
    /// Nowhere: 200 with this.
    Here(T),
}

impl<T: Serialize> IntoResponse for Landing<T> {
    fn into_response(self) -> Response {
        match self {
            Self::There(to) => (StatusCode::SEE_OTHER, [(LOCATION, to)]).into_response(),
            Self::Here(body) => axum::Json(body).into_response(),
        }
    }
}

/// An answer with cookies: the values of `Set-Cookie` fields.
#[derive(Debug)]
pub struct WithCookies<T>(pub T, pub Vec<String>);

impl<T: IntoResponse> IntoResponse for WithCookies<T> {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        for cookie in self.1 {
            match cookie.parse() {
                Ok(cookie) => drop(response.headers_mut().append(SET_COOKIE, cookie)),
                // Ours are plain text.
                Err(_) => tracing::error!("a cookie that is no header field"),
            }
        }
        response
    }
}
