//! `GET /v1/overview`: usage, recent tasks and credits in one answer (V9).

use account::CanRead;
use verify::{Overview, Overviews};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Overviews> {
    web::endpoint!(get_overview, verify::UPSTREAM)
}

/// Usage of the last thirty days, the newest tasks, and credits.
#[utoipa::path(get, path = "/v1/overview", tag = "usage", operation_id = "getOverview",
    responses((status = 200, description = "The overview.", body = Overview)))]
async fn get_overview(
    State(overviews): State<Overviews>,
    caller: Caller<CanRead>,
) -> Result<Json<Overview>, Problem> {
    Ok(Json(overviews.of(caller.workspace()).await?))
}
