//! `POST /v1/verification/tasks`: a pasted list becomes a task (V2).

use account::CanVerify;
use verify::{NewTask, Task, Verify};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Verify> {
    web::endpoint!(create_task, verify::UPSTREAM).strict()
}

/// Makes a task of a pasted list.
///
/// One credit for each different address is held, and what is not charged comes back when the task ends. A list that the
/// balance does not cover is refused with what it would cost.
#[utoipa::path(post, path = "/v1/verification/tasks", tag = "verification", operation_id = "createTask", request_body = NewTask,
    params(("idempotency-key" = inline(Option<String>), Header, nullable = false, description = "Makes a repeat safe for 24 hours.")),
    responses((status = 202, description = "The task, queued.", body = Task, headers(("location" = String)))))]
async fn create_task(
    State(verify): State<Verify>,
    caller: Caller<CanVerify>,
    key: IdempotencyKey,
    Json(list): Json<NewTask>,
) -> Result<Answer, Problem> {
    let actor = caller.principal().user;
    Ok(verify.create_task(caller.workspace(), actor, list, key.0.as_ref()).await?.into())
}
