//! `GET /v1/me`: who calls (P7).

use account::{Account, CanRead, Me};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Account> {
    web::endpoint!(get_me)
}

/// Gets the caller.
///
/// The first request with a token of somebody new, to this path or any other, makes them a user with a personal workspace and a
/// signup grant.
#[utoipa::path(get, path = "/v1/me", tag = "account", operation_id = "getMe",
    responses((status = 200, description = "The caller.", body = Me)))]
async fn get_me(State(account): State<Account>, caller: Caller<CanRead>) -> Result<Json<Me>, Problem> {
    Ok(Json(account.me(caller.principal()).await?))
}
