//! What is sold on the local stack, and how its functions know the stand-in for Paddle.

use local_parties::{PADDLE_KEY, PADDLE_OLD_SECRET, PADDLE_PRICES, PADDLE_SECRET};
use serde_json::json;

/// The settings of functions that deal with Paddle, with the stand-in at this address. Of its prices the last is not sold here.
pub(crate) fn settings(url: &str) -> [(&'static str, String); 4] {
    let [thousand, ten_thousand, month, _] = PADDLE_PRICES.map(|(id, _)| id);
    let prices = json!({
        thousand: { "credits": 1_000, "name": "1,000 credits" },
        ten_thousand: { "credits": 10_000, "name": "10,000 credits" },
        month: { "credits": 500, "name": "500 credits for a month", "expires_days": 30 },
    });
    [
        ("PADDLE_API_URL", url.to_owned()),
        ("PADDLE_API_KEY", PADDLE_KEY.to_owned()),
        ("PADDLE_WEBHOOK_SECRETS", format!("{PADDLE_OLD_SECRET},{PADDLE_SECRET}")),
        ("PADDLE_PRICES", prices.to_string()),
    ]
}
