//! Payments in the table of the area, and the account at PayFast that they go to.

use aws::{Clients, CommitError, Cond, Deps, Key, Query, Table, Transaction, idempotency};
use piecework_core::{
    Currency, DomainEvent, Fault, Kind, Money, Problem, Settings, UserId, WorkspaceId,
    idempotency::{Reply, Request},
    now,
    settings::{Environment, SettingError},
};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Form, Merchant, Payment, PaymentId,
    payment::{LEAST, MOST, Record, in_bounds},
};
use crate::Error;

/// What the buyer reads at PayFast.
const ITEM: &str = "Wallet top-up";
/// Where PayFast is, unless `PAYFAST_URL` says otherwise.
const LIVE: &str = "https://www.payfast.co.za";
const SANDBOX: &str = "https://sandbox.payfast.co.za";

/// The shop's account at PayFast, by the settings: what it takes to know PayFast's voice.
#[derive(Clone)]
pub(super) struct Shop {
    /// The merchant's id.
    pub id: String,
    /// What signs.
    pub passphrase: Option<SecretString>,
    /// Where PayFast is, without a slash at the end.
    pub url: String,
}

impl Shop {
    /// The account; none where `PAYFAST_MERCHANT_ID` is not set.
    pub fn of(settings: &Settings) -> Result<Option<Self>, SettingError> {
        let Some(id) = settings.text("PAYFAST_MERCHANT_ID") else { return Ok(None) };
        let live = settings.environment == Environment::Prod;
        let passphrase = settings.text("PAYFAST_PASSPHRASE").map(|text| text.to_owned().into());
        // Without one, whoever knows the merchant's id can sign.
        if live && passphrase.is_none() {
            return Err(SettingError::Missing("PAYFAST_PASSPHRASE"));
        }
        let url = settings.text("PAYFAST_URL").unwrap_or(if live { LIVE } else { SANDBOX });
        Ok(Some(Self { id: id.to_owned(), passphrase, url: url.trim_end_matches('/').to_owned() }))
    }
}

/// Payments as they are kept.
#[derive(Clone)]
pub struct Payments {
    pub(super) table: Table,
}

/// Begins payments.
#[derive(Clone)]
pub struct Checkout {
    payments: Payments,
    shop: Option<(Merchant, String)>,
    public_url: String,
}

/// A payment to be begun.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPayment {
    /// How much, in cents: from R5.00 to R50,000.00.
    #[schema(minimum = 500, maximum = 5000000, example = 10000)]
    pub amount: u64,
    /// Of which currency: PayFast takes rand only.
    #[serde(default = "rand")]
    pub currency: Currency,
}

fn rand() -> Currency {
    Currency::ZAR
}

/// A payment that waits for its payer, and the form that takes them to PayFast.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Begun {
    /// The payment.
    pub payment: Payment,
    /// What the payer's browser is to post.
    pub checkout: CheckoutForm,
}

/// A form for a browser: post the fields in this order, as `application/x-www-form-urlencoded`. They are signed, so nothing may be
/// changed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CheckoutForm {
    /// Where to.
    #[schema(example = "https://www.payfast.co.za/eng/process")]
    pub url: String,
    /// The fields.
    pub fields: Vec<CheckoutField>,
}

/// A field of a form.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CheckoutField {
    /// Its name.
    pub name: String,
    /// Its value, not yet escaped for HTML.
    pub value: String,
}

/// Which payment.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PaymentQuery {
    /// The payment's id.
    #[param(example = "pay_01j9z3k5m8n2p4q6r7s8t9v0wx")]
    pub payment_id: String,
}

/// A payment as an item: `PAYMENT#<pay>`/`<usr>`, listed for its user through `gsi1`.
#[derive(Serialize)]
pub(crate) struct Stored<'a> {
    pk: String,
    sk: String,
    gsi1pk: String,
    gsi1sk: String,
    #[serde(flatten)]
    record: &'a Record,
}

fn partition(id: PaymentId) -> String {
    format!("PAYMENT#{id}")
}

/// Where a payment is kept.
pub(crate) fn payment_key(record: &Record) -> Key {
    Key::new(partition(record.id), record.user.to_string())
}

/// The index partition of a user's payments.
pub(crate) fn payments_of(user: UserId) -> String {
    format!("USER#{user}#PAYMENTS")
}

impl Record {
    pub(crate) fn stored(&self) -> Stored<'_> {
        let Key { pk, sk } = payment_key(self);
        Stored { pk, sk, gsi1pk: payments_of(self.user), gsi1sk: self.id.to_string(), record: self }
    }
}

impl Deps for Payments {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        Ok(Self { table: Table::new(clients, settings.required("BILLING_TABLE")?) })
    }
}

impl Deps for Checkout {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        let shop = match Shop::of(settings)? {
            Some(Shop { id, passphrase, url }) => {
                let key = settings.required("PAYFAST_MERCHANT_KEY")?.to_owned().into();
                Some((Merchant { id, key, passphrase }, url))
            }
            None => None,
        };
        Ok(Self {
            payments: Payments::new(settings, clients)?,
            shop,
            public_url: settings.required("PUBLIC_URL")?.trim_end_matches('/').to_owned(),
        })
    }
}

