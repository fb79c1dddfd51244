//! `GET /v1/workspaces`: the workspaces that the caller belongs to (P8).

use account::{Account, CanSeeWorkspaces, Workspace};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Account> {
    web::endpoint!(list_workspaces)
}

/// Lists the workspaces that the key's user belongs to, oldest first.
#[utoipa::path(get, path = "/v1/workspaces", tag = "workspaces", operation_id = "listWorkspaces",
    params(PageQuery),
    responses((status = 200, description = "A page of workspaces.", body = Page<Workspace>)))]
async fn list_workspaces(
    State(account): State<Account>,
    caller: Caller<CanSeeWorkspaces>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Workspace>>, Problem> {
    let user = caller.principal().user;
    let filter = format!("workspaces of {user}");
    let page = caller.page(&query, &filter)?;
    Ok(Json(caller.paged(account.workspaces(user, &page).await?, &filter)))
}
