//! What an operator can do beside the API: move credits, and make time pass by setting what is kept of it.

use std::collections::BTreeMap;

use aws::Item;
use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Config, Credentials, Region},
    types::{AttributeValue, PutRequest, WriteRequest},
};
use local::{Stack, StackFile, accounts::Accounts};

use super::App;

const LONG_AGO: &str = "2020-01-01T00:00:00Z";

pub struct Operator {
    pub accounts: Accounts,
    dynamodb: Client,
    tables: BTreeMap<String, String>,
}

impl Operator {
    pub fn of(stack: &Stack) -> Self {
        let (key, secret) = stack.credentials();
        let dynamodb = client(&stack.endpoints().dynamodb, &key, &secret);
        let tables = ["AccountTable", "BillingTable", "VerifyTable"]
            .map(|name| (name.to_owned(), stack.table(name).unwrap().to_owned()));
        Self { accounts: Accounts::of(stack).unwrap(), dynamodb, tables: tables.into() }
    }

    pub fn of_file(file: &StackFile) -> Self {
        let dynamodb = client(&file.endpoints.dynamodb, &file.access_key_id, &file.secret_access_key);
        Self { accounts: Accounts::of_file(file).unwrap(), dynamodb, tables: file.tables.clone() }
    }

    /// Grants credits; `false` if this source id has had its grant.
    pub async fn grant(&self, app: &App, source_id: &str, credits: u64) -> bool {
        self.accounts.give(app.workspace, source_id, credits).await.unwrap()
    }

    /// Charges until so many credits are left.
    pub async fn leave(&self, app: &App, credits: u64) {
        self.accounts.leave(app.workspace, credits).await.unwrap();
    }

    /// The link of an upload ended long ago, and the sweep's time has come.
    pub async fn let_the_link_end(&self, app: &App, task: &str) {
        let key = (format!("WSP#{}", app.workspace), format!("TASK#{task}"));
        self.set(&key, "upload_until", AttributeValue::S(LONG_AGO.to_owned())).await;
        self.let_the_sweep_come(app, task).await;
    }

    /// The sweep will look at the task when it next runs.
    pub async fn let_the_sweep_come(&self, app: &App, task: &str) {
        let key = (format!("WSP#{}", app.workspace), format!("TASK#{task}"));
        self.set(&key, "gsi2sk", AttributeValue::S(format!("{LONG_AGO}#{task}"))).await;
    }

    /// Ten thousand items in a partition, with sort keys that begin so and end in an id; `id` names the attribute that has it too.
    pub async fn fill(&self, table: &str, pk: &str, sk: &str, id: Option<&str>, more: &serde_json::Value) {
        let name = self.tables[table].clone();
        let (folder, prefix) = sk.split_once('#').unwrap();
        for _ in 0..400 {
            let requests = (0..25).map(|_| {
                let own = piecework_core::EventId::new().to_string().replace("evt", prefix);
                let mut item = more.clone();
                item["pk"] = pk.into();
                item["sk"] = format!("{folder}#{own}").into();
                if let Some(id) = id {
                    item[id] = own.into();
                }
                let put = PutRequest::builder().set_item(Some(serde_dynamo::to_item(item).unwrap())).build();
                WriteRequest::builder().put_request(put.unwrap()).build()
            });
            let request = self.dynamodb.batch_write_item().request_items(&name, requests.collect());
            assert!(request.send().await.unwrap().unprocessed_items().unwrap().is_empty());
        }
    }

    /// The time of the customer's lots that expire is over, and so is the wait for the sweep.
    pub async fn let_the_lots_end(&self, app: &App) {
        let pk = format!("WSP#{}", app.workspace);
        let query = self.dynamodb.query().table_name(self.name("BillingTable"));
        let query = query.key_condition_expression("pk = :pk AND begins_with(sk, :lot)");
        let query = query.expression_attribute_values(":pk", AttributeValue::S(pk));
        let query = query.expression_attribute_values(":lot", AttributeValue::S("BOOK#LOT#".to_owned()));
        for lot in query.send().await.unwrap().items().iter().filter(|lot| lot.contains_key("gsi1sk")) {
            let key = ["pk", "sk"].map(|name| lot[name].as_s().unwrap().clone());
            for (name, value) in
                [("expires_at", LONG_AGO.to_owned()), ("gsi1sk", format!("{LONG_AGO}#{}", key[1]))]
            {
                self.set_in("BillingTable", &key.clone().into(), name, AttributeValue::S(value)).await;
            }
        }
    }

