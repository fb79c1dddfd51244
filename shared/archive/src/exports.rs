//! The bucket of exports: parts, and the zips that they become.

use std::time::Duration;

use aws::{Bucket, Clients, Deps, ObjectWriter};
use piecework_core::{Settings, UserId, now, settings::SettingError};
use serde::Serialize;

use crate::{Entry, ExportId, Order, Tail, Zip, ZipError};

/// As much of a file is packed at once.
const PIECE: usize = 256 * 1024;

impl From<ZipError> for aws::Error {
    fn from(error: ZipError) -> Self {
        Self::Shape(error.to_string())
    }
}

/// The bucket of exports.
#[derive(Clone)]
pub struct Exports {
    bucket: Bucket,
}

impl Deps for Exports {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        Ok(Self { bucket: Bucket::new(clients, settings.required("EXPORT_BUCKET")?) })
    }
}

/// A zip that was joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joined {
    /// Files in it.
    pub files: u64,
    /// Its size, octets.
    pub bytes: u64,
}

fn parts_prefix(user: UserId, export: ExportId) -> String {
    format!("parts/{user}/{export}/")
}

/// Where the zip is.
pub fn exported_key(user: UserId, export: ExportId) -> String {
    format!("exports/{user}/{export}.zip")
}

impl Exports {
    /// A part to be written, `None` if it is there. `name` is the same at every repeat, and no other area's.
    pub async fn part(&self, order: &Order, name: &str) -> Result<Option<Part>, aws::Error> {
        let key = format!("{}{name}.zip", parts_prefix(order.user, order.export));
        if self.bucket.size(&key).await?.is_some() {
            return Ok(None);
        }
        let out = self.bucket.writer(&key, "application/zip");
        Ok(Some(Part { out, zip: Zip::new(now()), ready: Vec::new(), rows: 0 }))
    }

    /// Makes one zip of the parts, in the order of their names, and of a few files more, which `last` makes of the list of files.
    /// `None`, and nothing is made, if there are not as many parts as there should be. A repeat makes the same zip again.
    pub async fn join(
        &self,
        user: UserId,
        export: ExportId,
        parts: u64,
        last: impl FnOnce(&[Entry]) -> Result<Vec<(&'static str, Vec<u8>)>, aws::Error>,
    ) -> Result<Option<Joined>, aws::Error> {
        let mut found: Vec<(String, u64)> = Vec::new();
        let prefix = parts_prefix(user, export);
        loop {
            let behind = found.last().map(|(key, _)| key.as_str());
            let page = self.bucket.list(&prefix, behind).await?;
            if page.is_empty() {
                break;
            }
            found.extend(page);
        }
        if found.len() as u64 != parts {
            return Ok(None);
        }
        let mut out = self.bucket.writer(&exported_key(user, export), "application/zip");
        let (mut zip, mut ready) = (Zip::new(now()), Vec::new());
        for (key, size) in &found {
            let lost = || aws::Error::Shape(format!("{key} has gone"));
            let from = size.saturating_sub(Tail::LEN);
            let end = self.bucket.get_range(key, from, *size).await?.ok_or_else(lost)?;
            let tail = Tail::read(&end)?;
            let directory = self.bucket.get_range(key, tail.begin, tail.begin + tail.size).await?;
            let entries = tail.entries(&directory.ok_or_else(lost)?)?;
            zip.adopt(entries, tail.begin, &mut ready)?;
            out.write(&ready).await?;
            ready.clear();
            if tail.begin == 0 {
                continue;
            }
            let mut body = self.bucket.reader(key, Some(0..tail.begin)).await?.ok_or_else(lost)?;
            while let Some(piece) = body.next().await? {
                out.write(&piece).await?;
            }
        }
        for (name, octets) in last(zip.entries())? {
            zip.begin(name, &mut ready)?;
            for piece in octets.chunks(PIECE) {
                zip.write(piece, &mut ready)?;
                out.write(&ready).await?;
                ready.clear();
            }
        }
        let (files, bytes) = zip.finish(&mut ready)?;
        out.write(&ready).await?;
        out.finish().await?;
        Ok(Some(Joined { files, bytes }))
    }

    /// A link to the zip, good for so long.
    pub async fn link(
        &self,
        user: UserId,
        export: ExportId,
        file_name: &str,
        life: Duration,
    ) -> Result<String, aws::Error> {
        self.bucket.presign_download(&exported_key(user, export), file_name, life).await
    }

    /// Deletes an export's parts: they are in the zip.
    pub async fn forget_parts(&self, user: UserId, export: ExportId) -> Result<(), aws::Error> {
        self.bucket.delete_prefix(&parts_prefix(user, export)).await?;
        Ok(())
    }

    /// Deletes an export's parts and its zip.
    pub async fn forget(&self, user: UserId, export: ExportId) -> Result<(), aws::Error> {
        self.forget_parts(user, export).await?;
        self.bucket.delete_prefix(&exported_key(user, export)).await?;
        Ok(())
    }

    /// Deletes all exports of a user.
    pub async fn forget_all(&self, user: UserId) -> Result<(), aws::Error> {
        for prefix in ["parts", "exports"] {
            self.bucket.delete_prefix(&format!("{prefix}/{user}/")).await?;
        }
        Ok(())
    }
}

/// A part that is being written: files, one after the other. It is there when it is finished, and not before.
pub struct Part {
    out: ObjectWriter,
    zip: Zip,
    ready: Vec<u8>,
    /// Rows of the list that is being written.
    rows: u64,
}

impl Part {
    /// Begins a file.
    pub async fn begin(&mut self, name: &str) -> Result<(), aws::Error> {
        self.zip.begin(name, &mut self.ready)?;
        self.send().await
    }

