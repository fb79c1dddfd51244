//! `POST /v1/invitations/accept`: the invited person comes in (P8).

use account::{Acceptance, CanSeeWorkspaces, Invitations, Workspace};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Invitations> {
    web::endpoint!(accept_invitation)
}

/// Redeems an invitation: the key's user becomes a member.
///
/// Their verified address must be the invited one, and whoever invited them must still be allowed to.
#[utoipa::path(post, path = "/v1/invitations/accept", tag = "workspaces", operation_id = "acceptInvitation", request_body = Acceptance,
    responses((status = 200, description = "The workspace.", body = Workspace)))]
async fn accept_invitation(
    State(invitations): State<Invitations>,
    caller: Caller<CanSeeWorkspaces>,
    Json(acceptance): Json<Acceptance>,
) -> Result<Json<Workspace>, Problem> {
    Ok(Json(invitations.accept(caller.principal().user, &acceptance.token).await?))
}
