//! What a history left behind, as answers and tables show it.

use serde_json::Value;

/// How a step ended, as its caller saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The provider's call was answered with 200.
    Heard,
    /// The list was accepted and came to an end.
    Listed {
        /// Its id.
        task: String,
        /// Its last state.
        state: String,
        /// What it says that it was charged.
        charged: u64,
    },
    /// The balance did not cover it.
    Refused {
        /// What the answer says is needed.
        required: u64,
        /// What the answer says there is.
        available: u64,
    },
    /// The address was looked at, for so many credits.
    Checked(u64),
    /// The gift was given, or had been.
    Given(bool),
}

/// Everything to be judged.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// Whose it is.
    pub workspace: String,
    /// How each step ended, in the order of [`crate::History::steps`].
    pub outcomes: Vec<Outcome>,
    /// The provider's id of each purchase.
    pub transactions: Vec<String>,
    /// The ids that gifts were given by, by their names.
    pub gifts: Vec<String>,
    /// `GET /v1/account/credits`.
    pub credits: Value,
    /// The same before the sweep did what was due, if something was.
    pub before: Value,
    /// `GET /v1/account/credits/history`, every page, newest first.
    pub entries: Vec<Value>,
    /// `GET /v1/account/purchases`, every page.
    pub purchases: Vec<Value>,
    /// `GET /v1/account/credits/entries/{id}/trail` of some entries, by their ids.
    pub trails: Vec<(String, Value)>,
    /// The rows of the workspace's partition of the billing table.
    pub rows: Vec<Value>,
}

impl Evidence {
    /// Rows whose sort key begins so.
    pub fn rows_at<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Value> {
        self.rows.iter().filter(move |row| text(row, "sk").starts_with(prefix))
    }

    /// Whether the API shows something that the table does not have yet: what has expired or came back to a refunded lot.
    pub fn due(&self) -> bool {
        let row = |lot: &Value| self.rows_at("BOOK#LOT#").find(|row| row["id"] == lot["id"]);
        self.lots().iter().any(|lot| row(lot).is_some_and(|row| row["remaining"] != lot["remaining"]))
    }

    /// The lots, as the API shows them.
    pub fn lots(&self) -> &[Value] {
        self.credits["grants"].as_array().map_or(&[], Vec::as_slice)
    }
}

/// A member that is a text; empty if it is none.
pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// A member that is an integer; zero if it is none.
pub fn number(value: &Value, name: &str) -> i64 {
    value[name].as_i64().unwrap_or_default()
}
