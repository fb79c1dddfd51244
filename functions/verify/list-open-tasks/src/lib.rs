//! `GET /v1/admin/verification/tasks`: what is under way, for support (V17).

use verify::{Task, Tasks};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Tasks> {
    web::endpoint!(list_open_tasks, verify::UPSTREAM)
}

/// Lists the open tasks of every workspace, the one that is looked at next first.
#[utoipa::path(get, path = "/v1/admin/verification/tasks", tag = "support", operation_id = "listOpenTasks", params(PageQuery),
    responses((status = 200, description = "A page of tasks.", body = Page<Task>)))]
async fn list_open_tasks(
    State(tasks): State<Tasks>,
    admin: Admin,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Task>>, Problem> {
    let page = admin.page(&query, "open tasks")?;
    Ok(Json(admin.paged(tasks.open(&page).await?, "open tasks")))
}
