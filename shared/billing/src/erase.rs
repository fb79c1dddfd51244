//! The end of a workspace's name in the ledger (P19): its entries stay, under a random id that nothing leads to.

use aws::{Cond, Key, Query, Transaction, Update};
use piecework_core::{DomainEvent, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Billing, Book, Error};

/// Records moved in one transaction, two actions each, and three for a lot.
const AT_ONCE: u32 = 30;
/// What stands where a user's id stood.
const NOBODY: &str = "erased";

/// Under which id the ledger goes on; only there while it moves.
#[derive(Serialize, Deserialize)]
struct Moving {
    pk: String,
    sk: String,
    pseudonym: WorkspaceId,
}

/// Replaces a user's id wherever a record has one.
fn scrub(value: &mut Value) {
    match value {
        Value::String(text) if text.starts_with("usr_") => *text = NOBODY.to_owned(),
        Value::Array(items) => items.iter_mut().for_each(scrub),
        Value::Object(members) => members.values_mut().for_each(scrub),
        _ => {}
    }
}

impl Billing {
    /// Moves a workspace's ledger to a pseudonym, record by record; balances and sums stay as they are. Begun again after a crash, it
    /// goes on under the same pseudonym; a repeat finds nothing to move, and says again that it is done.
    pub async fn pseudonymise(&self, workspace: WorkspaceId) -> Result<(), Error> {
        let marker = Key::new(format!("ERASED#{workspace}"), "MOVING");
        let Key { pk, sk } = marker.clone();
        let new = Moving { pk: pk.clone(), sk, pseudonym: WorkspaceId::new() };
        self.table.put(&new, Some(Cond::Absent("pk"))).await?;
        let moving: Moving = self.table.get(&marker).await?.unwrap_or(new);
        let (own, other) = (Book::credits(workspace).pk, Book::credits(moving.pseudonym).pk);
        let mut moved = 0_u64;
        loop {
            let query = Query::partition(&own).limit(AT_ONCE);
            let records = self.table.query::<Value>(query).await?.items;
            if records.is_empty() {
                break;
            }
            let mut transaction = Transaction::new();
            for mut record in records {
                let Some(sk) = record["sk"].as_str().map(str::to_owned) else { continue };
                if let (Some(source), Some(id)) = (record["source"].as_str(), record["source_id"].as_str()) {
                    let lock = Key::new(format!("GRANT#{source}#{id}"), "GRANT");
                    match source {
                        // Named after the user, who will not sign up again under this id.
                        "signup" => transaction.delete("grant", &self.table, &lock),
                        // What was granted for once is not granted again.
                        _ => {
                            let update = Update::at(lock).set("book", other.as_str());
                            transaction.update("grant", &self.table, update);
                        }
                    }
                }
                transaction.delete("record", &self.table, &Key::new(&own, &sk));
                // Events told what the entries say.
                if !sk.starts_with("EVENT#") {
                    scrub(&mut record);
                    record["pk"] = other.as_str().into();
                    for index in ["gsi1pk", "gsi2pk"] {
                        let rest = record[index].as_str().and_then(|place| place.strip_prefix(&own));
                        if let Some(rest) = rest {
                            record[index] = format!("{other}{rest}").into();
                        }
                    }
                    transaction.put("pseudonym", &self.table, &record, None);
                    moved += 1;
                }
            }
            transaction.commit().await.map_err(aws::Error::from)?;
        }
        let data = serde_json::json!({ "kept": moved });
        let event = DomainEvent::new("billing.workspace.erased", workspace, workspace, data);
        let mut transaction = Transaction::new();
        transaction.delete("moving", &self.table, &marker);
        transaction.create("event", &self.table, &aws::event_item(&pk, &event));
        Ok(transaction.commit().await.map_err(aws::Error::from)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_id_is_replaced_wherever_it_stands() {
        let mut record = serde_json::json!({ "a": "usr_01j9z3k5m8n2p4q6r7s8t9v0wx", "b": [{ "c": "usr_x" }], "d": 7, "e": "tsk_1" });
        scrub(&mut record);
        assert_eq!(
            record,
            serde_json::json!({ "a": "erased", "b": [{ "c": "erased" }], "d": 7, "e": "tsk_1" })
        );
    }
}
