//! The HTTP side of a function: who may call, what it takes, how it answers, and the Lambda it runs in.
//!
//! A function crate has one handler and `web::endpoint!(handler)`; its `main` is `web::run(that)`. The handler's first arguments
//! are its state and an [`Access`] type ([`Caller`], [`Admin`], [`Webhook`] or [`Public`]): without one it does not compile.

mod access;
mod contract;
mod document;
mod endpoint;
mod extract;
mod limit;
mod respond;
mod run;
mod upstream;

pub use access::{Access, Admin, Caller, Guarded, Public, Webhook};
pub use document::{ProblemDocument, fragment};
pub use endpoint::Endpoint;
pub use extract::{Cookies, IdempotencyKey, Json, Path, Query};
pub use limit::Class;
pub use respond::{Answer, Created, Landing, Problem, WithCookies};
pub use run::{prepare, run};
pub use upstream::ForPeople;

pub use axum::extract::State;
pub use http::StatusCode;

#[doc(hidden)]
pub mod __private {
    pub use pastey;
}

/// What almost every function crate names.
pub mod prelude {
    pub use crate::{
        Admin, Answer, Caller, Cookies, Created, Endpoint, IdempotencyKey, Json, Landing, Path, Problem,
        ProblemDocument, Public, Query, State, StatusCode, Webhook, WithCookies,
    };
    pub use piecework_core::{Feature, Page, PageQuery};
}

#[doc(hidden)]
pub use utoipa as __utoipa;
