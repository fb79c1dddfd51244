//! `GET /v1/verification/tasks/{id}/jobs`: every address with its details (V5).

use account::CanRead;
use verify::{Job, Results, TaskId};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Results> {
    web::endpoint!(list_jobs, verify::UPSTREAM)
}

/// Lists a task's rows in their order, each with what was found out.
///
/// A page can be shorter than its limit while there is a next one.
#[utoipa::path(get, path = "/v1/verification/tasks/{id}/jobs", tag = "verification", operation_id = "listJobs",
    params(("id" = TaskId, Path, description = "The task."), PageQuery),
    responses((status = 200, description = "A page of rows.", body = Page<Job>)))]
async fn list_jobs(
    State(results): State<Results>,
    caller: Caller<CanRead>,
    Path(id): Path<TaskId>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Job>>, Problem> {
    let filter = format!("jobs of {id}");
    let page = caller.page(&query, &filter)?;
    Ok(Json(caller.paged(results.jobs(caller.workspace(), id, &page).await?, &filter)))
}
