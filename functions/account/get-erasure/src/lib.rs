//! `GET /v1/erasures/{id}`: the receipt of an erasure (P19).

use account::{Erasure, ErasureId, Erasures};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Erasures> {
    web::endpoint!(get_erasure)
}

/// Shows how far an erasure is.
///
/// Nobody is left who could sign in, so who has the id may see it. It has no personal data.
#[utoipa::path(get, path = "/v1/erasures/{id}", tag = "me", operation_id = "getErasure",
    params(("id" = ErasureId, Path, description = "The erasure.")),
    responses((status = 200, description = "The receipt.", body = Erasure)))]
async fn get_erasure(
    State(erasures): State<Erasures>,
    _: Public,
    Path(id): Path<ErasureId>,
) -> Result<Json<Erasure>, Problem> {
    Ok(Json(erasures.receipt(id).await?))
}
