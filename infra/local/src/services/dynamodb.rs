//! DynamoDB and its streams: dynoxide over a SQLite file, or another cloud's.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dynoxide::Database;
use dynoxide::actions::create_table::CreateTableRequest;
use dynoxide::actions::describe_table::DescribeTableRequest;
use dynoxide::actions::get_records::{GetRecordsRequest, Record};
use dynoxide::actions::get_shard_iterator::encode_shard_iterator;
use dynoxide::actions::update_time_to_live::UpdateTimeToLiveRequest;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::wire::{Api, Wire};
use crate::Error;
use crate::template::model::Plain;

/// How often expired items are deleted. AWS takes days; a stack is looked at now.
const TTL_SWEEP: Duration = Duration::from_secs(5);
/// Stream records live 24 hours, as on AWS.
const STREAM_RETENTION_SECONDS: i64 = 24 * 3600;
/// Added to dynoxide's stored sequence numbers to make the public 21 digits.
const SEQUENCE_OFFSET: u128 = 100_000_000_000_000_000_000;

/// What `CreateTable` and the template call by the same name.
const TABLE_PROPERTIES: &[&str] = &[
    "AttributeDefinitions",
    "BillingMode",
    "GlobalSecondaryIndexes",
    "KeySchema",
    "LocalSecondaryIndexes",
    "ProvisionedThroughput",
];

/// DynamoDB.
pub struct Dynamo(Side);

enum Side {
    Embedded(Embedded),
    Elsewhere(Wire),
}

/// dynoxide, in this process.
struct Embedded {
    database: Database,
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl Dynamo {
    /// Opens the database file and serves it.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub async fn start(listener: TcpListener, path: PathBuf) -> Result<Self, Error> {
        let database = blocking(move || open(&path)).await?;
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        let (db, token) = (database.clone(), stop.clone());
        tasks.spawn(async move {
            if let Err(reason) =
                dynoxide::server::serve_with_shutdown(listener, db, token.cancelled_owned()).await
            {
                tracing::error!(reason, "DynamoDB stopped");
            }
        });
        let (db, token) = (database.clone(), stop.clone());
        tasks.spawn(async move {
            while token.run_until_cancelled(tokio::time::sleep(TTL_SWEEP)).await.is_some() {
                let db = db.clone();
                if let Err(error) = blocking(move || Ok(db.sweep_ttl()?)).await {
                    tracing::warn!(%error, "TTL sweep failed");
                }
            }
        });
        Ok(Self(Side::Embedded(Embedded { database, tasks, stop })))
    }

    /// That of another cloud.
    pub(crate) fn elsewhere(wire: Wire) -> Self {
        Self(Side::Elsewhere(wire))
    }

    /// Makes the table unless it is there.
    ///
    /// # Errors
    /// If the declaration is refused, or a table of that name has other keys or indexes.
    pub async fn ensure_table(&self, table: &Plain) -> Result<(), Error> {
        match &self.0 {
            Side::Embedded(embedded) => {
                let (database, table) = (embedded.database.clone(), table.clone());
                blocking(move || ensure_table(&database, &table)).await
            }
            Side::Elsewhere(wire) => ensure_table_elsewhere(wire, table).await,
        }
    }

    /// Reads the stream of a table.
    pub fn stream(&self, table: &str) -> TableStream {
        let table = table.to_owned();
        match &self.0 {
            Side::Embedded(embedded) => {
                TableStream(StreamSide::Embedded { database: embedded.database.clone(), table })
            }
            Side::Elsewhere(wire) => {
                TableStream(StreamSide::Elsewhere { wire: wire.clone(), table, at: Mutex::default() })
            }
        }
    }

