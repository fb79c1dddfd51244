//! One area's table: typed reads and single writes. `pk` and `sk`, indexes `gsi1` and `gsi2`, `expires_at`.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, KeysAndAttributes, ReturnValue, WriteRequest};
use serde::{Serialize, de::DeserializeOwned};

use crate::{Clients, Cond, Error, Update, expression::Names, sdk_error};

pub(crate) const SERVICE: &str = "DynamoDB";
/// Items that are read to be deleted: a bound on memory.
const ERASED_AT_ONCE: u32 = 200;

/// A stored item.
pub type Item = HashMap<String, AttributeValue>;

/// A primary key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
}

impl Key {
    /// A key.
    pub fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }

    pub(crate) fn item(&self) -> Item {
        HashMap::from([
            ("pk".to_owned(), AttributeValue::S(self.pk.clone())),
            ("sk".to_owned(), AttributeValue::S(self.sk.clone())),
        ])
    }
}

/// A query of one partition, of the table or of an index.
#[derive(Debug, Clone)]
pub struct Query {
    index: Option<&'static str>,
    pk: String,
    range: Range,
    newest_first: bool,
    limit: Option<u32>,
    start: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Clone)]
enum Range {
    All,
    Prefix(String),
    Between(String, String),
}

impl Query {
    /// The partition `pk` of the table itself, read consistently.
    pub fn partition(pk: impl Into<String>) -> Self {
        Self { index: None, pk: pk.into(), range: Range::All, newest_first: false, limit: None, start: None }
    }
    /// The partition `pk` of `gsi1` or `gsi2`: eventually consistent.
    pub fn index(index: &'static str, pk: impl Into<String>) -> Self {
        Self { index: Some(index), ..Self::partition(pk) }
    }
    /// Only sort keys that begin so.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.range = Range::Prefix(prefix.into());
        self
    }
    /// Only sort keys from `low` to `high`, both included.
    #[must_use]
    pub fn between(mut self, low: impl Into<String>, high: impl Into<String>) -> Self {
        self.range = Range::Between(low.into(), high.into());
        self
    }
    /// Last sort key first.
    #[must_use]
    pub fn newest_first(mut self) -> Self {
        self.newest_first = true;
        self
    }
    /// At most so many items.
    #[must_use]
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = Some(limit);
        self
    }
    /// Behind this key.
    #[must_use]
    pub fn start(mut self, start: Option<BTreeMap<String, String>>) -> Self {
        self.start = start;
        self
    }
}

/// What a query found.
#[derive(Debug, Clone)]
pub struct Found<T> {
    /// The items, in order.
    pub items: Vec<T>,
    /// Where the next page starts; `None` means that there is none.
    pub next: Option<BTreeMap<String, String>>,
}

/// A table.
#[derive(Clone)]
pub struct Table {
    pub(crate) clients: Clients,
    pub(crate) name: String,
}

impl Table {
    /// The table of this name.
    pub fn new(clients: &Clients, name: &str) -> Self {
        Self { clients: clients.clone(), name: name.to_owned() }
    }

