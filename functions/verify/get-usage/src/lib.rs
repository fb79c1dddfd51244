//! `GET /v1/usage`: totals and a series by status (V10).

use account::CanRead;
use verify::{Tasks, Usage, UsageQuery};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Tasks> {
    web::endpoint!(get_usage, verify::UPSTREAM)
}

/// Totals and a series by status, by day or by hour.
#[utoipa::path(get, path = "/v1/usage", tag = "usage", operation_id = "getUsage", params(UsageQuery),
    responses((status = 200, description = "What was verified.", body = Usage)))]
async fn get_usage(
    State(tasks): State<Tasks>,
    caller: Caller<CanRead>,
    Query(query): Query<UsageQuery>,
) -> Result<Json<Usage>, Problem> {
    Ok(Json(tasks.usage(caller.workspace(), &query).await?))
}
