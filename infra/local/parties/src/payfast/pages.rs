//! What a buyer sees there.

use super::form::{Fields, value};

/// What the pages may do: nothing but be posted back. The shops' addresses follow a form's redirect.
pub(super) const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;background:#f3f4f6;color:#111827;margin:0;display:grid;min-height:100vh;place-items:center}main{background:#fff;border-radius:12px;box-shadow:0 1px 4px #0003;padding:32px;width:min(26rem,calc(100vw - 32px));box-sizing:border-box}h1{font-size:1.25rem;margin:0 0 4px}p{margin:0 0 20px;color:#4b5563}dl{display:grid;grid-template-columns:auto 1fr;gap:6px 16px;margin:0 0 24px}dt{color:#6b7280}dd{margin:0;text-align:right;overflow-wrap:anywhere}.amount{font-size:1.75rem;font-weight:600;margin:0 0 16px;color:#111827}form{display:inline}button{font:inherit;border:0;border-radius:8px;padding:10px 20px;cursor:pointer}.pay{background:#b91c1c;color:#fff}.cancel{background:#e5e7eb;color:#111827}";

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{title}</title><style>{STYLE}</style><main>{body}</main></html>"
    )
}

/// The checkout, with a button for each way out of it.
pub(super) fn checkout(number: usize, fields: &Fields) -> String {
    let shown = |name: &str| escaped(value(fields, name));
    page(
        "PayFast stand-in: pay",
        &format!(
            "<h1>{}</h1><p>A stand-in for PayFast: no money moves.</p><p class=\"amount\">R {}</p><dl><dt>Merchant</dt><dd>{}</dd><dt>Payment</dt><dd>{}</dd></dl><form method=\"post\" action=\"/eng/process/{number}/pay\"><button class=\"pay\" id=\"pay\">Pay</button></form> <form method=\"post\" action=\"/eng/process/{number}/cancel\"><button class=\"cancel\" id=\"cancel\">Cancel</button></form>",
            shown("item_name"),
            shown("amount"),
            shown("merchant_id"),
            shown("m_payment_id"),
        ),
    )
}

/// A checkout that is refused, and why.
pub(super) fn refused(why: &str) -> String {
    page(
        "PayFast stand-in: refused",
        &format!("<h1>400 Bad Request</h1><p id=\"fault\">{}</p>", escaped(why)),
    )
}
