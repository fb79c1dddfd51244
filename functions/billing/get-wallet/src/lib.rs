//! `GET /v1/wallet/balance`: the caller's wallet (S6).

use account::CanReadCredits;
use billing::{Billing, Wallet};
use piecework_core::Currency;
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Billing> {
    web::endpoint!(get_wallet)
}

/// The caller's wallet: balance and transactions, newest first.
///
/// Amounts are cents. `available` is below zero after a chargeback of what was spent; nothing can be paid until it is above zero
/// again.
#[utoipa::path(get, path = "/v1/wallet/balance", tag = "wallet", operation_id = "getWallet", params(PageQuery),
    responses((status = 200, description = "The wallet, with a page of its transactions.", body = Wallet)))]
async fn get_wallet(
    State(billing): State<Billing>,
    caller: Caller<CanReadCredits>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Wallet>, Problem> {
    let user = caller.principal().user;
    let filter = format!("wallet/{user}");
    let page = caller.page(&query, &filter)?;
    let (balance, entries) = billing.wallet(user, caller.workspace(), &page).await?;
    Ok(Json(Wallet { currency: Currency::ZAR, balance, transactions: caller.paged(entries, &filter) }))
}
