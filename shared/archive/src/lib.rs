//! Exports of personal data (P19): what areas and the account area agree on, and the zip that it becomes.
//!
//! Each area writes *parts*: whole zips under `parts/<user>/<export>/`, of which each is there entirely or not at all, so that a
//! repeat after a crash passes over those that are. [`Exports::join`] makes one zip of them under `exports/<user>/` without packing
//! anything again: an entry of a zip does not know where in the file it stands, only the directory does. Everything streams.

mod csv;
mod exports;
mod order;
mod zip;

pub use csv::csv_line;
pub use exports::{Exports, Joined, Part, exported_key};
pub use order::{ExportId, Order};
pub use zip::{Entry, Tail, Zip, ZipError};