    /// Ends the server; requests in progress finish.
    pub async fn stop(self) {
        let Side::Embedded(mut embedded) = self.0 else { return };
        embedded.stop.cancel();
        // A client that keeps half a request open must not keep the stack from ending.
        let ended = async { while embedded.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(Duration::from_secs(1), ended).await;
    }
}

/// A place in a stream, after which to go on: digits, which only the service that gave them understands. [`START`] is before
/// everything.
pub(crate) type Position = String;

/// Before the first record.
pub(crate) const START: &str = "0";

/// A table's stream: one shard, in the order of writing.
pub struct TableStream(StreamSide);

enum StreamSide {
    Embedded { database: Database, table: String },
    Elsewhere { wire: Wire, table: String, at: Mutex<Option<Reader>> },
}

/// An iterator of another cloud's, and the position where it goes on.
struct Reader {
    position: Position,
    iterator: Value,
}

/// A stream record with its position.
#[derive(Debug, Clone)]
pub struct StreamRecord {
    /// Position in the stream, after all before.
    pub position: Position,
    /// The record as Lambda gets it, without `eventSourceARN`.
    pub json: Value,
}

impl StreamRecord {
    /// Whether nothing has changed. DynamoDB writes no record of such a put or update ("Change data capture for DynamoDB Streams" in
    /// the developer guide), dynoxide does; whoever follows a stream passes it over.
    pub(crate) fn changes_nothing(&self) -> bool {
        let images = &self.json["dynamodb"];
        self.json["eventName"] == "MODIFY"
            && images["OldImage"].is_object()
            && images["OldImage"] == images["NewImage"]
    }
}

impl TableStream {
    /// Up to `limit` records after `position`.
    ///
    /// # Errors
    /// If the database does.
    pub async fn after(&self, position: &str, limit: usize) -> Result<Vec<StreamRecord>, Error> {
        match &self.0 {
            StreamSide::Embedded { database, table } => {
                let place = || Error::DataDir(format!("{position} is no position in a stream"));
                let position = position.parse().map_err(|_| place())?;
                let (database, table) = (database.clone(), table.clone());
                let read = move || -> Result<_, Error> {
                    let shard = dynoxide::streams::shard_id(&table);
                    let shard_iterator = encode_shard_iterator(&table, &shard, position);
                    let request = GetRecordsRequest { shard_iterator, limit: Some(limit) };
                    Ok(database.get_records(request)?.records)
                };
                blocking(read).await?.into_iter().map(record).collect()
            }
            StreamSide::Elsewhere { wire, table, at } => {
                let kept = lock(at).take().filter(|reader| reader.position == position);
                let iterator = match kept {
                    Some(reader) => reader.iterator,
                    None => iterator(wire, table, position).await?,
                };
                let input = json!({"ShardIterator": iterator, "Limit": limit.clamp(1, 1000)});
                let answer = wire.call(Api::Streams, "GetRecords", &input).await?;
                let records = answer["Records"].as_array().cloned().unwrap_or_default();
                let records: Vec<_> = records.into_iter().map(foreign_record).collect();
                let position = records.last().map_or(position, |last| last.position.as_str()).to_owned();
                if answer["NextShardIterator"].is_string() {
                    let iterator = answer["NextShardIterator"].clone();
                    *lock(at) = Some(Reader { position, iterator });
                }
                Ok(records)
            }
        }
    }

    /// The position of the newest record; [`START`] if there is none.
    ///
    /// # Errors
    /// If the database does.
    pub async fn latest(&self) -> Result<Position, Error> {
        match &self.0 {
            StreamSide::Embedded { database, table } => {
                let (database, table) = (database.clone(), table.clone());
                let read = move || -> Result<_, Error> {
                    let request = json!({"StreamArn": dynoxide::streams::stream_arn(&table, "local")});
                    let described = database.describe_stream(serde_json::from_value(request)?)?;
                    let shard = described.stream_description.shards.into_iter().next();
                    Ok(shard.and_then(|s| s.sequence_number_range.ending_sequence_number))
                };
                Ok(blocking(read).await?.and_then(|s| stored(&s)).unwrap_or(0).to_string())
            }
            // An open shard does not say where it ends: it is read to its end.
            StreamSide::Elsewhere { .. } => {
                let mut position = START.to_owned();
                while let Some(last) = self.after(&position, 1000).await?.pop() {
                    position = last.position;
                }
                Ok(position)
            }
        }
    }

