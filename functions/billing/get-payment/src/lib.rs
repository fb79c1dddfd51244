//! `GET /v1/payments/payfast/status`: how far a payment is (S5).

use account::CanReadCredits;
use billing::payfast::{Payment, PaymentQuery, Payments};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Payments> {
    web::endpoint!(get_payment)
}

/// How far a payment of the caller is.
///
/// Ask again every few seconds while it is `pending`.
#[utoipa::path(get, path = "/v1/payments/payfast/status", tag = "payments", operation_id = "getPayment", params(PaymentQuery),
    responses((status = 200, description = "The payment.", body = Payment)))]
async fn get_payment(
    State(payments): State<Payments>,
    caller: Caller<CanReadCredits>,
    Query(query): Query<PaymentQuery>,
) -> Result<Json<Payment>, Problem> {
    Ok(Json(payments.get(caller.principal().user, &query).await?))
}
