//! `POST /v1/admin/inbound/{id}/replay`: a call goes through its processor again, for support.

use billing::inbound::{Inbound, InboundCall, InboundId};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Inbound> {
    web::endpoint!(replay_inbound)
}

/// Sends an accepted call through its processor again.
///
/// What it did already it does not do twice; one that failed works once its cause is mended.
#[utoipa::path(post, path = "/v1/admin/inbound/{id}/replay", tag = "support", operation_id = "replayInbound",
    params(("id" = InboundId, Path, description = "The call.")),
    responses((status = 202, description = "The call, on its way.", body = InboundCall)))]
async fn replay_inbound(
    State(inbound): State<Inbound>,
    admin: Admin,
    Path(id): Path<InboundId>,
) -> Result<(StatusCode, Json<InboundCall>), Problem> {
    let call = inbound.replay(id, admin.principal().user).await?;
    Ok((StatusCode::ACCEPTED, Json(call)))
}
