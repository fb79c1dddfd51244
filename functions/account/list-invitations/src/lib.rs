//! `GET /v1/workspaces/{id}/invitations`: who is invited (P8).

use account::{CanInvite, Invitation, Invitations};
use piecework_core::WorkspaceId;
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Invitations> {
    web::endpoint!(list_invitations)
}

/// Lists the invitations into a workspace, newest first, without their tokens. Owners only.
///
/// Those that are over are listed for 30 days.
#[utoipa::path(get, path = "/v1/workspaces/{id}/invitations", tag = "workspaces", operation_id = "listInvitations",
    params(("id" = WorkspaceId, Path, description = "The workspace."), PageQuery),
    responses((status = 200, description = "A page of invitations.", body = Page<Invitation>)))]
async fn list_invitations(
    State(invitations): State<Invitations>,
    caller: Caller<CanInvite>,
    Path(id): Path<WorkspaceId>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Invitation>>, Problem> {
    let filter = format!("invitations of {id}");
    let page = caller.page(&query, &filter)?;
    Ok(Json(caller.paged(invitations.list(caller.principal().user, id, &page).await?, &filter)))
}
