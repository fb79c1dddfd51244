//! `DELETE /v1/api-keys/{id}`: ends a key at once (P5).

use account::{Account, CanManageKeys};
use piecework_core::KeyId;
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Account> {
    web::endpoint!(revoke_key)
}

/// Revokes an API key, at once and for good.
///
/// Revoking it again changes nothing.
#[utoipa::path(delete, path = "/v1/api-keys/{id}", tag = "keys", operation_id = "revokeKey",
    params(("id" = KeyId, Path, description = "The key.")),
    responses((status = 204, description = "It is revoked.")))]
async fn revoke_key(
    State(account): State<Account>,
    caller: Caller<CanManageKeys>,
    Path(id): Path<KeyId>,
) -> Result<StatusCode, Problem> {
    account.revoke_key(caller.principal(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}
