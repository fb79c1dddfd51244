//! Multipart uploads.

use std::fs::File;
use std::io::{Read as _, Write as _};

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use s3s::s3_error;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::{Condition, Detail, Headers, NewObject, Scratch, Store, Stored, now, require_bucket};
use crate::digest::{Algorithm, Digested, Digests, Sums, composite, hex, multipart_etag};
use crate::error::Error;
use crate::event::CreatedBy;

/// The least size of any part but the last.
const MIN_PART: u64 = 5 * 1024 * 1024;

/// An open upload.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Upload {
    #[serde(skip)]
    pub(crate) id: String,
    #[serde(skip)]
    pub(crate) key: String,
    #[serde(skip)]
    pub(crate) initiated: i64,
    pub(crate) headers: Headers,
    /// The checksum of the object, and whether it is made of the parts' checksums.
    pub(crate) algorithm: Algorithm,
    pub(crate) composite: bool,
}

/// An uploaded part.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    file: String,
    pub(crate) number: i32,
    pub(crate) size: u64,
    pub(crate) etag: String,
    pub(crate) modified: i64,
    pub(crate) sums: Sums,
}

/// A part as the client names it when completing.
pub(crate) struct ClaimedPart {
    pub(crate) number: i32,
    pub(crate) etag: String,
    pub(crate) sums: Sums,
}

/// A request to complete.
pub(crate) struct Completion {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) upload: String,
    pub(crate) parts: Vec<ClaimedPart>,
    /// Checksums of the whole that must come out, and its size.
    pub(crate) sums: Sums,
    pub(crate) size: Option<u64>,
    pub(crate) condition: Condition,
}

impl Store {
    /// Opens an upload and answers its id.
    pub(crate) fn create_upload(&self, bucket: &str, upload: &Upload) -> Result<String, Error> {
        let id = format!("{}{}", Ulid::generate(), Ulid::generate());
        self.write(|tx| {
            require_bucket(tx, bucket)?;
            tx.execute(
                "INSERT INTO uploads VALUES (?1, ?2, ?3, ?4, ?5)",
                params![id, bucket, upload.key.as_bytes(), now(), serde_json::to_string(upload)?],
            )?;
            Ok(())
        })?;
        Ok(id)
    }

    /// An open upload, or `NoSuchUpload`.
    pub(crate) fn upload(&self, bucket: &str, key: &str, id: &str) -> Result<Upload, Error> {
        find_upload(&self.index(), bucket, key, id)
    }

    /// Stores a part, replacing one of the same number.
    pub(crate) fn put_part(
        &self,
        (bucket, key, upload): (&str, &str, &str),
        number: i32,
        scratch: Scratch,
        digests: &Digested,
    ) -> Result<Stored, Error> {
        let placed = scratch.place(self)?;
        let (etag, modified) = (hex(&digests.md5), now());
        let replaced = self.write(|tx| {
            find_upload(tx, bucket, key, upload)?;
            let replaced: Option<String> = tx
                .query_row(
                    "SELECT file FROM parts WHERE upload = ?1 AND number = ?2",
                    params![upload, number],
                    |row| row.get(0),
                )
                .optional()?;
            tx.execute(
                "INSERT OR REPLACE INTO parts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    upload,
                    number,
                    placed.id,
                    digests.size,
                    etag,
                    modified,
                    serde_json::to_string(&digests.sums)?
                ],
            )?;
            Ok(replaced)
        })?;
        placed.keep();
        self.discard(replaced);
        Ok(Stored { etag, modified })
    }

    /// The parts of an upload, by number.
    pub(crate) fn parts(&self, bucket: &str, key: &str, upload: &str) -> Result<(Upload, Vec<Part>), Error> {
        let index = self.index();
        Ok((find_upload(&index, bucket, key, upload)?, find_parts(&index, upload)?))
    }

    /// The open uploads of a bucket under a prefix, by key and id.
    pub(crate) fn uploads(&self, bucket: &str, prefix: &str) -> Result<Vec<Upload>, Error> {
        let index = self.index();
        require_bucket(&index, bucket)?;
        let mut select = index.prepare_cached(
            "SELECT id, key, initiated, detail FROM uploads WHERE bucket = ?1 ORDER BY key, id",
        )?;
        let rows = select.query_map([bucket], read_upload)?.collect::<Result<Vec<_>, _>>()?;
        let uploads = rows.into_iter().map(upload_of).collect::<Result<Vec<_>, _>>()?;
        Ok(uploads.into_iter().filter(|upload| upload.key.starts_with(prefix)).collect())
    }

    /// Forgets an upload and its parts.
    pub(crate) fn abort(&self, bucket: &str, key: &str, upload: &str) -> Result<(), Error> {
        let files = self.write(|tx| {
            find_upload(tx, bucket, key, upload)?;
            close(tx, upload)
        })?;
        self.discard(files);
        Ok(())
    }

    /// Joins the named parts into the object. All or nothing; the upload stays open on any refusal.
    pub(crate) fn complete(&self, wanted: &Completion) -> Result<(Stored, Detail), Error> {
        let Completion { bucket, key, upload: id, .. } = wanted;
        let (upload, have, files) = {
            let index = self.index();
            let upload = find_upload(&index, bucket, key, id)?;
            let parts = choose(&find_parts(&index, id)?, &wanted.parts)?;
            let files: Vec<File> =
                parts.iter().map(|part| File::open(self.file(&part.file))).collect::<Result<_, _>>()?;
            (upload, parts, files)
        };

        let scratch = self.scratch();
        let whole = join(files, &scratch, upload.algorithm)?;
        if wanted.size.is_some_and(|size| size != whole.size) {
            return Err(
                s3_error!(InvalidRequest, "The object size does not match x-amz-mp-object-size").into()
            );
        }
        let mut sums = whole.sums;
        if upload.composite {
            *sums.slot(upload.algorithm) = composite(upload.algorithm, have.iter().map(|part| &part.sums));
        }
        let claimed = wanted.sums.get(upload.algorithm);
        // A client may leave the "-N" of a composite checksum out.
        let agrees =
            |sum: &str| claimed.is_none_or(|claim| sum == claim || sum.starts_with(&format!("{claim}-")));
        if !sums.get(upload.algorithm).is_some_and(agrees) {
            return Err(s3_error!(BadDigest, "The checksum you specified did not match the object.").into());
        }

        let detail = Detail {
            headers: upload.headers,
            sums,
            composite: upload.composite,
            parts: u32::try_from(have.len()).ok(),
        };
        let etag = multipart_etag(have.iter().map(|part| part.etag.as_str()))
            .ok_or_else(|| s3_error!(InternalError, "a stored part has a malformed ETag"))?;
        let new = NewObject {
            bucket: bucket.clone(),
            key: key.clone(),
            size: whole.size,
            etag,
            detail,
            by: CreatedBy::CompleteMultipartUpload,
        };
        let placed = scratch.place(self)?;
        let (written, files) = self.write(|tx| {
            // Still open, and the same parts: joining took a while.
            find_upload(tx, bucket, key, id)?;
            choose(&find_parts(tx, id)?, &wanted.parts)?;
            let written = self.insert(tx, &placed.id, &new, &wanted.condition)?;
            Ok((written, close(tx, id)?))
        })?;
        placed.keep();
        self.discard(files);
        Ok((self.settle(written)?, new.detail))
    }
}

