//! The tables as they are, read past all of our code.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Config, Credentials, Region},
    types::AttributeValue,
};
use local::Stack;
use serde_json::{Map, Value};

/// A client of the stack's tables.
pub struct Tables {
    client: Client,
    billing: String,
    verify: String,
}

impl Tables {
    pub fn of(stack: &Stack) -> Self {
        let (key, secret) = stack.credentials();
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(local::REGION))
            .endpoint_url(&stack.endpoints().dynamodb)
            .credentials_provider(Credentials::new(key, secret, None, None, "test"))
            .build();
        Self {
            client: Client::from_conf(config),
            billing: stack.table("BillingTable").unwrap().to_owned(),
            verify: stack.table("VerifyTable").unwrap().to_owned(),
        }
    }

    /// The rows of a partition of the billing table.
    pub async fn partition(&self, pk: &str) -> Vec<Value> {
        let query = self.client.query().table_name(&self.billing).consistent_read(true);
        let query = query.key_condition_expression("pk = :pk");
        let query = query.expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()));
        let items = query.into_paginator().items().send().try_collect().await.unwrap();
        items.into_iter().map(|item| json(AttributeValue::M(item))).collect()
    }

    /// The sweep will look at these lots when it next runs.
    pub async fn let_the_sweep_come(&self, rows: &[Value]) {
        for row in rows.iter().filter(|row| row["gsi1pk"] == "LOTS") {
            let key = |name: &str| AttributeValue::S(row[name].as_str().unwrap().to_owned());
            let update =
                self.client.update_item().table_name(&self.billing).key("pk", key("pk")).key("sk", key("sk"));
            let update = update
                .update_expression("SET gsi1sk = :then")
                .condition_expression("attribute_exists(gsi1pk)");
            let then = AttributeValue::S(format!("2020-01-01T00:00:00Z#{}", row["id"].as_str().unwrap()));
            update.expression_attribute_values(":then", then).send().await.unwrap();
        }
    }

    /// The provider's ids of the calls that stand so.
    pub async fn calls(&self, status: &str) -> BTreeSet<String> {
        self.index(&self.billing, &format!("INBOUND#paddle#{status}"), "event_id").await
    }

    /// The tasks that have not come to an end.
    pub async fn open_tasks(&self) -> BTreeSet<String> {
        self.index(&self.verify, "OPEN", "id").await
    }

    /// A member of every row in a partition of a table's second index.
    async fn index(&self, table: &str, pk: &str, member: &str) -> BTreeSet<String> {
        let query = self.client.query().table_name(table).index_name("gsi2");
        let query = query.key_condition_expression("gsi2pk = :pk").projection_expression(member);
        let query = query.expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()));
        let items = query.into_paginator().items().send().try_collect().await.unwrap();
        items.into_iter().filter_map(|item| item.get(member)?.as_s().ok().cloned()).collect()
    }
}

fn json(value: AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => text.into(),
        AttributeValue::N(digits) => digits.parse::<i64>().map_or(Value::String(digits), Into::into),
        AttributeValue::Bool(flag) => flag.into(),
        AttributeValue::L(list) => list.into_iter().map(json).collect(),
        AttributeValue::M(map) => {
            map.into_iter().map(|(name, value)| (name, json(value))).collect::<Map<_, _>>().into()
        }
        _ => Value::Null,
    }
}
