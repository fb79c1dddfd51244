//! The pages that a buyer comes back to, on the way to the app. They prove nothing: what was paid, only a notification says.

use std::fmt::Write as _;

use serde::Deserialize;
use utoipa::IntoParams;

use super::PaymentId;

/// What a payer brings along.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct BridgeQuery {
    /// The payment; what is no id of one is left out of the page.
    pub payment_id: Option<String>,
}

impl BridgeQuery {
    /// The payment, if it is an id of one.
    pub fn payment(&self) -> Option<PaymentId> {
        self.payment_id.as_deref()?.parse().ok()
    }
}

/// What the pages may do: nothing. The style is known by its SHA-256.
pub const POLICY: &str = "default-src 'none'; style-src 'sha256-bCjMgjDqScJozKyAahr7STLwiki5CUtj98RetBHQUz4='; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const STYLE: &str = "body{font:18px/1.5 system-ui,sans-serif;margin:0;min-height:100vh;display:grid;place-items:center;background:#f8fafc;color:#0f172a}main{padding:24px;max-width:26rem;text-align:center}h1{font-size:1.4rem;margin:0 0 8px}p{margin:0 0 24px;color:#475569}a{display:inline-block;padding:12px 24px;border-radius:8px;background:#0f172a;color:#fff;text-decoration:none}";

/// How a buyer comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Having gone through with it, as far as the browser knows.
    Return,
    /// Having called it off.
    Cancel,
}

/// The page for a buyer who comes back, with a link to the app that says which payment it was. Only an id gets into the page: nothing
/// else of the request does.
pub fn bridge(way: Way, payment: Option<PaymentId>) -> String {
    let (name, title, text) = match way {
        Way::Return => {
            ("return", "Thank you", "The payment is being confirmed. The app shows it as soon as it is.")
        }
        Way::Cancel => ("cancel", "Payment called off", "Nothing was paid."),
    };
    let mut link = format!("yummi://payments/payfast/{name}");
    if let Some(id) = payment {
        // Cannot fail: it is a text that is written to.
        let _ = write!(link, "?payment_id={id}");
    }
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><meta http-equiv=\"refresh\" content=\"0;url={link}\"><title>{title}</title><style>{STYLE}</style></head><body><main><h1>{title}</h1><p>{text}</p><a id=\"app\" href=\"{link}\">Back to the app</a></main></body></html>"
    )
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    use super::*;

    #[test]
    fn the_policy_has_the_styles_hash() {
        let hash = STANDARD.encode(piecework_core::sha256(&[STYLE.as_bytes()]));
        assert!(POLICY.contains(&format!("'sha256-{hash}'")), "sha256-{hash}");
    }

    #[test]
    fn a_page_leads_to_the_app_with_the_payment_and_nothing_else() {
        let id = PaymentId::new();
        for (way, name) in [(Way::Return, "return"), (Way::Cancel, "cancel")] {
            let page = bridge(way, Some(id));
            assert_eq!(
                page.matches(&format!("yummi://payments/payfast/{name}?payment_id={id}\"")).count(),
                2,
                "{page}"
            );
            let page = bridge(way, None);
            assert_eq!(page.matches(&format!("yummi://payments/payfast/{name}\"")).count(), 2, "{page}");
        }
    }
}
