//! `PATCH /v1/workspaces/{id}`: another name for a workspace (P8).

use account::{Account, CanRenameWorkspace, NewWorkspace, Workspace};
use piecework_core::WorkspaceId;
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Account> {
    web::endpoint!(rename_workspace)
}

/// Renames a workspace. Owners only.
#[utoipa::path(patch, path = "/v1/workspaces/{id}", tag = "workspaces", operation_id = "renameWorkspace", request_body = NewWorkspace,
    params(("id" = WorkspaceId, Path, description = "The workspace.")),
    responses((status = 200, description = "The workspace.", body = Workspace)))]
async fn rename_workspace(
    State(account): State<Account>,
    caller: Caller<CanRenameWorkspace>,
    Path(id): Path<WorkspaceId>,
    Json(new): Json<NewWorkspace>,
) -> Result<Json<Workspace>, Problem> {
    Ok(Json(account.rename_workspace(caller.principal().user, id, new).await?))
}
