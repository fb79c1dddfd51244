//! Putting, getting, copying and deleting objects.

use std::collections::BTreeMap;
use std::fs::{self, File};

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use s3s::dto::{ETagCondition, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Scratch, Store, event, now, require_bucket};
use crate::digest::Sums;
use crate::error::{Error, no_such_key, precondition_failed};
use crate::event::{CreatedBy, EventKind, ObjectEvent};

/// Headers a client sends with an object and gets back with it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Headers {
    pub(crate) cache_control: Option<String>,
    pub(crate) content_disposition: Option<String>,
    pub(crate) content_encoding: Option<String>,
    pub(crate) content_language: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) metadata: BTreeMap<String, String>,
}

/// What is kept of an object besides its size, ETag and time.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Detail {
    pub(crate) headers: Headers,
    pub(crate) sums: Sums,
    /// The checksum is of the parts' checksums.
    pub(crate) composite: bool,
    /// How many parts it was uploaded in, if in parts.
    pub(crate) parts: Option<u32>,
}

/// An object to be stored.
pub(crate) struct NewObject {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) size: u64,
    pub(crate) etag: String,
    pub(crate) detail: Detail,
    pub(crate) by: CreatedBy,
}

/// A stored object.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(super) file: String,
    pub(crate) size: u64,
    pub(crate) etag: String,
    pub(crate) modified: i64,
    pub(crate) detail: Detail,
}

/// What a write answers.
pub(crate) struct Stored {
    pub(crate) etag: String,
    pub(crate) modified: i64,
}

/// `If-Match` and `If-None-Match` of a write.
#[derive(Debug, Clone, Default)]
pub(crate) struct Condition {
    pub(crate) if_match: Option<ETagCondition>,
    pub(crate) if_none_match: Option<ETagCondition>,
}

impl Condition {
    fn check(&self, current: Option<&str>) -> Result<(), Error> {
        let meets =
            |wanted: &ETagCondition, etag: &str| wanted.as_etag().is_none_or(|tag| tag.value() == etag);
        match (&self.if_match, current) {
            // S3 answers 404, not 412, when there is nothing to match.
            (Some(_), None) => return Err(no_such_key().into()),
            (Some(wanted), Some(etag)) if !meets(wanted, etag) => return Err(precondition_failed().into()),
            _ => {}
        }
        match (&self.if_none_match, current) {
            (Some(unwanted), Some(etag)) if meets(unwanted, etag) => Err(precondition_failed().into()),
            _ => Ok(()),
        }
    }
}

impl Store {
    /// Stores a received body. The condition and the change are one transaction.
    pub(crate) fn put(
        &self,
        scratch: Scratch,
        new: &NewObject,
        condition: &Condition,
    ) -> Result<Stored, Error> {
        let placed = scratch.place(self)?;
        let written = self.write(|tx| self.insert(tx, &placed.id, new, condition))?;
        placed.keep();
        self.settle(written)
    }

    /// Removes the replaced file and tells the event.
    pub(super) fn settle(&self, written: Written) -> Result<Stored, Error> {
        self.discard(written.replaced);
        self.deliver(written.event)?;
        Ok(written.stored)
    }

