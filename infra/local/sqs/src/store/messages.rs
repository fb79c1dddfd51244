//! Sending, receiving, deleting: the life of a message.

use std::collections::{BTreeMap, HashSet};

use rusqlite::{OptionalExtension as _, Row, params};

use super::{Queue, Store};
use crate::error::{SqsError, invalid};
use crate::message::{Message, MessageAttributes, Receipt, Sent, md5_of_attributes};

/// A deduplication id is remembered this long.
const DEDUP_FOR: i64 = 300_000;

/// Messages of one queue that may be in flight.
const IN_FLIGHT_LIMIT: usize = 120_000;

/// One message may be kept invisible for 12 hours from its receipt.
const LONGEST_HOLD: i64 = 43_200_000;

/// A message that passed every check of its queue.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub sent: Sent,
    pub body: String,
    /// JSON, when there are any.
    pub attributes: Option<String>,
    pub trace: Option<String>,
    pub sender: String,
    pub group: Option<String>,
    pub dedup: Option<String>,
    pub delay: Option<i64>,
}

/// What a receive found, and when to look again if that was nothing.
#[derive(Debug, Default)]
pub(crate) struct Received {
    pub messages: Vec<Message>,
    /// When the next message becomes visible by itself, epoch milliseconds.
    pub next: Option<i64>,
    pub now: i64,
}

/// A stored message without what only its reader wants.
struct Candidate {
    row: i64,
    receive_count: i64,
    sent_at: i64,
    first_received_at: i64,
    message: Message,
}

const COLUMNS: &str = "id, receive_count, sent_at, first_received_at, message_id, sender, group_id, dedup_id, \
                       source_arn, trace, md5, attributes, body";

impl Store {
    /// Stores messages in order; all or none.
    pub(crate) fn send(&mut self, queue: &Queue, entries: Vec<Prepared>) -> Result<Vec<Sent>, SqsError> {
        self.still(queue)?;
        let sent = entries.into_iter().map(|entry| self.send_one(queue, entry)).collect::<Result<_, _>>()?;
        self.wake(queue);
        Ok(sent)
    }

    /// Checks made before the transaction hold only for the queue they were made for.
    fn still(&self, queue: &Queue) -> Result<(), SqsError> {
        match self.queues.find(&queue.name) {
            Ok(found) if found.id == queue.id => Ok(()),
            _ => Err(SqsError::QueueDoesNotExist),
        }
    }