    /// The shard's name.
    pub(crate) fn shard_id(&self) -> String {
        match &self.0 {
            StreamSide::Embedded { table, .. } | StreamSide::Elsewhere { table, .. } => {
                dynoxide::streams::shard_id(table)
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An iterator that goes on after a position of a stream's only shard. Records that the service has forgotten are passed over.
async fn iterator(wire: &Wire, table: &str, position: &str) -> Result<Value, Error> {
    let streams = wire.call(Api::Streams, "ListStreams", &json!({"TableName": table})).await?;
    let stream = &streams["Streams"][0]["StreamArn"];
    let described = wire.call(Api::Streams, "DescribeStream", &json!({"StreamArn": stream})).await?;
    let shard = &described["StreamDescription"]["Shards"][0]["ShardId"];
    let mut input = json!({"StreamArn": stream, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
    let horizon = input.clone();
    if position != START {
        input["ShardIteratorType"] = "AFTER_SEQUENCE_NUMBER".into();
        input["SequenceNumber"] = position.into();
    }
    let given = match wire.call(Api::Streams, "GetShardIterator", &input).await {
        Err(error) if error.code() == "TrimmedDataAccessException" => {
            wire.call(Api::Streams, "GetShardIterator", &horizon).await
        }
        given => given,
    };
    Ok(given?["ShardIterator"].clone())
}

/// A record of the wire. Lambda writes the members of `userIdentity` small, the streams' own API large.
fn foreign_record(mut json: Value) -> StreamRecord {
    let identity = &json["userIdentity"];
    if identity.is_object() {
        let member = |names: [&str; 2]| names.iter().map(|n| &identity[*n]).find(|v| !v.is_null()).cloned();
        json["userIdentity"] = json!({
            "type": member(["type", "Type"]),
            "principalId": member(["principalId", "PrincipalId"]),
        });
    }
    let position = json["dynamodb"]["SequenceNumber"].as_str().unwrap_or(START).to_owned();
    json["awsRegion"] = crate::REGION.into();
    StreamRecord { position, json }
}

fn record(record: Record) -> Result<StreamRecord, Error> {
    let position = stored(&record.dynamodb.sequence_number).unwrap_or_default().to_string();
    let mut json = serde_json::to_value(record)?;
    json["awsRegion"] = crate::REGION.into();
    Ok(StreamRecord { position, json })
}

/// The stored form of a public sequence number.
pub(crate) fn stored(public: &str) -> Option<i64> {
    i64::try_from(public.parse::<u128>().ok()?.checked_sub(SEQUENCE_OFFSET)?).ok()
}

fn open(path: &Path) -> Result<Database, Error> {
    let text = path.to_str().ok_or_else(|| Error::DataDir("the path is not UTF-8".to_owned()))?;
    let database = Database::new(text)?;
    // Sets synchronous=NORMAL: with the write-ahead log a killed process loses nothing.
    database.disable_bulk_loading()?;
    // dynoxide looks for the newest record at every write and reads from a position at every poll, by scanning.
    let file = rusqlite::Connection::open(path)?;
    file.busy_timeout(Duration::from_secs(5))?;
    file.execute_batch(
        "CREATE INDEX IF NOT EXISTS _stream_position
         ON _stream_records (table_name, CAST(sequence_number AS INTEGER));",
    )?;
    let oldest = jiff::Timestamp::now().as_second() - STREAM_RETENTION_SECONDS;
    // The newest record stays, or its number could be given again.
    file.execute(
        "DELETE FROM _stream_records WHERE created_at < ?1
         AND id NOT IN (SELECT MAX(id) FROM _stream_records GROUP BY table_name)",
        [oldest],
    )?;
    Ok(database)
}

fn ensure_table(database: &Database, table: &Plain) -> Result<(), Error> {
    let describe = DescribeTableRequest { table_name: table.name.clone() };
    match database.describe_table(describe) {
        Ok(found) => {
            let found = serde_json::to_value(found.table)?;
            return same_keys(table, &found);
        }
        Err(dynoxide::DynoxideError::ResourceNotFoundException(_)) => {}
        Err(other) => return Err(other.into()),
    }
    let refused = |reason: String| Error::Resource { id: table.id.to_string(), reason };
    let request: CreateTableRequest =
        serde_json::from_value(creation(table)).map_err(|e| refused(e.to_string()))?;
    database.create_table(request).map_err(|e| refused(e.to_string()))?;
    if let Some(request) = time_to_live(table) {
        let request: UpdateTimeToLiveRequest = serde_json::from_value(request)?;
        database.update_time_to_live(request).map_err(|e| refused(e.to_string()))?;
    }
    Ok(())
}

async fn ensure_table_elsewhere(wire: &Wire, table: &Plain) -> Result<(), Error> {
    match wire.call(Api::DynamoDb, "DescribeTable", &json!({"TableName": table.name})).await {
        Ok(found) => return same_keys(table, &found["Table"]),
        Err(error) if error.code() == "ResourceNotFoundException" => {}
        Err(other) => return Err(other.into()),
    }
    let refused =
        |e: super::wire::WireError| Error::Resource { id: table.id.to_string(), reason: e.to_string() };
    wire.call(Api::DynamoDb, "CreateTable", &creation(table)).await.map_err(refused)?;
    if let Some(request) = time_to_live(table) {
        wire.call(Api::DynamoDb, "UpdateTimeToLive", &request).await.map_err(refused)?;
    }
    Ok(())
}

/// The input of `CreateTable`.
fn creation(table: &Plain) -> Value {
    let mut request = Map::from_iter([("TableName".to_owned(), Value::from(table.name.clone()))]);
    for key in TABLE_PROPERTIES {
        if let Some(value) = table.properties.get(*key) {
            request.insert((*key).to_owned(), value.clone());
        }
    }
    if let Some(view) = table.properties["StreamSpecification"]["StreamViewType"].as_str() {
        let stream = json!({"StreamEnabled": true, "StreamViewType": view});
        request.insert("StreamSpecification".to_owned(), stream);
    }
    request.into()
}

/// The input of `UpdateTimeToLive`, if the table wants it.
fn time_to_live(table: &Plain) -> Option<Value> {
    let ttl = &table.properties["TimeToLiveSpecification"];
    ttl.is_object().then(|| {
        json!({"TableName": table.name, "TimeToLiveSpecification": {
            "AttributeName": ttl["AttributeName"],
            "Enabled": ttl["Enabled"] == true || ttl["Enabled"] == "true",
        }})
    })
}

/// A data folder from before a change of keys cannot be used: say so instead of failing in odd ways.
fn same_keys(table: &Plain, found: &Value) -> Result<(), Error> {
    let indexes = |list: &Value| -> Vec<(String, Value)> {
        let items = list.as_array().into_iter().flatten();
        let mut out: Vec<_> = items
            .map(|i| (i["IndexName"].as_str().unwrap_or_default().to_owned(), i["KeySchema"].clone()))
            .collect();
        out.sort_by(|a, b| a.0.cmp(&b.0));
        out
    };
    let declared = &table.properties;
    let same = declared["KeySchema"] == found["KeySchema"]
        && indexes(&declared["GlobalSecondaryIndexes"]) == indexes(&found["GlobalSecondaryIndexes"]);
    if same { Ok(()) } else { Err(Error::TableChanged(table.name.clone())) }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|e| Error::Task(e.to_string()))?
}

#[cfg(test)]
mod tests;
