//! The end of a name in the ledger (P19): of a workspace's, and of a user's in their wallet. Entries stay, under a random id that
//! nothing leads to.

use aws::{CommitError, Cond, Key, Query, Transaction, Update};
use piecework_core::{Currency, DomainEvent, UserId, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Billing, Book, Error,
    paddle::deal_key,
    payfast::{Record, payment_key, payments_of},
};

/// Records moved in one transaction, two actions each, and four for a lot that was bought.
const AT_ONCE: u32 = 20;
/// What stands where a user's id stood.
const NOBODY: &str = "erased";
/// What changes in a balance and in its lots.
const CHANGES: [&str; 7] = ["granted", "available", "held", "spent", "clawed", "expired", "remaining"];
/// The sort key of a book's balance.
const BALANCE: &str = "BOOK#BALANCE";

/// Under which ids the ledger goes on; only there while it moves.
#[derive(Serialize, Deserialize)]
struct Moving {
    pk: String,
    sk: String,
    workspace: WorkspaceId,
    user: UserId,
}

/// Replaces a user's id wherever a record has one.
fn scrub(value: &mut Value, user: &str) {
    match value {
        Value::String(text) if text.starts_with("usr_") => *text = user.to_owned(),
        Value::Array(items) => items.iter_mut().for_each(|item| scrub(item, user)),
        Value::Object(members) => members.values_mut().for_each(|member| scrub(member, user)),
        _ => {}
    }
}

/// Replaces a text wherever a record has just that.
fn rename(value: &mut Value, from: &str, to: &str) {
    match value {
        Value::String(text) if text == from => *text = to.to_owned(),
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, from, to)),
        Value::Object(members) => members.values_mut().for_each(|member| rename(member, from, to)),
        _ => {}
    }
}

impl Billing {
    /// Moves a workspace's ledger to a pseudonym, record by record; balances and sums stay as they are. Begun again after a crash, it
    /// goes on under the same pseudonym; a repeat finds nothing to move, and says again that it is done.
    pub async fn pseudonymise(&self, workspace: WorkspaceId) -> Result<(), Error> {
        let moving = self.moving(&format!("ERASED#{workspace}")).await?;
        let (own, other) = (Book::credits(workspace), Book::credits(moving.workspace));
        let kept = self.move_book(&own.pk, &other.pk, workspace, &moving).await?;
        self.moved(&moving, "workspace", workspace, workspace, kept).await
    }

    /// The same for a user's wallet and payments, told by the event that their erasure begins. `false` if it is not of one.
    pub async fn pseudonymise_user(&self, event: &DomainEvent) -> Result<bool, Error> {
        let erasure = event.data.get("erasure").and_then(Value::as_str);
        let (Ok(user), Some(erasure)) = (event.entity.parse::<UserId>(), erasure) else { return Ok(false) };
        let moving = self.moving(&format!("ERASED#{erasure}")).await?;
        let wallet = |user| Book::wallet(user, Currency::ZAR, event.workspace).pk;
        let mut kept = self.move_book(&wallet(user), &wallet(moving.user), event.workspace, &moving).await?;
        loop {
            let listed = Query::index("gsi1", payments_of(user)).limit(AT_ONCE);
            let payments = self.table.query::<Record>(listed).await?.items;
            if payments.is_empty() {
                break;
            }
            for payment in payments {
                kept += u64::from(self.move_payment(payment, &moving).await?);
            }
        }
        self.moved(&moving, "user", event.workspace, erasure, kept).await?;
        Ok(true)
    }

    /// The pseudonyms of a move, the same ones until it is done.
    async fn moving(&self, pk: &str) -> Result<Moving, Error> {
        let marker = Key::new(pk, "MOVING");
        let Key { pk, sk } = marker.clone();
        let new = Moving { pk, sk, workspace: WorkspaceId::new(), user: UserId::new() };
        self.table.put(&new, Some(Cond::Absent("pk"))).await?;
        Ok(self.table.get(&marker).await?.unwrap_or(new))
    }

    /// Ends a move: nothing knows the pseudonyms any more.
    async fn moved(
        &self,
        moving: &Moving,
        whose: &str,
        workspace: WorkspaceId,
        entity: impl ToString,
        kept: u64,
    ) -> Result<(), Error> {
        let kind = format!("billing.{whose}.erased");
        let event = DomainEvent::new(&kind, workspace, entity, serde_json::json!({ "kept": kept }));
        let mut transaction = Transaction::new();
        transaction.delete("moving", &self.table, &Key::new(&moving.pk, &moving.sk));
        transaction.create("event", &self.table, &aws::event_item(&moving.pk, &event));
        Ok(transaction.commit().await.map_err(aws::Error::from)?)
    }

