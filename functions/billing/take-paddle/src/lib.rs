//! `POST /v1/webhooks/paddle`: a call of Paddle's, kept and answered at once (V13).

use billing::{
    inbound::{Call, Provider},
    paddle::PaddleDoor,
};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<PaddleDoor> {
    web::endpoint!(take_paddle)
}

/// Takes a notification of Paddle Billing.
///
/// It must be signed (`Paddle-Signature`). 200 means that it is kept, also if it came before; anything else, that Paddle should
/// send it again.
#[utoipa::path(post, path = "/v1/webhooks/paddle", tag = "webhooks", operation_id = "takePaddle",
    request_body(content = Object, description = "The event, as Paddle describes it."),
    params(("paddle-signature" = String, Header, description = "`ts=<seconds>;h1=<hex>`: HMAC-SHA256 of time and body.")),
    responses((status = 200, description = "Kept.")))]
async fn take_paddle(State(door): State<PaddleDoor>, webhook: Webhook) -> Result<StatusCode, Problem> {
    let headers = webhook.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let call = Call::new(Provider::Paddle, webhook.body.clone(), headers, webhook.source);
    let signature = webhook.headers.get("paddle-signature").and_then(|value| value.to_str().ok());
    door.take(call, signature).await?;
    Ok(StatusCode::OK)
}
