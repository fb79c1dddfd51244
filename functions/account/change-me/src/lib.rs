//! `PATCH /v1/me`: changes what the caller is called (P7).

use account::{Account, CanManagePersonalData, Me, MeChanges};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Account> {
    web::endpoint!(change_me)
}

/// Changes the caller.
///
/// What is left out stays. The address is the issuer's to say, and cannot be changed here.
#[utoipa::path(patch, path = "/v1/me", tag = "account", operation_id = "changeMe", request_body = MeChanges,
    responses((status = 200, description = "The caller as they are now.", body = Me)))]
async fn change_me(
    State(account): State<Account>,
    caller: Caller<CanManagePersonalData>,
    Json(changes): Json<MeChanges>,
) -> Result<Json<Me>, Problem> {
    Ok(Json(account.change_me(caller.principal(), &changes).await?))
}
