//! `POST /v1/api-keys`: a new API key, shown once (P5).

use account::{Account, CanManageKeys, CreatedKey, NewKey};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Account> {
    web::endpoint!(create_key)
}

/// Makes an API key.
///
/// The token in the answer is the only copy. A key cannot be given a scope that its maker does not have.
#[utoipa::path(post, path = "/v1/api-keys", tag = "keys", operation_id = "createKey", request_body = NewKey,
    responses((status = 201, description = "The key.", body = CreatedKey, headers(("location" = String)))))]
async fn create_key(
    State(account): State<Account>,
    caller: Caller<CanManageKeys>,
    Json(new): Json<NewKey>,
) -> Result<Created<CreatedKey>, Problem> {
    let key = account.create_key_for(caller.principal(), new).await?;
    Ok(Created(format!("/v1/api-keys/{}", key.key.id), key))
}
