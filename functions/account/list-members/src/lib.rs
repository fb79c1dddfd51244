//! `GET /v1/workspaces/{id}/members`: who belongs to a workspace (P8).

use account::{Account, CanSeeWorkspaces, Member};
use piecework_core::WorkspaceId;
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Account> {
    web::endpoint!(list_members)
}

/// Lists the members of a workspace.
#[utoipa::path(get, path = "/v1/workspaces/{id}/members", tag = "workspaces", operation_id = "listMembers",
    params(("id" = WorkspaceId, Path, description = "The workspace."), PageQuery),
    responses((status = 200, description = "A page of members.", body = Page<Member>)))]
async fn list_members(
    State(account): State<Account>,
    caller: Caller<CanSeeWorkspaces>,
    Path(id): Path<WorkspaceId>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Member>>, Problem> {
    let filter = format!("members of {id}");
    let page = caller.page(&query, &filter)?;
    Ok(Json(caller.paged(account.members(caller.principal().user, id, &page).await?, &filter)))
}
