//! `GET /v1/account/credits`: balance, grants and the low-credit flag (V11).

use account::CanReadCredits;
use billing::{Billing, Credits};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Billing> {
    web::endpoint!(get_credits)
}

/// Balance, grants and the low-credit flag.
#[utoipa::path(get, path = "/v1/account/credits", tag = "credits", operation_id = "getCredits",
    responses((status = 200, description = "The workspace's credits.", body = Credits)))]
async fn get_credits(
    State(billing): State<Billing>,
    caller: Caller<CanReadCredits>,
) -> Result<Json<Credits>, Problem> {
    Ok(Json(billing.credits(caller.workspace()).await?))
}
