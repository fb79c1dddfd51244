//! `POST /v1/verification/tasks/{id}/cancel`: stops a task and gives back what it has not used (V4).

use account::CanVerify;
use verify::{Task, TaskId, Verify};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Verify> {
    web::endpoint!(cancel_task, verify::UPSTREAM)
}

/// Stops a task.
///
/// Addresses being verified end and are charged; no other begins, and their credits come back. Cancelling again changes nothing.
#[utoipa::path(post, path = "/v1/verification/tasks/{id}/cancel", tag = "verification", operation_id = "cancelTask",
    params(("id" = TaskId, Path, description = "The task.")),
    responses((status = 200, description = "The task, cancelled or about to be.", body = Task)))]
async fn cancel_task(
    State(verify): State<Verify>,
    caller: Caller<CanVerify>,
    Path(id): Path<TaskId>,
) -> Result<Json<Task>, Problem> {
    Ok(Json(verify.cancel(caller.workspace(), id, caller.principal().user).await?))
}
