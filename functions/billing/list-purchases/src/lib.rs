//! `GET /v1/account/purchases`: what was bought, read from the grants (V14).

use account::CanReadCredits;
use billing::{Billing, paddle::Purchase};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Billing> {
    web::endpoint!(list_purchases)
}

/// Lists the purchases of credits, newest first.
#[utoipa::path(get, path = "/v1/account/purchases", tag = "credits", operation_id = "listPurchases", params(PageQuery),
    responses((status = 200, description = "A page of purchases.", body = Page<Purchase>)))]
async fn list_purchases(
    State(billing): State<Billing>,
    caller: Caller<CanReadCredits>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Purchase>>, Problem> {
    let page = caller.page(&query, "purchases")?;
    Ok(Json(caller.paged(billing.purchases(caller.workspace(), &page).await?, "purchases")))
}
