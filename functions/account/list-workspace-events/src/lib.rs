//! `GET /v1/workspaces/{id}/events`: what happened to a workspace (P9).

use account::{Account, CanSeeWorkspaces};
use piecework_core::{DomainEvent, WorkspaceId};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Account> {
    web::endpoint!(list_workspace_events)
}

/// Lists what happened to a workspace and its members, oldest first.
#[utoipa::path(get, path = "/v1/workspaces/{id}/events", tag = "workspaces", operation_id = "listWorkspaceEvents",
    params(("id" = WorkspaceId, Path, description = "The workspace."), PageQuery),
    responses((status = 200, description = "A page of events.", body = Page<DomainEvent>)))]
async fn list_workspace_events(
    State(account): State<Account>,
    caller: Caller<CanSeeWorkspaces>,
    Path(id): Path<WorkspaceId>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<DomainEvent>>, Problem> {
    let filter = format!("events of {id}");
    let page = caller.page(&query, &filter)?;
    Ok(Json(caller.paged(account.workspace_events(caller.principal().user, id, &page).await?, &filter)))
}
