//! `DELETE /v1/workspaces/{id}/members/{user}`: a member is removed, or leaves (P8).

use account::{Account, CanSeeWorkspaces};
use piecework_core::{UserId, WorkspaceId};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Account> {
    web::endpoint!(remove_member)
}

/// Removes a member, which only an owner may, or leaves, which everybody may but the last owner.
///
/// Their keys for the workspace end with it.
#[utoipa::path(delete, path = "/v1/workspaces/{id}/members/{user}", tag = "workspaces", operation_id = "removeMember",
    params(("id" = WorkspaceId, Path, description = "The workspace."), ("user" = UserId, Path, description = "The member.")),
    responses((status = 204, description = "They are no member any more.")))]
async fn remove_member(
    State(account): State<Account>,
    caller: Caller<CanSeeWorkspaces>,
    Path((id, user)): Path<(WorkspaceId, UserId)>,
) -> Result<StatusCode, Problem> {
    account.remove_member(caller.principal().user, id, user).await?;
    Ok(StatusCode::NO_CONTENT)
}
