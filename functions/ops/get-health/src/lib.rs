//! `GET /v1/health`: what is running and what is waiting (P16).

use ops::{Health, HealthReport};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Health> {
    web::endpoint!(get_health)
}

/// Version, environment, and the number of messages in each queue.
#[utoipa::path(get, path = "/v1/health", tag = "operations", operation_id = "getHealth",
    responses((status = 200, description = "The state of the system.", body = HealthReport)))]
async fn get_health(State(health): State<Health>, _: Public) -> Result<Json<HealthReport>, Problem> {
    Ok(Json(health.report().await?))
}
