//! `GET /v1/verification/tasks/{id}/events`: a task's timeline (P9).

use account::CanRead;
use verify::{TaskEvent, TaskId, Tasks};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Tasks> {
    web::endpoint!(list_events, verify::UPSTREAM)
}

/// Lists what happened to a task, oldest first.
#[utoipa::path(get, path = "/v1/verification/tasks/{id}/events", tag = "verification", operation_id = "listTaskEvents",
    params(("id" = TaskId, Path, description = "The task."), PageQuery),
    responses((status = 200, description = "A page of events.", body = Page<TaskEvent>)))]
async fn list_events(
    State(tasks): State<Tasks>,
    caller: Caller<CanRead>,
    Path(id): Path<TaskId>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<TaskEvent>>, Problem> {
    let filter = format!("events of {id}");
    let page = caller.page(&query, &filter)?;
    Ok(Json(caller.paged(tasks.events(caller.workspace(), id, &page).await?, &filter)))
}