    /// The claims on the task's chunks have run out.
    pub async fn let_the_leases_end(&self, app: &App, task: &str) {
        let part = format!("TASK#{}#{task}", app.workspace);
        let query = self.dynamodb.query().table_name(self.name("VerifyTable"));
        let query = query.key_condition_expression("pk = :pk AND begins_with(sk, :chunk)");
        let query = query.expression_attribute_values(":pk", AttributeValue::S(part));
        let query = query.expression_attribute_values(":chunk", AttributeValue::S("CHUNK#".to_owned()));
        for chunk in query.send().await.unwrap().items() {
            if chunk.contains_key("lease_until") {
                let key = ["pk", "sk"].map(|name| chunk[name].as_s().unwrap().clone());
                self.set(&key.into(), "lease_until", AttributeValue::N("0".to_owned())).await;
            }
        }
    }

    /// The claims of requests under way have run out: every one in the table, for a record does not say whose it is.
    pub async fn let_the_claims_end(&self) {
        for table in ["VerifyTable", "BillingTable"] {
            self.let_the_claims_of_end(table).await;
        }
    }

    async fn let_the_claims_of_end(&self, table: &str) {
        let scan = self.dynamodb.scan().table_name(self.name(table)).consistent_read(true);
        let scan = scan.filter_expression("sk = :idem AND attribute_not_exists(reply)");
        let found = scan.expression_attribute_values(":idem", AttributeValue::S("IDEM".to_owned()));
        for record in found.send().await.unwrap().items() {
            let key = ["pk", "sk"].map(|name| record[name].as_s().unwrap().clone());
            self.set_in(table, &key.into(), "lock_until", AttributeValue::N("0".to_owned())).await;
        }
    }

