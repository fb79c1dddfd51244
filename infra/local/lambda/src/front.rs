//! The HTTP front: API Gateway v2 HTTP API, payload format 2.0.

use crate::{Error, Lambda};
use std::time::Duration;
use tokio::net::TcpListener;

/// A route of the API and the function behind it.
#[derive(Clone, Debug)]
pub struct Route {
    /// `GET`, `POST`, … or `ANY`. Not used with `$default`.
    pub method: String,
    /// `/v1/tasks/{id}`, greedy `/files/{proxy+}`, or `$default`.
    pub path: String,
    /// Function name.
    pub function: String,
    /// Integration timeout; 30 s at most.
    pub timeout: Duration,
}

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

/// Settings of the front.
#[derive(Clone, Debug)]
pub struct FrontOptions {
    /// Every route.
    pub routes: Vec<Route>,
    /// CORS, if configured.
    pub cors: Option<Cors>,
    /// API id in events.
    pub api_id: String,
    /// Stage name, normally `$default`.
    pub stage: String,
    /// Account number in events.
    pub account_id: String,
}

/// A running front.
pub struct Front;

impl Front {
    /// Serves the routes on `listener`.
    pub async fn start(
        _listener: TcpListener,
        _lambda: Lambda,
        _options: FrontOptions,
    ) -> Result<Self, Error> {
        Ok(Self)
    }
    /// `http://host:port`.
    pub fn base_url(&self) -> String {
        String::new()
    }
    /// Stops accepting, lets running requests end, closes.
    pub async fn shutdown(self) {}
}