    /// Moves a book from one partition to another; how many records.
    async fn move_book(
        &self,
        own: &str,
        other: &str,
        workspace: WorkspaceId,
        moving: &Moving,
    ) -> Result<u64, Error> {
        let mut moved = 0;
        loop {
            let records = self.table.query::<Value>(Query::partition(own).limit(AT_ONCE)).await?.items;
            if records.is_empty() {
                return Ok(moved);
            }
            let (mut transaction, mut count) = (Transaction::new(), 0);
            for mut record in records {
                let Some(sk) = record["sk"].as_str().map(str::to_owned) else { continue };
                if let (Some(source), Some(id)) = (record["source"].as_str(), record["source_id"].as_str()) {
                    let lock = Key::new(format!("GRANT#{source}#{id}"), "GRANT");
                    match source {
                        // Named after the user, who will not sign up again under this id.
                        "signup" => transaction.delete("grant", &self.table, &lock),
                        // What was granted for once is not granted again.
                        _ => {
                            let update = Update::at(lock).set("book", other);
                            transaction.update("grant", &self.table, update);
                        }
                    }
                    if source == "purchase" {
                        self.move_deal_in(&mut transaction, id, workspace, moving).await?;
                    }
                }
                // Of the balance and the lots, only as they were read: a lot may expire and a payment come in meanwhile.
                let numbers: Vec<(&'static str, i64)> = match sk.starts_with("BOOK#") {
                    true => {
                        CHANGES.into_iter().filter_map(|name| Some((name, record[name].as_i64()?))).collect()
                    }
                    false => Vec::new(),
                };
                match numbers.is_empty() {
                    true => transaction.delete("record", &self.table, &Key::new(own, &sk)),
                    false => {
                        let same = numbers.iter().map(|(name, n)| Cond::eq(name, *n)).collect();
                        transaction.delete_if("record", &self.table, &Key::new(own, &sk), Cond::All(same));
                    }
                }
                if sk == BALANCE {
                    // Added, for what came in meanwhile has begun another one, which comes after it.
                    let there = Update::at(Key::new(other, &sk));
                    let sum = numbers.into_iter().fold(there, |update, (name, n)| update.add(name, n));
                    transaction.update("pseudonym", &self.table, sum);
                    count += 1;
                    continue;
                }
                // Events told what the entries say.
                if !sk.starts_with("EVENT#") {
                    scrub(&mut record, NOBODY);
                    record["pk"] = other.into();
                    for index in ["gsi1pk", "gsi2pk"] {
                        let rest = record[index].as_str().and_then(|place| place.strip_prefix(own));
                        if let Some(rest) = rest {
                            // A signup is referred to by its user.
                            let rest = if rest.starts_with("#REF#usr_") { "#REF#erased" } else { rest };
                            record[index] = format!("{other}{rest}").into();
                        }
                    }
                    transaction.put("pseudonym", &self.table, &record, None);
                    count += 1;
                }
            }
            match transaction.commit().await {
                Ok(()) => moved += count,
                // Paddle told something of the transaction meanwhile, or a lot expired: again from what is there now.
                Err(CommitError::Refused { label: "deal" | "record", .. }) => {}
                Err(error) => return Err(aws::Error::from(error).into()),
            }
        }
    }

    /// What is known of a transaction at Paddle goes along with its lot: a chargeback may still come.
    async fn move_deal_in(
        &self,
        transaction: &mut Transaction,
        id: &str,
        workspace: WorkspaceId,
        moving: &Moving,
    ) -> Result<(), Error> {
        let Some(mut deal) = self.table.get::<Value>(&deal_key(id)).await? else { return Ok(()) };
        let Some(version) = deal["version"].as_u64() else { return Ok(()) };
        rename(&mut deal, &workspace.to_string(), &moving.workspace.to_string());
        scrub(&mut deal, &moving.user.to_string());
        deal["version"] = (version + 1).into();
        transaction.put("deal", &self.table, &deal, Some(Cond::eq("version", version)));
        Ok(())
    }

    /// Moves a payment; `false` if somebody told something of it meanwhile, or it was moved before.
    async fn move_payment(&self, mut payment: Record, moving: &Moving) -> Result<bool, Error> {
        let (before, version) = (payment_key(&payment), payment.version);
        (payment.user, payment.workspace) = (moving.user, moving.workspace);
        payment.version = version + 1;
        let mut transaction = Transaction::new();
        transaction.delete_if("payment", &self.table, &before, Cond::eq("version", version));
        transaction.create("pseudonym", &self.table, &payment.stored());
        // Its events told what it says, and whose it was.
        self.table.delete_found(Query::partition(&before.pk).prefix("EVENT#")).await?;
        match transaction.commit().await {
            Ok(()) => Ok(true),
            Err(CommitError::Refused { label: "payment" | "pseudonym", .. }) => Ok(false),
            Err(error) => Err(aws::Error::from(error).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_replaced_where_it_is_all_there_is() {
        let mut record = serde_json::json!({ "a": "wsp_1", "b": ["wsp_12", { "c": "wsp_1" }] });
        rename(&mut record, "wsp_1", "wsp_9");
        assert_eq!(record, serde_json::json!({ "a": "wsp_9", "b": ["wsp_12", { "c": "wsp_9" }] }));
    }

    #[test]
    fn a_users_id_is_replaced_wherever_it_stands() {
        let mut record = serde_json::json!({ "a": "usr_01j9z3k5m8n2p4q6r7s8t9v0wx", "b": [{ "c": "usr_x" }], "d": 7, "e": "tsk_1" });
        scrub(&mut record, NOBODY);
        assert_eq!(
            record,
            serde_json::json!({ "a": "erased", "b": [{ "c": "erased" }], "d": 7, "e": "tsk_1" })
        );
    }
}
