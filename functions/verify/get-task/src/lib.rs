//! `GET /v1/verification/tasks/{id}`: one task (V4).

use account::CanRead;
use verify::{Task, TaskId, Tasks};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Tasks> {
    web::endpoint!(get_task, verify::UPSTREAM)
}

/// One task, with counts by verification and job status.
#[utoipa::path(get, path = "/v1/verification/tasks/{id}", tag = "verification", operation_id = "getTask",
    params(("id" = TaskId, Path, description = "The task.")),
    responses((status = 200, description = "The task.", body = Task)))]
async fn get_task(
    State(tasks): State<Tasks>,
    caller: Caller<CanRead>,
    Path(id): Path<TaskId>,
) -> Result<Json<Task>, Problem> {
    Ok(Json(tasks.task(caller.workspace(), id).await?))
}
