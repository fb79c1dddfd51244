//! `GET /v1/account/credits/entries/{id}/trail`: where credits came from and what became of them.

use account::CanReadCredits;
use billing::{Billing, Book, EntryId, Trail};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Billing> {
    web::endpoint!(get_trail)
}

/// An entry's trail.
///
/// Its lots, each with the payment, signup or gift that it came from, and a page of the entries with the same reference: hold,
/// settle and void of a task, refund of a charge, grant, claw back and give back of a purchase.
#[utoipa::path(get, path = "/v1/account/credits/entries/{id}/trail", tag = "credits", operation_id = "getTrail",
    params(("id" = EntryId, Path, description = "The entry."), PageQuery),
    responses((status = 200, description = "The trail.", body = Trail)))]
async fn get_trail(
    State(billing): State<Billing>,
    caller: Caller<CanReadCredits>,
    Path(id): Path<EntryId>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Trail>, Problem> {
    let filter = format!("trail of {id}");
    let page = caller.page(&query, &filter)?;
    let (trail, same) = billing.trail(&Book::credits(caller.workspace()), id, &page).await?;
    let Page { data: entries, next_cursor } = caller.paged(same, &filter);
    Ok(Json(Trail { entries, next_cursor, ..trail }))
}