    /// The kinds of the events of an entity, oldest first.
    pub async fn events(&self, table: &str, pk: &str) -> Vec<String> {
        let query = self.dynamodb.query().table_name(table).consistent_read(true);
        let query = query.key_condition_expression("pk = :pk AND begins_with(sk, :event)");
        let query = query.expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()));
        let query = query.expression_attribute_values(":event", AttributeValue::S("EVENT#".to_owned()));
        let found = query.send().await.unwrap();
        let kind = |item: &Item| item["event"].as_m().unwrap()["kind"].as_s().unwrap().clone();
        found.items().iter().map(kind).collect()
    }

    /// Every session was refreshed long ago.
    pub async fn age_sessions(&self, table: &str) {
        self.set_all(table, "SESSION", "rotated_at", "0").await;
    }

    /// Every session has ended, and time to live has yet to see it.
    pub async fn end_sessions(&self, table: &str) {
        self.set_all(table, "SESSION", "expires_at", "1").await;
    }

    /// Every login under way has run out of time.
    pub async fn end_logins(&self, table: &str) {
        self.set_all(table, "LOGIN", "expires_at", "1").await;
    }

    async fn set_all(&self, table: &str, sk: &str, attribute: &str, value: &str) {
        let scan = self.dynamodb.scan().table_name(table).consistent_read(true).filter_expression("sk = :sk");
        let found =
            scan.expression_attribute_values(":sk", AttributeValue::S(sk.to_owned())).send().await.unwrap();
        assert!(!found.items().is_empty(), "nothing to change");
        for item in found.items() {
            let update = self.dynamodb.update_item().table_name(table);
            let update = update.key("pk", item["pk"].clone()).key("sk", item["sk"].clone());
            let update = update.update_expression("SET #a = :v").expression_attribute_names("#a", attribute);
            let value = AttributeValue::N(value.to_owned());
            update.expression_attribute_values(":v", value).send().await.unwrap();
        }
    }

    /// Every item of a table.
    pub async fn items(&self, table: &str) -> Vec<Item> {
        let scan = self.dynamodb.scan().table_name(self.name(table)).consistent_read(true);
        let mut pages = scan.into_paginator().items().send();
        let mut items = Vec::new();
        while let Some(item) = pages.next().await {
            items.push(item.unwrap());
        }
        items
    }

    /// How many users have this name.
    pub async fn named(&self, table: &str, name: &str) -> usize {
        let scan = self.dynamodb.scan().table_name(table).consistent_read(true);
        let scan =
            scan.filter_expression("sk = :profile AND #n = :name").expression_attribute_names("#n", "name");
        let scan = scan.expression_attribute_values(":profile", AttributeValue::S("PROFILE".to_owned()));
        let mut pages = scan
            .expression_attribute_values(":name", AttributeValue::S(name.to_owned()))
            .into_paginator()
            .items()
            .send();
        let mut count = 0;
        while let Some(item) = pages.next().await {
            item.unwrap();
            count += 1;
        }
        count
    }

    /// The time of an invitation is over, and its address can be invited again.
    pub async fn let_the_invitation_end(&self, workspace: &str, invitation: &str) {
        let pk = format!("WSP#{workspace}");
        let key = (pk.clone(), format!("INVITE#{invitation}"));
        let ended = AttributeValue::S(LONG_AGO.to_owned());
        self.set_in("AccountTable", &key, "valid_until", ended).await;
        let query = self.dynamodb.query().table_name(self.name("AccountTable"));
        let query = query.key_condition_expression("pk = :pk AND begins_with(sk, :invited)");
        let query = query.expression_attribute_values(":pk", AttributeValue::S(pk));
        let query = query.expression_attribute_values(":invited", AttributeValue::S("INVITED#".to_owned()));
        for invited in query.send().await.unwrap().items() {
            let key = ["pk", "sk"].map(|name| invited[name].as_s().unwrap().clone());
            let ended = AttributeValue::N("0".to_owned());
            self.set_in("AccountTable", &key.into(), "expires_at", ended).await;
        }
    }

    /// The item as it is kept.
    pub async fn item(&self, table: &str, pk: &str, sk: &str) -> Option<Item> {
        let get = self.dynamodb.get_item().table_name(self.name(table)).consistent_read(true);
        let get = get.key("pk", AttributeValue::S(pk.to_owned())).key("sk", AttributeValue::S(sk.to_owned()));
        get.send().await.unwrap().item
    }

    /// Every item of a table, as text to be searched.
    pub async fn dump(&self, table: &str) -> String {
        self.items(table).await.iter().map(|item| format!("{item:?}\n")).collect()
    }

    /// Makes the accounts of this stack known to another, with their keys.
    pub async fn lend_accounts(&self, to: &Self) {
        for item in self.items("AccountTable").await {
            let put = to.dynamodb.put_item().table_name(to.name("AccountTable")).set_item(Some(item));
            put.send().await.unwrap();
        }
    }

    fn name(&self, table: &str) -> &str {
        &self.tables[table]
    }

    async fn set(&self, key: &(String, String), attribute: &str, value: AttributeValue) {
        self.set_in("VerifyTable", key, attribute, value).await;
    }

    async fn set_in(&self, table: &str, (pk, sk): &(String, String), attribute: &str, value: AttributeValue) {
        let update = self.dynamodb.update_item().table_name(self.name(table));
        let update = update.key("pk", AttributeValue::S(pk.clone())).key("sk", AttributeValue::S(sk.clone()));
        let update = update.update_expression("SET #a = :v").condition_expression("attribute_exists(pk)");
        let update =
            update.expression_attribute_names("#a", attribute).expression_attribute_values(":v", value);
        update.send().await.unwrap();
    }
}

fn client(endpoint: &str, key: &str, secret: &str) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(local::REGION))
        .endpoint_url(endpoint)
        .credentials_provider(Credentials::new(key, secret, None, None, "test"))
        .build();
    Client::from_conf(config)
}
