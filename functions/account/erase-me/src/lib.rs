//! `DELETE /v1/me`: the end of a user and of all that is theirs alone (P19).

use account::{CanManagePersonalData, Erasure, Erasures};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Erasures> {
    web::endpoint!(erase_me)
}

/// Erases the key's user: their data, and the workspaces that are theirs alone.
///
/// None of their keys works any more when this is answered; the rest goes in the background, and the receipt says how far it is. Who
/// is the only owner of a workspace with other members hands it over first.
#[utoipa::path(delete, path = "/v1/me", tag = "me", operation_id = "eraseMe",
    responses((status = 202, description = "It has begun.", body = Erasure, headers(("location" = String)))))]
async fn erase_me(
    State(erasures): State<Erasures>,
    caller: Caller<CanManagePersonalData>,
) -> Result<Answer, Problem> {
    Ok(erasures.begin(caller.principal()).await?.into())
}
