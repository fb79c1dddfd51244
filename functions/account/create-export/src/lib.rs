//! `POST /v1/me/export`: a zip of all that is the user's is asked for (P19).

use account::{Account, CanManagePersonalData, Export};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Account> {
    web::endpoint!(create_export).strict()
}

/// Asks for an export of the user's data.
///
/// It is made in the background: look at `Location` until it is ready. A user has one under way at a time; whoever asks again gets that
/// one. Workspaces that others belong to are named, and what is in them is not exported.
#[utoipa::path(post, path = "/v1/me/export", tag = "me", operation_id = "createExport",
    responses((status = 202, description = "It is being made.", body = Export, headers(("location" = String)))))]
async fn create_export(
    State(account): State<Account>,
    caller: Caller<CanManagePersonalData>,
) -> Result<Answer, Problem> {
    Ok(account.begin_export(caller.principal()).await?.into())
}
