//! `GET /docs`: the API reference as a page (P15).

use axum::response::{IntoResponse as _, Response};
use ops::Docs;
use piecework_core::{Kind, Problem as Cause};
use web::prelude::*;

/// This function's endpoint, under both names.
pub fn endpoint() -> Endpoint<Docs> {
    web::endpoint!(get_docs).and(web::endpoint!(get_versioned_docs))
}

/// The API reference as a page. Absent in production unless switched on.
#[utoipa::path(get, path = "/docs", tag = "operations", operation_id = "getDocs",
    responses((status = 200, description = "The page.", body = String, content_type = "text/html")))]
async fn get_docs(State(docs): State<Docs>, _: Public) -> Result<Response, Problem> {
    if !docs.on {
        return Err(Cause::new(Kind::NotFound).into());
    }
    let headers = [("content-type", "text/html; charset=utf-8"), ("content-security-policy", Docs::POLICY)];
    Ok((headers, Docs::PAGE).into_response())
}

/// The API reference as a page, under the version's prefix.
#[utoipa::path(get, path = "/v1/docs", tag = "operations", operation_id = "getVersionedDocs",
    responses((status = 200, description = "The page.", body = String, content_type = "text/html")))]
async fn get_versioned_docs(state: State<Docs>, public: Public) -> Result<Response, Problem> {
    get_docs(state, public).await
}
