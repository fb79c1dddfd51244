//! `POST /v1/workspaces/{id}/invitations`: somebody is invited by their address (P8).

use account::{CanInvite, CreatedInvitation, Invitations, NewInvitation};
use piecework_core::WorkspaceId;
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Invitations> {
    web::endpoint!(create_invitation)
}

/// Invites an address into a workspace. Owners only.
///
/// The token is for the inviter to pass on. It is good for seven days, once, and only for whoever has the address, verified.
#[utoipa::path(post, path = "/v1/workspaces/{id}/invitations", tag = "workspaces", operation_id = "createInvitation", request_body = NewInvitation,
    params(("id" = WorkspaceId, Path, description = "The workspace."), ("idempotency-key" = inline(Option<String>), Header, nullable = false, description = "Makes a repeat safe for 24 hours.")),
    responses((status = 201, description = "The invitation.", body = CreatedInvitation, headers(("location" = String)))))]
async fn create_invitation(
    State(invitations): State<Invitations>,
    caller: Caller<CanInvite>,
    Path(id): Path<WorkspaceId>,
    key: IdempotencyKey,
    Json(new): Json<NewInvitation>,
) -> Result<Answer, Problem> {
    Ok(invitations.create(caller.principal().user, id, new, key.0.as_ref()).await?.into())
}
