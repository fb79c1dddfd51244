//! `GET /v1/verification/uploads`: uploaded lists, newest first (V8).

use account::CanRead;
use axum::response::{IntoResponse as _, Response};
use verify::{Task, Tasks};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Tasks> {
    web::endpoint!(list_uploads, verify::UPSTREAM)
}

/// Lists the tasks of uploaded files, newest first.
#[utoipa::path(get, path = "/v1/verification/uploads", tag = "verification", operation_id = "listUploads", params(PageQuery),
    responses(
        (status = 200, description = "A page of tasks.", body = Page<Task>),
        (status = 204, description = "Nothing was uploaded yet.")))]
async fn list_uploads(
    State(tasks): State<Tasks>,
    caller: Caller<CanRead>,
    Query(query): Query<PageQuery>,
) -> Result<Response, Problem> {
    let page = caller.page(&query, "uploads")?;
    let found = caller.paged(tasks.uploads(caller.workspace(), &page).await?, "uploads");
    if found.data.is_empty() && page.start.is_none() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok(Json(found).into_response())
}
