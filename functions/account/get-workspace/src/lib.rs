//! `GET /v1/workspaces/{id}`: a workspace that the caller belongs to (P8).

use account::{Account, CanSeeWorkspaces, Workspace};
use piecework_core::WorkspaceId;
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Account> {
    web::endpoint!(get_workspace)
}

/// Shows a workspace that the caller belongs to.
#[utoipa::path(get, path = "/v1/workspaces/{id}", tag = "workspaces", operation_id = "getWorkspace",
    params(("id" = WorkspaceId, Path, description = "The workspace.")),
    responses((status = 200, description = "The workspace.", body = Workspace)))]
async fn get_workspace(
    State(account): State<Account>,
    caller: Caller<CanSeeWorkspaces>,
    Path(id): Path<WorkspaceId>,
) -> Result<Json<Workspace>, Problem> {
    Ok(Json(account.workspace(caller.principal().user, id).await?))
}
