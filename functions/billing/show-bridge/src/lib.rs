//! `GET /v1/payments/payfast/return` and `…/cancel`: the pages that lead a payer back to the app (S5).

use axum::response::{IntoResponse as _, Response};
use billing::payfast::{BridgeQuery, POLICY, Way, bridge};
use web::prelude::*;

/// This function's endpoint, for both ways back.
pub fn endpoint() -> Endpoint<()> {
    web::endpoint!(show_return).and(web::endpoint!(show_cancel))
}

fn page(way: Way, query: &BridgeQuery) -> Response {
    let headers = [("content-type", "text/html; charset=utf-8"), ("content-security-policy", POLICY)];
    (headers, bridge(way, query.payment())).into_response()
}

/// Where PayFast sends a payer who went through with it.
///
/// A page that opens the app by `yummi://payments/payfast/return`. It proves nothing: the status says whether it was paid.
#[utoipa::path(get, path = "/v1/payments/payfast/return", tag = "payments", operation_id = "returnFromPayment", params(BridgeQuery),
    responses((status = 200, description = "The page.", body = String, content_type = "text/html")))]
async fn show_return(
    State(()): State<()>,
    _: Public,
    Query(query): Query<BridgeQuery>,
) -> Result<Response, Problem> {
    Ok(page(Way::Return, &query))
}

/// Where PayFast sends a payer who called it off.
///
/// A page that opens the app by `yummi://payments/payfast/cancel`.
#[utoipa::path(get, path = "/v1/payments/payfast/cancel", tag = "payments", operation_id = "cancelPayment", params(BridgeQuery),
    responses((status = 200, description = "The page.", body = String, content_type = "text/html")))]
async fn show_cancel(
    State(()): State<()>,
    _: Public,
    Query(query): Query<BridgeQuery>,
) -> Result<Response, Problem> {
    Ok(page(Way::Cancel, &query))
}
