//! Idempotency records: kept in the table of the area whose change they protect, written in that change's own transaction.

use jiff::{SignedDuration, Timestamp};
use piecework_core::{
    Kind, Problem,
    idempotency::{Reply, Request},
    now,
};
use serde::{Deserialize, Serialize};

use crate::{Cond, Error, Key, Table, Transaction, Update};

/// How long an answer is kept.
const KEPT: SignedDuration = SignedDuration::from_hours(24);
/// The label of the record in a transaction.
pub const LABEL: &str = "idempotency";

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    pk: String,
    sk: String,
    fingerprint: String,
    /// The answer; absent while the request is being answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reply: Option<Reply>,
    /// Until when a request without an answer counts as being answered, epoch milliseconds.
    lock_until: i64,
    expires_at: i64,
}

fn key(request: &Request) -> Key {
    Key::new(format!("IDEM#{}", request.storage_key), "IDEM")
}

fn record(request: &Request, reply: Option<Reply>, lock_until: Timestamp) -> Record {
    let Key { pk, sk } = key(request);
    Record {
        pk,
        sk,
        fingerprint: request.fingerprint.clone(),
        reply,
        lock_until: lock_until.as_millisecond(),
        expires_at: (now() + KEPT).as_second(),
    }
}

/// That nothing is kept under the key, or only a claim that was given up.
fn free() -> Cond {
    let given_up = Cond::All(vec![Cond::Absent("reply"), Cond::eq("lock_until", 0i64)]);
    Cond::Any(vec![Cond::absent_or_expired(), given_up])
}

/// Adds the finished record to a transaction that is the whole of the request's effect.
pub fn complete_in(transaction: &mut Transaction, table: &Table, request: &Request, reply: &Reply) {
    let record = record(request, Some(reply.clone()), now());
    transaction.put(LABEL, table, &record, Some(free()));
}

/// The claim on the key of a request that takes more than one transaction: while it holds, a repeat is answered 409. One that a crash
/// leaves behind can be taken over after its end. Of a request without a key it is nothing.
pub struct Claim<'a> {
    table: &'a Table,
    request: Option<&'a Request>,
    until: Timestamp,
}

impl<'a> Claim<'a> {
    /// Claims the key for so long.
    pub async fn begin(
        table: &'a Table,
        request: Option<&'a Request>,
        lock: SignedDuration,
    ) -> Result<Self, Error> {
        let until = now() + lock;
        if let Some(request) = request {
            let free = Cond::Any(vec![
                free(),
                Cond::All(vec![
                    Cond::Absent("reply"),
                    Cond::is("lock_until", "<", now().as_millisecond()),
                    Cond::eq("fingerprint", &request.fingerprint),
                ]),
            ]);
            let mut claim = Transaction::new();
            claim.put(LABEL, table, &record(request, None, until), Some(free));
            claim.commit().await?;
        }
        Ok(Self { table, request, until })
    }

    fn ours(&self) -> [Cond; 2] {
        [Cond::Absent("reply"), Cond::eq("lock_until", self.until.as_millisecond())]
    }

    /// Adds the answer. Refused if another took the claim over.
    pub fn finish_in(&self, transaction: &mut Transaction, reply: &Reply) {
        if let Some(request) = self.request {
            let record = record(request, Some(reply.clone()), self.until);
            transaction.put(LABEL, self.table, &record, Some(Cond::All(self.ours().into())));
        }
    }

    /// Gives the claim up if the request failed, so that a repeat need not wait for its end. If a transaction with the answer is still
    /// under way, it is refused then; if it was made, its answer stays.
    pub async fn end<E>(self, outcome: Result<Reply, E>) -> Result<Reply, E> {
        if let (Some(request), Err(_)) = (self.request, &outcome) {
            let [unanswered, held] = self.ours();
            let update = Update::at(key(request)).set("lock_until", 0i64).when(unanswered).when(held);
            if let Err(error) = self.table.update::<serde_json::Value>(update).await {
                tracing::warn!(%error, "the claim on the key stays until its end");
            }
        }
        outcome
    }
}

/// What a repeat is answered with, if `request` was seen: the kept answer, or the problem that says why not (409, 422).
pub async fn replay(table: &Table, request: &Request) -> Result<Option<Result<Reply, Problem>>, Error> {
    let Some(record) = table.get::<Record>(&key(request)).await? else { return Ok(None) };
    let given_up = record.reply.is_none() && record.lock_until == 0;
    if given_up || record.expires_at < now().as_second() {
        return Ok(None);
    }
    if record.fingerprint != request.fingerprint {
        return Ok(Some(Err(Problem::new(Kind::KeyReused)
            .detail("The key belongs to a request with another method, path or body. Use a new key."))));
    }
    Ok(match record.reply {
        Some(reply) => Some(Ok(reply)),
        None if record.lock_until >= now().as_millisecond() => {
            Some(Err(Problem::new(Kind::InFlight).detail("Send the same request again in a few seconds.")))
        }
        None => None,
    })
}

/// Runs `effect`, which keeps its reply by [`complete_in`] or [`Claim::finish_in`]. If it fails and the request was seen before, the
/// repeat's answer goes out instead: so a first request costs nothing extra, and a repeat is told even when the first one's
/// effect (a balance now spent) would refuse it.
pub async fn once<E: Into<Problem>>(
    table: &Table,
    request: Option<&Request>,
    effect: impl Future<Output = Result<Reply, E>>,
) -> Result<Reply, Problem> {
    let failed = match effect.await {
        Ok(reply) => return Ok(reply),
        Err(error) => error.into(),
    };
    match request {
        Some(request) => replay(table, request).await?.unwrap_or(Err(failed)),
        None => Err(failed),
    }
}