    fn send_one(&mut self, queue: &Queue, entry: Prepared) -> Result<Sent, SqsError> {
        let mut sent = entry.sent;
        let scope = entry.group.as_deref().filter(|_| queue.settings.dedup_per_group).unwrap_or_default();
        if let Some(dedup) = entry.dedup.as_deref()
            && let Some((row, message_id)) = self.duplicate_of(queue, scope, dedup)?
        {
            sent.message_id = message_id;
            sent.sequence_number = Some(sequence(row));
            return Ok(sent);
        }
        let delay = entry.delay.unwrap_or(queue.settings.delay).min(self.cap);
        self.db
            .prepare_cached(
                "INSERT INTO messages (queue, visible_at, sent_at, message_id, sender, group_id, dedup_id, trace,
                 md5, attributes, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                queue.id,
                self.now.saturating_add(delay),
                self.now,
                sent.message_id,
                entry.sender,
                entry.group,
                entry.dedup,
                entry.trace,
                sent.md5_of_body,
                entry.attributes,
                entry.body,
            ])?;
        let row = self.db.last_insert_rowid();
        if let Some(dedup) = entry.dedup.as_deref() {
            self.db
                .prepare_cached("INSERT OR REPLACE INTO dedup VALUES (?, ?, ?, ?, ?, ?)")?
                .execute(params![queue.id, scope, dedup, row, sent.message_id, self.now + DEDUP_FOR])?;
        }
        if queue.fifo {
            sent.sequence_number = Some(sequence(row));
        }
        Ok(sent)
    }

    fn duplicate_of(
        &self,
        queue: &Queue,
        scope: &str,
        dedup: &str,
    ) -> Result<Option<(i64, String)>, SqsError> {
        self.db.prepare_cached("DELETE FROM dedup WHERE expires <= ?")?.execute([self.now])?;
        let mut query = self.db.prepare_cached(
            "SELECT row, message_id FROM dedup WHERE queue = ? AND scope = ? AND dedup_id = ?",
        )?;
        Ok(query
            .query_row(params![queue.id, scope, dedup], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?)
    }

    /// Delivers up to `max` messages and hides them for `visibility` milliseconds, or for the queue's time.
    /// Messages past their retention vanish on the way; those received too often move to the dead-letter queue.
    pub(crate) fn receive(
        &mut self,
        name: &str,
        max: usize,
        visibility: Option<i64>,
    ) -> Result<Received, SqsError> {
        let queue = self.queues.find(name)?;
        self.check_in_flight(&queue)?;
        let visibility = visibility.unwrap_or(queue.settings.visibility).min(self.cap);
        let mut delivered = HashSet::new();
        let mut messages = Vec::new();
        loop {
            let want = max - messages.len();
            let rows = if queue.fifo { self.next_in_groups(&queue, want)? } else { self.next(&queue, want)? };
            let mut removed = false;
            for candidate in rows {
                if delivered.contains(&candidate.row) {
                    continue;
                }
                if candidate.sent_at <= self.now - queue.settings.retention {
                    self.remove(candidate.row)?;
                    removed = true;
                } else if self.redrive(&queue, &candidate)? {
                    removed = true;
                } else {
                    delivered.insert(candidate.row);
                    messages.push(self.deliver(&queue, candidate, visibility)?);
                }
            }
            // What was removed may have hidden others from the limit, or held back its group.
            if !removed || messages.len() == max {
                break;
            }
        }
        if let Some(known) = self.in_flight.get_mut(&queue.id) {
            *known += messages.len();
        }
        let next = if messages.is_empty() { self.next_visible(&queue)? } else { None };
        Ok(Received { messages, next, now: self.now })
    }

    fn check_in_flight(&mut self, queue: &Queue) -> Result<(), SqsError> {
        if self.in_flight.get(&queue.id).is_none_or(|known| *known >= IN_FLIGHT_LIMIT) {
            let count = self.db.query_row(
                "SELECT COUNT(*) FROM messages WHERE queue = ? AND visible_at > ? AND received = 1",
                params![queue.id, self.now],
                |row| row.get(0),
            )?;
            self.in_flight.insert(queue.id, count);
        }
        if self.in_flight[&queue.id] >= IN_FLIGHT_LIMIT { Err(SqsError::OverLimit) } else { Ok(()) }
    }

    fn next(&self, queue: &Queue, want: usize) -> Result<Vec<Candidate>, SqsError> {
        let mut query = self.db.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM messages WHERE queue = ? AND visible_at <= ?
             ORDER BY visible_at, received, sent_at, id LIMIT ?"
        ))?;
        let rows = query.query_map(params![queue.id, self.now, want], |row| read(queue, row))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn next_in_groups(&self, queue: &Queue, want: usize) -> Result<Vec<Candidate>, SqsError> {
        let mut query = self.db.prepare_cached(&format!("SELECT {COLUMNS} FROM messages WHERE id = ?"))?;
        let ids = self.unblocked(queue, want)?;
        ids.into_iter().map(|id| Ok(query.query_row([id], |row| read(queue, row))?)).collect()
    }

    fn next_visible(&self, queue: &Queue) -> Result<Option<i64>, SqsError> {
        let mut query = self
            .db
            .prepare_cached("SELECT MIN(visible_at) FROM messages WHERE queue = ? AND visible_at > ?")?;
        Ok(query.query_row(params![queue.id, self.now], |row| row.get(0))?)
    }

    fn deliver(&self, queue: &Queue, candidate: Candidate, visibility: i64) -> Result<Message, SqsError> {
        let delivery = candidate.receive_count + 1;
        let first = if candidate.receive_count == 0 { self.now } else { candidate.first_received_at };
        self.db
            .prepare_cached(
                "UPDATE messages SET visible_at = ?, received = 1, receive_count = ?, received_at = ?,
                 first_received_at = ? WHERE id = ?",
            )?
            .execute(params![
                self.now.saturating_add(visibility),
                delivery,
                self.now,
                first,
                candidate.row
            ])?;
        let mut message = candidate.message;
        message.receipt_handle = Receipt { queue: queue.id, row: candidate.row, delivery }.encode();
        let count = delivery.to_string();
        message.attributes.insert("ApproximateReceiveCount".to_owned(), count);
        message.attributes.insert("ApproximateFirstReceiveTimestamp".to_owned(), first.to_string());
        Ok(message)
    }

    /// Moves a message that was received as often as allowed, with its id and receive count. On a standard
    /// queue it keeps its age too; on a FIFO queue that starts anew (developer guide, dead-letter retention).
    fn redrive(&mut self, queue: &Queue, candidate: &Candidate) -> Result<bool, SqsError> {
        let Some(policy) = &queue.settings.redrive else { return Ok(false) };
        if candidate.receive_count < policy.max_receives {
            return Ok(false);
        }
        // Without its target the queue keeps delivering rather than losing anything.
        let Some(target) = self.by_arn(&policy.target_arn) else { return Ok(false) };
        let sent_at = if queue.fifo { self.now } else { candidate.sent_at };
        self.db
            .prepare_cached(
                "INSERT INTO messages (queue, visible_at, sent_at, receive_count, first_received_at, message_id,
                 sender, group_id, dedup_id, source_arn, trace, md5, attributes, body)
                 SELECT ?, ?, ?, receive_count, first_received_at, message_id, sender, group_id, dedup_id, ?,
                 trace, md5, attributes, body FROM messages WHERE id = ?",
            )?
            .execute(params![target.id, self.now, sent_at, queue.arn, candidate.row])?;
        self.remove(candidate.row)?;
        self.wake(&target);
        Ok(true)
    }

    fn remove(&self, row: i64) -> Result<(), SqsError> {
        self.db.prepare_cached("DELETE FROM messages WHERE id = ?")?.execute([row])?;
        Ok(())
    }

    /// Deletes what the handle's delivery holds. A handle that a later delivery has replaced succeeds and
    /// deletes nothing, as does one whose message is gone (API reference, `DeleteMessage`). On a FIFO queue a
    /// handle also ends with its visibility timeout, and is then refused.
    pub(crate) fn delete_message(&mut self, queue: &Queue, handle: &str) -> Result<(), SqsError> {
        self.still(queue)?;
        let receipt = receipt_for(queue, handle)?;
        let mut query = self
            .db
            .prepare_cached("SELECT receive_count, visible_at FROM messages WHERE id = ? AND queue = ?")?;
        let found: Option<(i64, i64)> = query
            .query_row(params![receipt.row, queue.id], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        drop(query);
        let Some((delivery, visible_at)) = found else { return Ok(()) };
        if queue.fifo && (delivery != receipt.delivery || visible_at <= self.now) {
            return Err(invalid("ReceiptHandle", handle, "The receipt handle has expired."));
        }
        if delivery == receipt.delivery {
            self.remove(receipt.row)?;
            if queue.fifo {
                self.wake(queue);
            }
        }
        Ok(())
    }

    /// Hides a message in flight for `timeout` milliseconds from now; zero gives it back at once.
    pub(crate) fn change_visibility(
        &mut self,
        queue: &Queue,
        handle: &str,
        timeout: i64,
    ) -> Result<(), SqsError> {
        self.still(queue)?;
        let receipt = receipt_for(queue, handle)?;
        let mut query = self.db.prepare_cached(
            "SELECT receive_count, visible_at, COALESCE(received_at, 0) FROM messages WHERE id = ? AND queue = ?",
        )?;
        let found: Option<(i64, i64, i64)> = query
            .query_row(params![receipt.row, queue.id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        drop(query);
        let Some((delivery, visible_at, received_at)) = found else {
            let reason = "Message does not exist or is not available for visibility timeout change.";
            return Err(invalid("ReceiptHandle", handle, reason));
        };
        if delivery != receipt.delivery || visible_at <= self.now {
            return Err(SqsError::MessageNotInflight);
        }
        if self.now - received_at + timeout > LONGEST_HOLD {
            let reason = "Total VisibilityTimeout for the message is beyond the limit [43200 seconds].";
            return Err(invalid("VisibilityTimeout", timeout / 1_000, reason));
        }
        self.db
            .prepare_cached("UPDATE messages SET visible_at = ? WHERE id = ?")?
            .execute(params![self.now + timeout.min(self.cap), receipt.row])?;
        self.wake(queue);
        Ok(())
    }
}

fn receipt_for(queue: &Queue, handle: &str) -> Result<Receipt, SqsError> {
    Receipt::decode(handle).and_then(|receipt| {
        if receipt.queue == queue.id { Ok(receipt) } else { Err(SqsError::ReceiptHandleIsInvalid) }
    })
}

/// 20 digits that grow with every message, as AWS's do.
fn sequence(row: i64) -> String {
    (18_800_000_000_000_000_000_i128 + i128::from(row)).to_string()
}

fn read(queue: &Queue, row: &Row<'_>) -> rusqlite::Result<Candidate> {
    let (id, sent_at): (i64, i64) = (row.get(0)?, row.get(2)?);
    let optional = [
        ("SenderId", row.get(5)?),
        ("MessageGroupId", row.get(6)?),
        ("MessageDeduplicationId", row.get(7)?),
        ("DeadLetterQueueSourceArn", row.get(8)?),
        ("AWSTraceHeader", row.get(9)?),
        ("SentTimestamp", Some(sent_at.to_string())),
        ("SequenceNumber", queue.fifo.then(|| sequence(id))),
    ];
    let attributes: BTreeMap<String, String> =
        optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    let message_attributes: MessageAttributes = row
        .get::<_, Option<String>>(11)?
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    Ok(Candidate {
        row: id,
        receive_count: row.get(1)?,
        sent_at,
        first_received_at: row.get::<_, Option<i64>>(3)?.unwrap_or_default(),
        message: Message {
            message_id: row.get(4)?,
            receipt_handle: String::new(),
            body: row.get(12)?,
            md5_of_body: row.get(10)?,
            attributes,
            md5_of_message_attributes: md5_of_attributes(&message_attributes),
            message_attributes,
        },
    })
}
