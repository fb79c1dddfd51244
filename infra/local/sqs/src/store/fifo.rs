//! Which messages of a FIFO queue may be delivered now.

use std::collections::HashSet;

use rusqlite::params;

use super::{Queue, Store};
use crate::error::SqsError;

impl Store {
    /// The oldest `want` messages whose group is free. A group is held while any of its messages is in
    /// flight, and a message that is not yet visible holds back those behind it.
    ///
    /// Walks the queue in order over a covering index, so a long backlog behind one held group costs a scan of
    /// that index and no message is read.
    pub(super) fn unblocked(&self, queue: &Queue, want: usize) -> Result<Vec<i64>, SqsError> {
        let mut in_flight = self.db.prepare_cached(
            "SELECT DISTINCT group_id FROM messages
             WHERE queue = ? AND visible_at > ? AND received = 1 AND sent_at > ?",
        )?;
        let oldest = self.now - queue.settings.retention;
        let held = in_flight.query_map(params![queue.id, self.now, oldest], |row| row.get(0))?;
        let mut held: HashSet<String> = held.collect::<Result<_, _>>()?;

        let mut in_order = self.db.prepare_cached(
            "SELECT id, group_id, visible_at FROM messages
             WHERE queue = ? AND group_id IS NOT NULL ORDER BY id",
        )?;
        let mut rows = in_order.query([queue.id])?;
        let mut free = Vec::new();
        while free.len() < want
            && let Some(row) = rows.next()?
        {
            let group = row.get_ref(1)?.as_str().unwrap_or_default();
            if held.contains(group) {
                continue;
            }
            if row.get::<_, i64>(2)? > self.now {
                held.insert(group.to_owned());
            } else {
                free.push(row.get(0)?);
            }
        }
        Ok(free)
    }
}
