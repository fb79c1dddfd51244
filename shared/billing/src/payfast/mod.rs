//! PayFast (South Africa): payments into a wallet (S5). The form that a buyer is sent there with, and what it says afterwards. The
//! why of it is in `docs/decisions/payfast.md`.

mod apply;
mod bridge;
mod chargeback;
mod checkout;
mod door;
mod form;
mod notice;
mod payment;
mod source;
mod store;

pub use apply::{Notices, Pause};
pub use bridge::{BridgeQuery, POLICY, Way, bridge};
pub use chargeback::{ChargebackNote, Chargebacks, Claim, Claimed};
pub use checkout::{Form, Merchant, ORDER};
pub use door::Door;
pub use notice::{Malformed, Notice, Objection, Status};
pub(crate) use payment::Record;
pub use payment::{Payment, PaymentId, PaymentState};
pub use source::Sources;
pub use store::{Begun, Checkout, CheckoutField, CheckoutForm, NewPayment, PaymentQuery, Payments};
pub(crate) use store::{payment_key, payments_of};

/// The fields whose values a log may show: ids, amounts and states, none of a person, none that signs.
const SHOWN: [&str; 11] = [
    "merchant_id",
    "m_payment_id",
    "pf_payment_id",
    "payment_status",
    "amount",
    "amount_gross",
    "amount_fee",
    "amount_net",
    "currency",
    "payment_method",
    "billing_date",
];

/// Fields for a log: every name, and the values of those that say nothing of a person and open nothing.
pub fn redacted<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let shown = fields.map(|(name, value)| match SHOWN.contains(&name) || value.is_empty() {
        true => format!("{name}={value}"),
        false => format!("{name}=…"),
    });
    shown.collect::<Vec<_>>().join("&")
}
