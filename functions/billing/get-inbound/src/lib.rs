//! `GET /v1/admin/inbound/{id}`: one call of a payment provider, for support.

use billing::inbound::{Inbound, InboundDetail, InboundId};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Inbound> {
    web::endpoint!(get_inbound)
}

/// One call of a payment provider, with its body.
#[utoipa::path(get, path = "/v1/admin/inbound/{id}", tag = "support", operation_id = "getInbound",
    params(("id" = InboundId, Path, description = "The call.")),
    responses((status = 200, description = "The call.", body = InboundDetail)))]
async fn get_inbound(
    State(inbound): State<Inbound>,
    _admin: Admin,
    Path(id): Path<InboundId>,
) -> Result<Json<InboundDetail>, Problem> {
    Ok(Json(inbound.detail(id).await?))
}
