//! `POST /v1/api-keys/{id}/roll`: a new key in place of an old one, which works on for a while (P5).

use account::{Account, CanManageKeys, CreatedKey, RollKey};
use piecework_core::KeyId;
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Account> {
    web::endpoint!(roll_key)
}

/// Rolls an API key.
///
/// Makes a new key with the same name and scopes, shown once. The old one works on for `grace_seconds`, and then no more. A key is
/// rolled once, and only by who has every scope that it has.
#[utoipa::path(post, path = "/v1/api-keys/{id}/roll", tag = "keys", operation_id = "rollKey", request_body = RollKey,
    params(("id" = KeyId, Path, description = "The old key.")),
    responses((status = 201, description = "The new key.", body = CreatedKey, headers(("location" = String)))))]
async fn roll_key(
    State(account): State<Account>,
    caller: Caller<CanManageKeys>,
    Path(id): Path<KeyId>,
    Json(roll): Json<RollKey>,
) -> Result<Created<CreatedKey>, Problem> {
    let key = account.roll_key(caller.principal(), id, &roll).await?;
    Ok(Created(format!("/v1/api-keys/{}", key.key.id), key))
}
