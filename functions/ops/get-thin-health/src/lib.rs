//! `GET /v1/thin/health`: whether the prototype's slice is there (S9).

use ops::{ThinHealth, ThinReport};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<ThinHealth> {
    web::endpoint!(get_thin_health).behind(Feature::ThinSlice)
}

/// Says that the prototype's slice is switched on, and which version runs.
#[utoipa::path(get, path = "/v1/thin/health", tag = "operations", operation_id = "getThinHealth",
    responses((status = 200, description = "It is there.", body = ThinReport)))]
async fn get_thin_health(State(health): State<ThinHealth>, _: Public) -> Result<Json<ThinReport>, Problem> {
    Ok(Json(health.report()))
}
