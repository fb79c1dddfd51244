//! `POST /v1/workspaces/{id}/transfer`: the ownership goes to another member (P8).

use account::{Account, CanManageMembers, Transfer};
use piecework_core::WorkspaceId;
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Account> {
    web::endpoint!(transfer_ownership)
}

/// Hands the ownership over: the other member becomes an owner, and the caller a member.
#[utoipa::path(post, path = "/v1/workspaces/{id}/transfer", tag = "workspaces", operation_id = "transferOwnership", request_body = Transfer,
    params(("id" = WorkspaceId, Path, description = "The workspace.")),
    responses((status = 204, description = "They own it.")))]
async fn transfer_ownership(
    State(account): State<Account>,
    caller: Caller<CanManageMembers>,
    Path(id): Path<WorkspaceId>,
    Json(transfer): Json<Transfer>,
) -> Result<StatusCode, Problem> {
    account.transfer_ownership(caller.principal().user, id, transfer.to).await?;
    Ok(StatusCode::NO_CONTENT)
}
