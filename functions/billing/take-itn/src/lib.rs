//! `POST /v1/payments/payfast/itn`: a notification of PayFast's, kept and answered at once (S5).

use billing::{
    inbound::{Call, Provider},
    payfast::Door,
};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Door> {
    web::endpoint!(take_itn)
}

/// Takes a notification of PayFast.
///
/// It must be signed with the account's passphrase and come from PayFast's networks. 200 means that it is kept, also if it came
/// before; anything else, that PayFast should send it again.
#[utoipa::path(post, path = "/v1/payments/payfast/itn", tag = "webhooks", operation_id = "takeItn",
    request_body(content = std::collections::BTreeMap<String, String>, content_type = "application/x-www-form-urlencoded", description = "The fields, signed in the order sent."),
    responses((status = 200, description = "Kept.")))]
async fn take_itn(State(door): State<Door>, webhook: Webhook) -> Result<StatusCode, Problem> {
    let headers = webhook.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    door.take(Call::new(Provider::Payfast, webhook.body.clone(), headers, webhook.source)).await?;
    Ok(StatusCode::OK)
}
