//! `POST /v1/workspaces`: a workspace of the caller's (P8).

use account::{Account, CanSeeWorkspaces, NewWorkspace, Workspace};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Account> {
    web::endpoint!(create_workspace)
}

/// Makes a workspace, owned by the caller.
#[utoipa::path(post, path = "/v1/workspaces", tag = "workspaces", operation_id = "createWorkspace", request_body = NewWorkspace,
    params(("idempotency-key" = inline(Option<String>), Header, nullable = false, description = "Makes a repeat safe for 24 hours.")),
    responses((status = 201, description = "The workspace.", body = Workspace, headers(("location" = String)))))]
async fn create_workspace(
    State(account): State<Account>,
    caller: Caller<CanSeeWorkspaces>,
    key: IdempotencyKey,
    Json(new): Json<NewWorkspace>,
) -> Result<Answer, Problem> {
    Ok(account.create_workspace(caller.principal().user, new, key.0.as_ref()).await?.into())
}
