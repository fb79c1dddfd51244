//! `GET /v1/verification/tasks`: tasks, newest first (V3).

use account::{CanRead, Scope};
use piecework_core::{Kind, Problem as Cause, WorkspaceId};
use serde::Deserialize;
use verify::{Task, Tasks};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Tasks> {
    web::endpoint!(list_tasks, verify::UPSTREAM)
}

/// As [`PageQuery`], which serde cannot flatten and refuse unknown names at once.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Rows a page; 50 unless given, 200 at most.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next_cursor` of the page before. Good for 24 hours, for the same caller and filter.
    cursor: Option<String>,
    /// Another workspace; for keys with the scope `admin`.
    workspace: Option<WorkspaceId>,
}

/// Lists tasks, newest first, with counts by verification and job status.
#[utoipa::path(get, path = "/v1/verification/tasks", tag = "verification", operation_id = "listTasks", params(Filter),
    responses((status = 200, description = "A page of tasks.", body = Page<Task>)))]
async fn list_tasks(
    State(tasks): State<Tasks>,
    caller: Caller<CanRead>,
    Query(filter): Query<Filter>,
) -> Result<Json<Page<Task>>, Problem> {
    let workspace = filter.workspace.unwrap_or(caller.workspace());
    if workspace != caller.workspace() && !caller.principal().may(Scope::Admin) {
        return Err(Cause::new(Kind::Forbidden)
            .detail("Another workspace's tasks need a key with the scope \"admin\".")
            .into());
    }
    let query = PageQuery { limit: filter.limit, cursor: filter.cursor };
    let filter = format!("tasks of {workspace}");
    let page = caller.page(&query, &filter)?;
    Ok(Json(caller.paged(tasks.list(workspace, &page).await?, &filter)))
}