    /// Adds octets to the file that was begun.
    pub async fn write(&mut self, octets: &[u8]) -> Result<(), aws::Error> {
        for piece in octets.chunks(PIECE) {
            self.zip.write(piece, &mut self.ready)?;
            self.send().await?;
        }
        Ok(())
    }

    async fn send(&mut self) -> Result<(), aws::Error> {
        self.out.write(&self.ready).await?;
        self.ready.clear();
        Ok(())
    }

    /// A JSON file.
    pub async fn json<T: Serialize>(&mut self, name: &str, value: &T) -> Result<(), aws::Error> {
        let text = serde_json::to_vec_pretty(value).map_err(shape)?;
        self.begin(name).await?;
        self.write(&text).await
    }

    /// Begins a JSON file that is a list, of which rows are added one by one.
    pub async fn begin_rows(&mut self, name: &str) -> Result<(), aws::Error> {
        self.rows = 0;
        self.begin(name).await?;
        self.write(b"[").await
    }

    /// Adds a row.
    pub async fn row<T: Serialize>(&mut self, row: &T) -> Result<(), aws::Error> {
        let mut text = if self.rows == 0 { b"\n".to_vec() } else { b",\n".to_vec() };
        self.rows += 1;
        serde_json::to_writer(&mut text, row).map_err(shape)?;
        self.write(&text).await
    }

    /// Ends the list.
    pub async fn end_rows(&mut self) -> Result<(), aws::Error> {
        self.zip.records(self.rows);
        self.write(b"\n]\n").await
    }

    /// A copy of an object, piece by piece; `false`, and no file, if there is none.
    pub async fn object(&mut self, name: &str, bucket: &Bucket, key: &str) -> Result<bool, aws::Error> {
        let Some(mut body) = bucket.reader(key, None).await? else { return Ok(false) };
        self.begin(name).await?;
        while let Some(piece) = body.next().await? {
            self.write(&piece).await?;
        }
        Ok(true)
    }

    /// The part is there.
    pub async fn finish(mut self) -> Result<(), aws::Error> {
        self.zip.finish(&mut self.ready)?;
        self.out.write(&self.ready).await?;
        self.out.finish().await
    }
}

fn shape(error: serde_json::Error) -> aws::Error {
    aws::Error::Shape(error.to_string())
}
