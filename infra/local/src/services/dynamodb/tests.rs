use super::*;
use crate::template::model::ResourceId;

fn table(sort_key: &str) -> Plain {
    Plain {
        id: ResourceId { stack: "s".into(), logical: "Table".into() },
        name: "piecework-table".into(),
        properties: json!({
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": sort_key, "AttributeType": "S"},
            ],
            "KeySchema": [
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": sort_key, "KeyType": "RANGE"},
            ],
            "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"},
            "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": true},
        }),
    }
}

/// The service with its table.
async fn start(folder: &Path) -> Dynamo {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dynamo = Dynamo::start(listener, folder.join("db.sqlite")).await.unwrap();
    dynamo.ensure_table(&table("sk")).await.unwrap();
    dynamo
}

fn database(dynamo: &Dynamo) -> &Database {
    let Side::Embedded(embedded) = &dynamo.0 else { panic!("not ours") };
    &embedded.database
}

fn put(dynamo: &Dynamo, sk: &str, expires_at: &str) {
    let item = json!({"pk": {"S": "p"}, "sk": {"S": sk}, "expires_at": {"N": expires_at}});
    let request = json!({"TableName": "piecework-table", "Item": item});
    database(dynamo).put_item(serde_json::from_value(request).unwrap()).unwrap();
}

#[tokio::test]
async fn a_stream_is_read_from_any_position_and_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let dynamo = start(folder.path()).await;
    let stream = dynamo.stream("piecework-table");
    assert_eq!(stream.latest().await.unwrap(), START);
    put(&dynamo, "a", "9999999999");
    put(&dynamo, "b", "9999999999");
    let all = stream.after(START, 10).await.unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].json["dynamodb"]["NewImage"]["sk"]["S"], "a");
    assert_eq!(all[0].json["awsRegion"], "us-east-1");
    assert_eq!(stream.latest().await.unwrap(), all[1].position);
    assert_eq!(stream.after(&all[0].position, 10).await.unwrap().len(), 1);
    drop(stream);
    dynamo.stop().await;

    let dynamo = start(folder.path()).await;
    put(&dynamo, "c", "9999999999");
    let later = dynamo.stream("piecework-table").after(&all[1].position, 10).await.unwrap();
    assert_eq!(later.len(), 1);
    assert_eq!(later[0].json["dynamodb"]["NewImage"]["sk"]["S"], "c");
    dynamo.stop().await;
}

#[tokio::test]
async fn a_record_of_a_write_that_changed_nothing_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let dynamo = start(folder.path()).await;
    for expires_at in ["9999999998", "9999999998", "9999999999"] {
        put(&dynamo, "a", expires_at);
    }
    let records = dynamo.stream("piecework-table").after(START, 10).await.unwrap();
    let silent: Vec<_> = records.iter().map(StreamRecord::changes_nothing).collect();
    assert_eq!(silent, [false, true, false]);
    dynamo.stop().await;
}

#[tokio::test]
async fn expired_items_are_removed_by_the_service_and_the_stream_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let dynamo = start(folder.path()).await;
    let yesterday = jiff::Timestamp::now().as_second() - 86_400;
    put(&dynamo, "old", &yesterday.to_string());
    assert_eq!(database(&dynamo).sweep_ttl().unwrap(), 1);
    let records = dynamo.stream("piecework-table").after(START, 10).await.unwrap();
    assert_eq!(records[1].json["eventName"], "REMOVE");
    assert_eq!(records[1].json["userIdentity"]["principalId"], "dynamodb.amazonaws.com");
    dynamo.stop().await;
}

#[tokio::test]
async fn a_table_whose_keys_have_changed_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let dynamo = start(folder.path()).await;
    let changed = dynamo.ensure_table(&table("other")).await;
    assert!(matches!(changed, Err(Error::TableChanged(name)) if name == "piecework-table"));
    dynamo.stop().await;
}