    /// The item at `key`, read consistently.
    pub async fn get<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, Error> {
        let request = self
            .clients
            .dynamodb()
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key.item()))
            .consistent_read(true);
        let answer = request.send().await.map_err(|e| sdk_error(SERVICE, "GetItem", e))?;
        Ok(answer.item.map(serde_dynamo::from_item).transpose()?)
    }

    /// Items of one partition, in order of the sort key. Stops at the limit; without one reads to the end.
    pub async fn query<T: DeserializeOwned>(&self, query: Query) -> Result<Found<T>, Error> {
        let mut names = Names::default();
        let (pk, sk) = match query.index {
            None => ("pk".to_owned(), "sk".to_owned()),
            Some(index) => (format!("{index}pk"), format!("{index}sk")),
        };
        let mut condition = format!("{} = {}", names.name(&pk), names.value(query.pk.into()));
        match query.range {
            Range::All => {}
            Range::Prefix(p) => {
                condition.push_str(&format!(
                    " AND begins_with({}, {})",
                    names.name(&sk),
                    names.value(p.into())
                ));
            }
            Range::Between(low, high) => condition.push_str(&format!(
                " AND {} BETWEEN {} AND {}",
                names.name(&sk),
                names.value(low.into()),
                names.value(high.into())
            )),
        }
        let mut items = Vec::new();
        let mut start =
            query.start.map(|s| s.into_iter().map(|(k, v)| (k, AttributeValue::S(v))).collect::<Item>());
        loop {
            let left = query.limit.map(|l| l.saturating_sub(u32::try_from(items.len()).unwrap_or(u32::MAX)));
            let answer = self
                .clients
                .dynamodb()
                .query()
                .table_name(&self.name)
                .set_index_name(query.index.map(str::to_owned))
                .consistent_read(query.index.is_none())
                .key_condition_expression(&condition)
                .set_expression_attribute_names(names.names())
                .set_expression_attribute_values(names.values())
                .scan_index_forward(!query.newest_first)
                .set_limit(left.map(|l| i32::try_from(l).unwrap_or(i32::MAX)))
                .set_exclusive_start_key(start.take())
                .send()
                .await
                .map_err(|e| sdk_error(SERVICE, "Query", e))?;
            for item in answer.items.unwrap_or_default() {
                items.push(serde_dynamo::from_item(item)?);
            }
            start = answer.last_evaluated_key;
            let full = query.limit.is_some_and(|l| items.len() >= l as usize);
            if start.is_none() || full {
                break;
            }
        }
        let next = start.map(|key| {
            key.into_iter()
                .filter_map(|(k, v)| v.as_s().ok().map(|s| (k, s.clone())))
                .collect::<BTreeMap<_, _>>()
        });
        Ok(Found { items, next })
    }

    /// Changes one item. `None` if a condition did not hold; otherwise the item after the change.
    pub async fn update<T: DeserializeOwned>(&self, update: Update) -> Result<Option<T>, Error> {
        let (key, expression, condition, names) = update.render();
        let answer = self
            .clients
            .dynamodb()
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key.item()))
            .update_expression(expression)
            .set_condition_expression(condition)
            .set_expression_attribute_names(names.names())
            .set_expression_attribute_values(names.values())
            .return_values(ReturnValue::AllNew)
            .send()
            .await;
        match answer {
            Ok(answer) => Ok(answer.attributes.map(serde_dynamo::from_item).transpose()?),
            Err(e) if e.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) => {
                Ok(None)
            }
            Err(e) => Err(sdk_error(SERVICE, "UpdateItem", e)),
        }
    }

    /// Writes one item if the condition holds; says whether it did.
    pub async fn put<T: Serialize>(&self, item: &T, condition: Option<Cond>) -> Result<bool, Error> {
        let mut names = Names::default();
        let condition = condition.map(|c| names.condition(c));
        let answer = self
            .clients
            .dynamodb()
            .put_item()
            .table_name(&self.name)
            .set_item(Some(serde_dynamo::to_item(item)?))
            .set_condition_expression(condition)
            .set_expression_attribute_names(names.names())
            .set_expression_attribute_values(names.values())
            .send()
            .await;
        match answer {
            Ok(_) => Ok(true),
            Err(e) if e.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) => {
                Ok(false)
            }
            Err(e) => Err(sdk_error(SERVICE, "PutItem", e)),
        }
    }

    /// The items at these keys that exist, in no order. Any number of keys; a hundred a call.
    pub async fn get_many<T: DeserializeOwned>(&self, keys: &[Key]) -> Result<Vec<T>, Error> {
        let mut found = Vec::with_capacity(keys.len());
        for hundred in keys.chunks(100) {
            let mut left: Vec<Item> = hundred.iter().map(Key::item).collect();
            let mut backoff = Backoff::default();
            while !left.is_empty() {
                let wanted = KeysAndAttributes::builder()
                    .set_keys(Some(std::mem::take(&mut left)))
                    .consistent_read(true)
                    .build()
                    .map_err(|e| Error::Shape(e.to_string()))?;
                let answer = self
                    .clients
                    .dynamodb()
                    .batch_get_item()
                    .request_items(&self.name, wanted)
                    .send()
                    .await
                    .map_err(|e| sdk_error(SERVICE, "BatchGetItem", e))?;
                for item in answer.responses.unwrap_or_default().remove(&self.name).unwrap_or_default() {
                    found.push(serde_dynamo::from_item(item)?);
                }
                if let Some(rest) = answer.unprocessed_keys.unwrap_or_default().remove(&self.name) {
                    left = rest.keys;
                    backoff.pause("BatchGetItem").await?;
                }
            }
        }
        Ok(found)
    }
}

impl Table {
    /// Deletes the items at these keys, those that are there. Any number of keys, none twice; 25 a call.
    pub async fn delete_many(&self, keys: &[Key]) -> Result<(), Error> {
        for some in keys.chunks(25) {
            let request = |key: &Key| {
                let delete = DeleteRequest::builder().set_key(Some(key.item())).build();
                delete.map(|delete| WriteRequest::builder().delete_request(delete).build())
            };
            let requests = some.iter().map(request).collect::<Result<Vec<_>, _>>();
            let mut left = requests.map_err(|e| Error::Shape(e.to_string()))?;
            let mut backoff = Backoff::default();
            while !left.is_empty() {
                let answer = self
                    .clients
                    .dynamodb()
                    .batch_write_item()
                    .request_items(&self.name, std::mem::take(&mut left))
                    .send()
                    .await
                    .map_err(|e| sdk_error(SERVICE, "BatchWriteItem", e))?;
                if let Some(rest) = answer.unprocessed_items.unwrap_or_default().remove(&self.name) {
                    left = rest;
                    backoff.pause("BatchWriteItem").await?;
                }
            }
        }
        Ok(())
    }

    /// Deletes what a query finds, page by page; how many items that were.
    pub async fn delete_found(&self, query: Query) -> Result<u64, Error> {
        #[derive(serde::Deserialize)]
        struct Found {
            pk: String,
            sk: String,
        }
        let mut deleted = 0;
        loop {
            // From the beginning each time: what was there is gone.
            let found = self.query::<Found>(query.clone().limit(ERASED_AT_ONCE)).await?.items;
            if found.is_empty() {
                return Ok(deleted);
            }
            let keys: Vec<Key> = found.into_iter().map(|item| Key::new(item.pk, item.sk)).collect();
            self.delete_many(&keys).await?;
            deleted += keys.len() as u64;
        }
    }
}

/// Waits between tries: twice as long each time, with jitter, seven tries at most.
#[derive(Default)]
pub(crate) struct Backoff(u32);

impl Backoff {
    pub(crate) async fn pause(&mut self, operation: &'static str) -> Result<(), Error> {
        if self.0 >= 7 {
            return Err(Error::Unavailable {
                service: SERVICE,
                cause: format!("{operation} left work undone seven times"),
            });
        }
        let ceiling = 25u64 << self.0;
        self.0 += 1;
        tokio::time::sleep(std::time::Duration::from_millis(rand::random_range(ceiling / 2..=ceiling))).await;
        Ok(())
    }
}
