//! `DELETE /v1/workspaces/{id}`: the end of a workspace (P8).

use account::{Account, CanDeleteWorkspace};
use piecework_core::WorkspaceId;
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Account> {
    web::endpoint!(delete_workspace)
}

/// Deletes a workspace. Owners only.
///
/// Nobody finds it any more and none of its keys works when this is answered. A personal workspace goes with its user only.
#[utoipa::path(delete, path = "/v1/workspaces/{id}", tag = "workspaces", operation_id = "deleteWorkspace",
    params(("id" = WorkspaceId, Path, description = "The workspace.")),
    responses((status = 204, description = "It is deleted.")))]
async fn delete_workspace(
    State(account): State<Account>,
    caller: Caller<CanDeleteWorkspace>,
    Path(id): Path<WorkspaceId>,
) -> Result<StatusCode, Problem> {
    account.delete_workspace(caller.principal().user, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
