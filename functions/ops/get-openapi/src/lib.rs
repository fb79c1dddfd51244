//! `GET /openapi.json`: the API description (P15).

use axum::response::{IntoResponse as _, Response};
use web::prelude::*;

/// This function's endpoint, under both names.
pub fn endpoint() -> Endpoint<()> {
    web::endpoint!(get_openapi).and(web::endpoint!(get_versioned_openapi))
}

/// This description, OpenAPI 3.1.
#[utoipa::path(get, path = "/openapi.json", tag = "operations", operation_id = "getOpenapi",
    responses((status = 200, description = "The description.", body = Object)))]
async fn get_openapi(State(()): State<()>, _: Public) -> Response {
    let headers = [("content-type", "application/json"), ("cache-control", "public, max-age=300")];
    (headers, ops::OPENAPI).into_response()
}

/// This description, under the version's prefix.
#[utoipa::path(get, path = "/v1/openapi.json", tag = "operations", operation_id = "getVersionedOpenapi",
    responses((status = 200, description = "The description.", body = Object)))]
async fn get_versioned_openapi(state: State<()>, public: Public) -> Response {
    get_openapi(state, public).await
}