    pub(super) fn insert(
        &self,
        tx: &Transaction<'_>,
        file: &str,
        new: &NewObject,
        condition: &Condition,
    ) -> Result<Written, Error> {
        require_bucket(tx, &new.bucket)?;
        let current: Option<(String, String)> = tx
            .prepare_cached("SELECT etag, file FROM objects WHERE bucket = ?1 AND key = ?2")?
            .query_row(params![new.bucket, new.key.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        condition.check(current.as_ref().map(|(etag, _)| etag.as_str()))?;
        let modified = now();
        let detail = serde_json::to_string(&new.detail)?;
        tx.prepare_cached("INSERT OR REPLACE INTO objects VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
            .execute(params![new.bucket, new.key.as_bytes(), file, new.size, new.etag, modified, detail])?;
        let told = event(EventKind::Created(new.by), &new.bucket, &new.key, new.size, &new.etag);
        Ok(Written {
            stored: Stored { etag: new.etag.clone(), modified },
            replaced: current.map(|(_, file)| file),
            event: self.record(tx, told)?,
        })
    }

    /// An object and its open file: whatever happens to the key afterwards, the file can be read to its end.
    pub(crate) fn open_object(&self, bucket: &str, key: &str) -> Result<(Object, File), Error> {
        let index = self.index();
        let object = find(&index, bucket, key)?;
        // Under the lock, so that no replacement removes the file in between.
        let file = File::open(self.file(&object.file))?;
        Ok((object, file))
    }

    /// An object without its body.
    pub(crate) fn object(&self, bucket: &str, key: &str) -> Result<Object, Error> {
        find(&self.index(), bucket, key)
    }

    /// Copies an object that `check` accepts, with `headers` in place of its own if given.
    pub(crate) fn copy(
        &self,
        from: (&str, &str),
        to: (&str, &str),
        headers: Option<Headers>,
        check: impl FnOnce(&Object) -> Result<(), Error>,
    ) -> Result<(Stored, Object), Error> {
        let scratch = self.scratch();
        let source = {
            let index = self.index();
            let source = find(&index, from.0, from.1)?;
            check(&source)?;
            // Bodies never change, so a second name for the file is a copy.
            fs::hard_link(self.file(&source.file), scratch.path())?;
            source
        };
        let mut detail = source.detail.clone();
        if let Some(headers) = headers {
            detail.headers = headers;
        }
        // S3 writes the copy in one piece, so a copy of a multipart object has a plain MD5 as its ETag; here
        // the ETag stays, which clients must not rely on either way.
        let new = NewObject {
            bucket: to.0.to_owned(),
            key: to.1.to_owned(),
            size: source.size,
            etag: source.etag.clone(),
            detail,
            by: CreatedBy::Copy,
        };
        Ok((self.put(scratch, &new, &Condition::default())?, source))
    }

    /// Deletes an object if it is there and the condition holds.
    pub(crate) fn delete(&self, bucket: &str, key: &str, condition: &Condition) -> Result<(), Error> {
        let (gone, told) = self.write(|tx| {
            require_bucket(tx, bucket)?;
            let object = match find(tx, bucket, key) {
                Err(Error::S3(_)) if condition.if_match.is_none() => return Ok((None, None)),
                found => found?,
            };
            condition.check(Some(&object.etag))?;
            tx.prepare_cached("DELETE FROM objects WHERE bucket = ?1 AND key = ?2")?
                .execute(params![bucket, key.as_bytes()])?;
            let told = self.record(tx, event(EventKind::Removed, bucket, key, 0, ""))?;
            Ok((Some(object.file), told))
        })?;
        self.discard(gone);
        self.deliver(told)
    }
}

/// The effects of an insert that follow its commit.
pub(super) struct Written {
    stored: Stored,
    replaced: Option<String>,
    event: Option<(i64, ObjectEvent)>,
}

fn find(index: &Connection, bucket: &str, key: &str) -> Result<Object, Error> {
    let read = |row: &Row<'_>| {
        Ok((row.get(0)?, row.get::<_, u64>(1)?, row.get(2)?, row.get(3)?, row.get::<_, String>(4)?))
    };
    let found = index
        .prepare_cached(
            "SELECT file, size, etag, modified, detail FROM objects WHERE bucket = ?1 AND key = ?2",
        )?
        .query_row(params![bucket, key.as_bytes()], read)
        .optional()?;
    let Some((file, size, etag, modified, detail)) = found else {
        require_bucket(index, bucket)?;
        return Err(no_such_key().into());
    };
    Ok(Object { file, size, etag, modified, detail: serde_json::from_str(&detail)? })
}
