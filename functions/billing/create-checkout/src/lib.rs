//! `POST /v1/payments/paddle/checkout`: a purchase of credits begins (V13).

use account::CanBuy;
use billing::paddle::{Checkout, CheckoutMade, NewCheckout};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Checkout> {
    web::endpoint!(create_checkout).strict()
}

/// Begins a purchase of credits at Paddle.
///
/// Whoever opens the address in the answer pays there; the credits are the workspace's once Paddle says that the transaction is
/// completed.
#[utoipa::path(post, path = "/v1/payments/paddle/checkout", tag = "payments", operation_id = "createPaddleCheckout", request_body = NewCheckout,
    params(("idempotency-key" = inline(Option<String>), Header, nullable = false, description = "Makes a repeat safe for 24 hours.")),
    responses((status = 201, description = "The checkout.", body = CheckoutMade)))]
async fn create_checkout(
    State(checkout): State<Checkout>,
    caller: Caller<CanBuy>,
    key: IdempotencyKey,
    Json(new): Json<NewCheckout>,
) -> Result<Answer, Problem> {
    let user = caller.principal().user;
    Ok(checkout.make(caller.workspace(), user, new, key.0.as_ref()).await?.into())
}
