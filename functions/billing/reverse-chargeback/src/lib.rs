//! `POST /v1/admin/payments/payfast/{id}/chargeback/reversal`: a payer's bank gave a payment again (S6).

use billing::payfast::{ChargebackNote, Chargebacks, Claim, Claimed, PaymentId};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Chargebacks> {
    web::endpoint!(reverse_chargeback)
}

/// Gives a payment back to its wallet, because the payer's bank decided so in the end.
///
/// Only after a chargeback.
#[utoipa::path(post, path = "/v1/admin/payments/payfast/{id}/chargeback/reversal", tag = "admin", operation_id = "reverseChargeback", request_body = ChargebackNote,
    params(("id" = PaymentId, Path, description = "The payment."),
        ("idempotency-key" = inline(Option<String>), Header, nullable = false, description = "Makes a repeat safe for 24 hours.")),
    responses((status = 200, description = "The payment, complete again.", body = Claimed)))]
async fn reverse_chargeback(
    State(chargebacks): State<Chargebacks>,
    caller: Admin,
    Path(id): Path<PaymentId>,
    key: IdempotencyKey,
    Json(note): Json<ChargebackNote>,
) -> Result<Answer, Problem> {
    let actor = caller.principal().user;
    Ok(chargebacks.claim(id, Claim::Reversal, &note, actor, key.0.as_ref()).await?.into())
}
