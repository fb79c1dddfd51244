//! `POST /v1/admin/payments/payfast/{id}/chargeback`: a payer's bank took a payment back (S6).

use billing::payfast::{ChargebackNote, Chargebacks, Claim, Claimed, PaymentId};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Chargebacks> {
    web::endpoint!(charge_back)
}

/// Takes a payment out of its wallet again, because the payer's bank did.
///
/// All of it: what was spent by then is owed, the balance goes below zero, and nothing can be paid until it is above zero again.
#[utoipa::path(post, path = "/v1/admin/payments/payfast/{id}/chargeback", tag = "admin", operation_id = "chargeBack", request_body = ChargebackNote,
    params(("id" = PaymentId, Path, description = "The payment."),
        ("idempotency-key" = inline(Option<String>), Header, nullable = false, description = "Makes a repeat safe for 24 hours.")),
    responses((status = 200, description = "The payment, charged back.", body = Claimed)))]
async fn charge_back(
    State(chargebacks): State<Chargebacks>,
    caller: Admin,
    Path(id): Path<PaymentId>,
    key: IdempotencyKey,
    Json(note): Json<ChargebackNote>,
) -> Result<Answer, Problem> {
    let actor = caller.principal().user;
    Ok(chargebacks.claim(id, Claim::Chargeback, &note, actor, key.0.as_ref()).await?.into())
}
