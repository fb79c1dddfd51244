//! `DELETE /v1/workspaces/{id}/invitations/{invitation}`: an invitation is taken back (P8).

use account::{CanInvite, InvitationId, Invitations};
use piecework_core::WorkspaceId;
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Invitations> {
    web::endpoint!(revoke_invitation)
}

/// Takes an invitation back. Owners only. Taking it back again changes nothing.
#[utoipa::path(delete, path = "/v1/workspaces/{id}/invitations/{invitation}", tag = "workspaces", operation_id = "revokeInvitation",
    params(("id" = WorkspaceId, Path, description = "The workspace."), ("invitation" = InvitationId, Path, description = "The invitation.")),
    responses((status = 204, description = "It is good for nothing any more.")))]
async fn revoke_invitation(
    State(invitations): State<Invitations>,
    caller: Caller<CanInvite>,
    Path((id, invitation)): Path<(WorkspaceId, InvitationId)>,
) -> Result<StatusCode, Problem> {
    invitations.revoke(caller.principal().user, id, invitation).await?;
    Ok(StatusCode::NO_CONTENT)
}