impl Payments {
    /// A user's payment.
    pub async fn get(&self, user: UserId, query: &PaymentQuery) -> Result<Payment, Error> {
        // What is no id names nothing that could exist.
        let id: PaymentId = query.payment_id.parse().map_err(|_| Error::NoSuchPayment)?;
        let record = self.table.get::<Record>(&Key::new(partition(id), user.to_string())).await?;
        Ok(record.ok_or(Error::NoSuchPayment)?.view())
    }

    /// A payment, whosever it is: for what PayFast or an administrator says of it.
    pub(super) async fn find(&self, id: PaymentId) -> Result<Option<Record>, aws::Error> {
        let query = Query::partition(partition(id)).prefix("usr_").limit(1);
        Ok(self.table.query(query).await?.items.pop())
    }

    /// Adds a new payment.
    fn create_in(&self, transaction: &mut Transaction, record: &Record) {
        transaction.create("payment", &self.table, &record.stored());
    }

    /// Adds the payment's next version. The action `payment` is refused if it has changed since.
    pub(super) fn replace_in(&self, transaction: &mut Transaction, record: &Record) {
        let unchanged = Cond::eq("version", record.version.saturating_sub(1));
        transaction.put("payment", &self.table, &record.stored(), Some(unchanged));
    }

    /// Adds an event of a payment.
    pub(super) fn tell_in(&self, transaction: &mut Transaction, record: &Record, event: &DomainEvent) {
        transaction.create("event", &self.table, &aws::event_item(&partition(record.id), event));
    }
}

/// An event of a payment: `billing.payment.<what>`.
pub(super) fn event(record: &Record, what: &str) -> DomainEvent {
    let data = serde_json::json!({ "amount": record.amount, "currency": record.currency });
    DomainEvent::new(&format!("billing.payment.{what}"), record.workspace, record.id, data)
}

impl Checkout {
    /// Begins a payment: its record, its event and the request's are one transaction.
    pub async fn begin(
        &self,
        user: UserId,
        workspace: WorkspaceId,
        new: &NewPayment,
        request: Option<&Request>,
    ) -> Result<Reply, Problem> {
        let effect = self.begin_once(user, workspace, new, request);
        idempotency::once(&self.payments.table, request, effect).await
    }

    async fn begin_once(
        &self,
        user: UserId,
        workspace: WorkspaceId,
        new: &NewPayment,
        request: Option<&Request>,
    ) -> Result<Reply, Problem> {
        let Some((merchant, url)) = &self.shop else {
            return Err(Problem::new(Kind::NotFound).detail("Payments by PayFast are not switched on."));
        };
        let unusable = |pointer: &str, detail: String| {
            Problem::new(Kind::InvalidBody).fault(Fault::body(pointer, detail))
        };
        if new.currency != Currency::ZAR {
            return Err(unusable("/currency", "must be ZAR".to_owned()));
        }
        if !in_bounds(new.amount) {
            return Err(unusable("/amount", format!("must be {LEAST} to {MOST} cents")));
        }
        let record = Record {
            id: PaymentId::new(),
            user,
            workspace,
            amount: new.amount,
            currency: new.currency,
            heard: std::collections::BTreeMap::new(),
            credited: None,
            lot: None,
            charged_back: false,
            created_at: now(),
            completed_at: None,
            version: 1,
        };
        let form = self.form(merchant, record.id, record.money());
        tracing::info!(payment = %record.id, form = ?form, "checkout");
        let reply = reply(&record, &form, url)?;
        let mut transaction = Transaction::new();
        self.payments.create_in(&mut transaction, &record);
        self.payments.tell_in(&mut transaction, &record, &event(&record, "begun").by(user));
        if let Some(request) = request {
            idempotency::complete_in(&mut transaction, &self.payments.table, request, &reply);
        }
        transaction.commit().await.map_err(|error: CommitError| aws::Error::from(error))?;
        Ok(reply)
    }

    fn form(&self, merchant: &Merchant, id: PaymentId, money: Money) -> Form {
        let here = |path: &str| format!("{}/v1/payments/payfast/{path}", self.public_url);
        let fields = [
            ("return_url", here(&format!("return?payment_id={id}"))),
            ("cancel_url", here(&format!("cancel?payment_id={id}"))),
            ("notify_url", here("itn")),
            ("m_payment_id", id.to_string()),
            ("amount", money.decimal()),
            ("item_name", ITEM.to_owned()),
        ];
        Form::signed(merchant, &fields)
    }
}

fn reply(record: &Record, form: &Form, url: &str) -> Result<Reply, aws::Error> {
    let fields = form.fields().iter();
    let fields = fields.map(|(name, value)| CheckoutField { name: (*name).to_owned(), value: value.clone() });
    let begun = Begun {
        payment: record.view(),
        checkout: CheckoutForm { url: format!("{url}/eng/process"), fields: fields.collect() },
    };
    Ok(Reply {
        status: 201,
        location: Some(format!("/v1/payments/payfast/status?payment_id={}", record.id)),
        body: serde_json::to_string(&begun).map_err(|e| aws::Error::Shape(e.to_string()))?,
    })
}
