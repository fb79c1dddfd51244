//! `POST /v1/verify`: one address, now, without a task (V1).

use account::CanVerify;
use verify::{CheckRequest, Checked, SingleCheck};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<SingleCheck> {
    web::endpoint!(check_address, verify::UPSTREAM).strict()
}

/// Verifies one address.
///
/// Costs one credit, unless the result is `unknown`.
#[utoipa::path(post, path = "/v1/verify", tag = "verification", operation_id = "checkAddress", request_body = CheckRequest,
    params(("idempotency-key" = inline(Option<String>), Header, nullable = false, description = "Makes a repeat safe for 24 hours.")),
    responses((status = 200, description = "What was found out.", body = Checked)))]
async fn check_address(
    State(check): State<SingleCheck>,
    caller: Caller<CanVerify>,
    key: IdempotencyKey,
    Json(request): Json<CheckRequest>,
) -> Result<Answer, Problem> {
    let actor = caller.principal().user;
    Ok(check.run(caller.workspace(), actor, request, key.0.as_ref()).await?.into())
}
