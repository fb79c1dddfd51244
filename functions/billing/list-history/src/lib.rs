//! `GET /v1/account/credits/history`: every entry of the ledger (V11).

use account::CanReadCredits;
use billing::{Billing, Book, Entry};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Billing> {
    web::endpoint!(list_history)
}

/// Lists the ledger's entries, newest first.
#[utoipa::path(get, path = "/v1/account/credits/history", tag = "credits", operation_id = "listCreditHistory", params(PageQuery),
    responses((status = 200, description = "A page of entries.", body = Page<Entry>)))]
async fn list_history(
    State(billing): State<Billing>,
    caller: Caller<CanReadCredits>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Entry>>, Problem> {
    let page = caller.page(&query, "history")?;
    Ok(Json(caller.paged(billing.history(&Book::credits(caller.workspace()), &page).await?, "history")))
}
