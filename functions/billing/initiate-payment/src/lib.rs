//! `POST /v1/payments/payfast/initiate`: begins a payment into the caller's wallet (S5).

use account::CanBuy;
use billing::payfast::{Begun, Checkout, NewPayment};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Checkout> {
    web::endpoint!(initiate_payment).strict()
}

/// Begins a payment into the caller's wallet.
///
/// The answer has the form that takes the payer to PayFast. The wallet gets the money when PayFast says that it was paid, a moment before
/// or after the payer is back.
#[utoipa::path(post, path = "/v1/payments/payfast/initiate", tag = "payments", operation_id = "initiatePayment", request_body = NewPayment,
    params(("idempotency-key" = inline(Option<String>), Header, nullable = false, description = "Makes a repeat safe for 24 hours.")),
    responses((status = 201, description = "The payment and its form.", body = Begun, headers(("location" = String)))))]
async fn initiate_payment(
    State(checkout): State<Checkout>,
    caller: Caller<CanBuy>,
    key: IdempotencyKey,
    Json(new): Json<NewPayment>,
) -> Result<Answer, Problem> {
    let user = caller.principal().user;
    Ok(checkout.begin(user, caller.workspace(), &new, key.0.as_ref()).await?.into())
}
