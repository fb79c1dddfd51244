//! `GET /v1/verification/uploads/latest`: the newest uploaded list (V8).

use account::CanRead;
use axum::response::{IntoResponse as _, Response};
use piecework_core::PageRequest;
use verify::{Task, Tasks};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Tasks> {
    web::endpoint!(get_latest_upload, verify::UPSTREAM)
}

/// The task of the newest uploaded file.
#[utoipa::path(get, path = "/v1/verification/uploads/latest", tag = "verification", operation_id = "getLatestUpload",
    responses(
        (status = 200, description = "The task.", body = Task),
        (status = 204, description = "Nothing was uploaded yet.")))]
async fn get_latest_upload(State(tasks): State<Tasks>, caller: Caller<CanRead>) -> Result<Response, Problem> {
    let newest = tasks.uploads(caller.workspace(), &PageRequest { limit: 1, start: None }).await?;
    Ok(match newest.items.into_iter().next() {
        Some(task) => Json(task).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}
