//! TransactWriteItems: a change, its event, its idempotency record and its credit effect, all or nothing.

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
        Update as SdkUpdate,
    },
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Clients, Cond, Error, Item, Key, Table, Update,
    expression::Names,
    sdk_error,
    table::{Backoff, SERVICE},
};

/// Writes that happen together, each with a label by which a refusal names it.
#[derive(Default)]
pub struct Transaction {
    actions: Vec<(&'static str, TransactWriteItem)>,
    clients: Option<Clients>,
    broken: Option<Error>,
}

/// Why a transaction did not happen.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// A condition did not hold; nothing was written.
    #[error("the condition of {label:?} did not hold")]
    Refused {
        /// The first action whose condition failed.
        label: &'static str,
        /// The item as it stands, if there is one.
        existing: Option<Item>,
    },
    /// The call itself failed. For [`Error::Unavailable`] the transaction may have happened.
    #[error(transparent)]
    Aws(#[from] Error),
}

impl CommitError {
    /// The item that stood in the way, if this is a refusal of `label`.
    pub fn refused<T: DeserializeOwned>(&self, wanted: &str) -> Option<Option<T>> {
        match self {
            Self::Refused { label, existing } if *label == wanted => {
                Some(existing.clone().and_then(|item| serde_dynamo::from_item(item).ok()))
            }
            _ => None,
        }
    }
}

impl From<CommitError> for Error {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Aws(error) => error,
            CommitError::Refused { label, .. } => Self::Refused {
                service: SERVICE,
                operation: "TransactWriteItems",
                cause: format!("condition of {label}"),
            },
        }
    }
}

impl Transaction {
    /// An empty transaction.
    pub fn new() -> Self {
        Self::default()
    }

    fn push(&mut self, label: &'static str, table: &Table, action: Result<TransactWriteItem, Error>) {
        self.clients.get_or_insert_with(|| table.clients.clone());
        match action {
            Ok(action) => self.actions.push((label, action)),
            Err(error) => self.broken = Some(error),
        }
    }

    /// Writes an item.
    pub fn put<T: Serialize>(
        &mut self,
        label: &'static str,
        table: &Table,
        item: &T,
        condition: Option<Cond>,
    ) {
        let mut names = Names::default();
        let condition = condition.map(|c| names.condition(c));
        let action = serde_dynamo::to_item(item).map_err(Error::from).and_then(|item| {
            Put::builder()
                .table_name(&table.name)
                .set_item(Some(item))
                .set_condition_expression(condition)
                .set_expression_attribute_names(names.names())
                .set_expression_attribute_values(names.values())
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
                .build()
                .map(|put| TransactWriteItem::builder().put(put).build())
                .map_err(|e| Error::Shape(e.to_string()))
        });
        self.push(label, table, action);
    }

    /// Writes an item that must not exist yet.
    pub fn create<T: Serialize>(&mut self, label: &'static str, table: &Table, item: &T) {
        self.put(label, table, item, Some(Cond::Absent("pk")));
    }

    /// Changes an item.
    pub fn update(&mut self, label: &'static str, table: &Table, update: Update) {
        let (key, expression, condition, names) = update.render();
        let action = SdkUpdate::builder()
            .table_name(&table.name)
            .set_key(Some(key.item()))
            .update_expression(expression)
            .set_condition_expression(condition)
            .set_expression_attribute_names(names.names())
            .set_expression_attribute_values(names.values())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map(|update| TransactWriteItem::builder().update(update).build())
            .map_err(|e| Error::Shape(e.to_string()));
        self.push(label, table, action);
    }

    /// Requires a condition of an item that is not changed.
    pub fn check(&mut self, label: &'static str, table: &Table, key: &Key, condition: Cond) {
        let mut names = Names::default();
        let condition = names.condition(condition);
        let action = ConditionCheck::builder()
            .table_name(&table.name)
            .set_key(Some(key.item()))
            .condition_expression(condition)
            .set_expression_attribute_names(names.names())
            .set_expression_attribute_values(names.values())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map(|check| TransactWriteItem::builder().condition_check(check).build())
            .map_err(|e| Error::Shape(e.to_string()));
        self.push(label, table, action);
    }

    /// Deletes an item.
    pub fn delete(&mut self, label: &'static str, table: &Table, key: &Key) {
        self.remove(label, table, key, None);
    }

    /// Deletes an item of which the condition must hold.
    pub fn delete_if(&mut self, label: &'static str, table: &Table, key: &Key, condition: Cond) {
        self.remove(label, table, key, Some(condition));
    }

    fn remove(&mut self, label: &'static str, table: &Table, key: &Key, condition: Option<Cond>) {
        let mut names = Names::default();
        let condition = condition.map(|c| names.condition(c));
        let action = Delete::builder()
            .table_name(&table.name)
            .set_key(Some(key.item()))
            .set_condition_expression(condition)
            .set_expression_attribute_names(names.names())
            .set_expression_attribute_values(names.values())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map(|delete| TransactWriteItem::builder().delete(delete).build())
            .map_err(|e| Error::Shape(e.to_string()));
        self.push(label, table, action);
    }

    /// Does it all or nothing. A conflict with another transaction is tried again; a refused condition is the caller's to judge.
    pub async fn commit(self) -> Result<(), CommitError> {
        if let Some(error) = self.broken {
            return Err(error.into());
        }
        let Some(clients) = self.clients else { return Ok(()) };
        let (labels, actions): (Vec<_>, Vec<_>) = self.actions.into_iter().unzip();
        let mut backoff = Backoff::default();
        loop {
            let answer = clients
                .dynamodb()
                .transact_write_items()
                .set_transact_items(Some(actions.clone()))
                .send()
                .await;
            let error = match answer {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            if let Some((label, existing)) = refusal(&labels, &error) {
                return Err(CommitError::Refused { label, existing });
            }
            if !conflicted(&error) {
                return Err(sdk_error(SERVICE, "TransactWriteItems", error).into());
            }
            backoff.pause("TransactWriteItems").await?;
        }
    }
}

type CommitFailure = SdkError<TransactWriteItemsError>;

fn refusal(labels: &[&'static str], error: &CommitFailure) -> Option<(&'static str, Option<Item>)> {
    let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error()
    else {
        return None;
    };
    let reasons = cancelled.cancellation_reasons();
    let at = reasons.iter().position(|r| r.code() == Some("ConditionalCheckFailed"))?;
    Some((labels.get(at).copied()?, reasons[at].item().cloned()))
}

/// Another transaction or write was at one of the items, or a partition was busy: the same transaction may pass in a moment.
fn conflicted(error: &CommitFailure) -> bool {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            cancelled.cancellation_reasons().iter().any(|r| {
                matches!(
                    r.code(),
                    Some("TransactionConflict" | "ProvisionedThroughputExceeded" | "ThrottlingError")
                )
            })
        }
        Some(TransactWriteItemsError::TransactionInProgressException(_)) => true,
        _ => false,
    }
}