/// The stored parts that a client names, in its order, if that is a fair request.
fn choose(have: &[Part], wanted: &[ClaimedPart]) -> Result<Vec<Part>, Error> {
    if wanted.is_empty() {
        return Err(s3_error!(MalformedXML, "You must specify at least one part").into());
    }
    if !wanted.is_sorted_by(|a, b| a.number < b.number) {
        return Err(s3_error!(InvalidPartOrder, "The list of parts was not in ascending order.").into());
    }
    let mut chosen = Vec::with_capacity(wanted.len());
    for (at, claim) in wanted.iter().enumerate() {
        let part = have
            .iter()
            .find(|part| part.number == claim.number && part.etag == claim.etag)
            .filter(|part| claim.sums.disagreement(&part.sums).is_none())
            .ok_or_else(|| {
                s3_error!(InvalidPart, "One or more of the specified parts could not be found.")
            })?;
        if part.size < MIN_PART && at + 1 < wanted.len() {
            return Err(s3_error!(
                EntityTooSmall,
                "Your proposed upload is smaller than the minimum allowed size"
            )
            .into());
        }
        chosen.push(part.clone());
    }
    Ok(chosen)
}

fn join(files: Vec<File>, scratch: &Scratch, algorithm: Algorithm) -> Result<Digested, Error> {
    let mut to = File::create(scratch.path())?;
    let mut digests = Digests::new([algorithm]);
    let mut buffer = vec![0; 256 * 1024];
    for mut file in files {
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            digests.update(&buffer[..read]);
            to.write_all(&buffer[..read])?;
        }
    }
    Ok(digests.finish())
}

/// Deletes an upload's rows; the files are the caller's to discard after the commit.
fn close(index: &Connection, upload: &str) -> Result<Vec<String>, Error> {
    let files = find_parts(index, upload)?.into_iter().map(|part| part.file).collect();
    index.execute("DELETE FROM parts WHERE upload = ?1", [upload])?;
    index.execute("DELETE FROM uploads WHERE id = ?1", [upload])?;
    Ok(files)
}

type UploadRow = (String, Vec<u8>, i64, String);

fn read_upload(row: &Row<'_>) -> rusqlite::Result<UploadRow> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}

fn upload_of((id, key, initiated, detail): UploadRow) -> Result<Upload, Error> {
    let detail: Upload = serde_json::from_str(&detail)?;
    Ok(Upload { id, key: String::from_utf8_lossy(&key).into_owned(), initiated, ..detail })
}

fn find_upload(index: &Connection, bucket: &str, key: &str, id: &str) -> Result<Upload, Error> {
    require_bucket(index, bucket)?;
    let row = index
        .prepare_cached(
            "SELECT id, key, initiated, detail FROM uploads WHERE id = ?1 AND bucket = ?2 AND key = ?3",
        )?
        .query_row(params![id, bucket, key.as_bytes()], read_upload)
        .optional()?;
    upload_of(row.ok_or_else(|| s3_error!(NoSuchUpload, "The specified upload does not exist."))?)
}

fn find_parts(index: &Connection, upload: &str) -> Result<Vec<Part>, Error> {
    let mut select = index.prepare_cached(
        "SELECT number, file, size, etag, modified, sums FROM parts WHERE upload = ?1 ORDER BY number",
    )?;
    let mut rows = select.query([upload])?;
    let mut parts = Vec::new();
    while let Some(row) = rows.next()? {
        parts.push(Part {
            number: row.get(0)?,
            file: row.get(1)?,
            size: row.get(2)?,
            etag: row.get(3)?,
            modified: row.get(4)?,
            sums: serde_json::from_str(&row.get::<_, String>(5)?)?,
        });
    }
    Ok(parts)
}
