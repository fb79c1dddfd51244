//! `PATCH /v1/workspaces/{id}/members/{user}`: another role for a member (P8).

use account::{Account, CanManageMembers, NewRole};
use piecework_core::{UserId, WorkspaceId};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Account> {
    web::endpoint!(change_role)
}

/// Gives a member a role. Owners only.
///
/// The last owner stays one. Who is made a member loses the keys that only an owner can have.
#[utoipa::path(patch, path = "/v1/workspaces/{id}/members/{user}", tag = "workspaces", operation_id = "changeRole", request_body = NewRole,
    params(("id" = WorkspaceId, Path, description = "The workspace."), ("user" = UserId, Path, description = "The member.")),
    responses((status = 204, description = "They have the role.")))]
async fn change_role(
    State(account): State<Account>,
    caller: Caller<CanManageMembers>,
    Path((id, user)): Path<(WorkspaceId, UserId)>,
    Json(new): Json<NewRole>,
) -> Result<StatusCode, Problem> {
    account.change_role(caller.principal().user, id, user, new.role).await?;
    Ok(StatusCode::NO_CONTENT)
}
