//! `GET /v1/api-keys`: the workspace's keys, without their secrets (P5).

use account::{Account, ApiKey, CanManageKeys};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Account> {
    web::endpoint!(list_keys)
}

/// Lists API keys, oldest first, revoked ones too.
#[utoipa::path(get, path = "/v1/api-keys", tag = "keys", operation_id = "listKeys", params(PageQuery),
    responses((status = 200, description = "A page of keys.", body = Page<ApiKey>)))]
async fn list_keys(
    State(account): State<Account>,
    caller: Caller<CanManageKeys>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<ApiKey>>, Problem> {
    let page = caller.page(&query, "keys")?;
    Ok(Json(caller.paged(account.keys(caller.workspace(), &page).await?, "keys")))
}
