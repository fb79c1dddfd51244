//! As much of a zip (PKWARE APPNOTE 6.3.10) as is written here: deflated entries with data descriptors, since sizes are not known
//! beforehand, and zip64 for the directory where the file is past 4 GiB or 65,535 entries. An entry itself is below 4 GiB.
//!
//! No I/O: octets come out in pieces, as they are ready.

use std::io::{self, Write as _};

use flate2::{Compression, write::DeflateEncoder};
use jiff::{Timestamp, tz::TimeZone};

const LOCAL: u32 = 0x0403_4b50;
const DESCRIPTOR: u32 = 0x0807_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END64: u32 = 0x0606_4b50;
const LOCATOR64: u32 = 0x0706_4b50;
/// Sizes stand behind the data (bit 3), names are UTF-8 (bit 11).
const FLAGS: u16 = 0x0808;
const DEFLATED: u16 = 8;
/// Version 2.0 of the format has deflate, 4.5 has zip64.
const PLAIN: u16 = 20;
const WIDE: u16 = 45;
/// Written on Unix, so that the mode is read.
const MADE_BY: u16 = 3 << 8 | WIDE;
/// A regular file, readable by everybody and writable by its owner.
const MODE: u32 = 0o100_644 << 16;
/// Octets of the end record, and of what zip64 has before it.
const END_LEN: usize = 22;
const END64_LEN: usize = 56 + 20;

/// Why a zip cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ZipError {
    /// A file of 4 GiB or more.
    #[error("a file in an archive must be smaller than 4 GiB")]
    TooLarge,
    /// What was read is not the end of a zip of ours.
    #[error("a part is not a zip: {0}")]
    Damaged(&'static str),
    /// Compression failed, which memory does not.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A file in a zip, as the directory has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path.
    pub name: String,
    /// CRC-32 of its octets.
    pub crc: u32,
    /// Its size in the zip, octets.
    pub packed: u64,
    /// Its size, octets.
    pub unpacked: u64,
    /// Where it begins in the zip.
    pub offset: u64,
    /// How many records it has, if it is a list: kept as the entry's comment.
    pub records: Option<u64>,
    /// When it was written, as DOS has it: date, then time, UTC.
    moment: (u16, u16),
}

fn dos(at: Timestamp) -> (u16, u16) {
    let at = at.to_zoned(TimeZone::UTC).datetime();
    let part = |n: i64| u16::try_from(n).unwrap_or(0);
    let year = part((i64::from(at.year()) - 1980).clamp(0, 127));
    let date = year << 9 | part(at.month().into()) << 5 | part(at.day().into());
    let time =
        part(at.hour().into()) << 11 | part(at.minute().into()) << 5 | part(i64::from(at.second()) / 2);
    (date, time)
}

fn small(size: u64) -> Result<u32, ZipError> {
    u32::try_from(size).ok().filter(|&size| size < u32::MAX).ok_or(ZipError::TooLarge)
}

fn put<const N: usize>(out: &mut Vec<u8>, octets: [u8; N]) {
    out.extend_from_slice(&octets);
}

impl Entry {
    /// The directory's record.
    fn record(&self, out: &mut Vec<u8>) -> Result<(), ZipError> {
        let far = self.offset >= u64::from(u32::MAX);
        let comment = self.records.map(|records| records.to_string()).unwrap_or_default();
        put(out, CENTRAL.to_le_bytes());
        put(out, MADE_BY.to_le_bytes());
        put(out, (if far { WIDE } else { PLAIN }).to_le_bytes());
        put(out, FLAGS.to_le_bytes());
        put(out, DEFLATED.to_le_bytes());
        put(out, self.moment.1.to_le_bytes());
        put(out, self.moment.0.to_le_bytes());
        put(out, self.crc.to_le_bytes());
        put(out, small(self.packed)?.to_le_bytes());
        put(out, small(self.unpacked)?.to_le_bytes());
        put(out, length(&self.name)?.to_le_bytes());
        put(out, (if far { 12_u16 } else { 0 }).to_le_bytes());
        put(out, length(&comment)?.to_le_bytes());
        // First disk, no internal attributes.
        put(out, [0; 4]);
        put(out, MODE.to_le_bytes());
        put(out, (if far { u32::MAX } else { small(self.offset)? }).to_le_bytes());
        out.extend_from_slice(self.name.as_bytes());
        if far {
            put(out, 1_u16.to_le_bytes());
            put(out, 8_u16.to_le_bytes());
            put(out, self.offset.to_le_bytes());
        }
        out.extend_from_slice(comment.as_bytes());
        Ok(())
    }
}

fn length(name: &str) -> Result<u16, ZipError> {
    u16::try_from(name.len()).map_err(|_| ZipError::Damaged("a name is too long"))
}

/// An entry that is being written.
struct Open {
    entry: Entry,
    crc: crc32fast::Hasher,
    deflate: DeflateEncoder<Vec<u8>>,
}

/// Writes a zip. What each call leaves in the buffer given to it is to be written behind what came before.
pub struct Zip {
    at: Timestamp,
    offset: u64,
    entries: Vec<Entry>,
    open: Option<Open>,
}

impl Zip {
    /// An empty zip, whose files were written at this moment.
    pub fn new(at: Timestamp) -> Self {
        Self { at, offset: 0, entries: Vec::new(), open: None }
    }

    /// The files so far.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn ready(&mut self, out: &mut Vec<u8>, octets: &[u8]) {
        self.offset += octets.len() as u64;
        out.extend_from_slice(octets);
    }

    /// Begins a file; the one before ends.
    ///
    /// # Errors
    /// The one before is too large, or the name is longer than 65,535 octets.
    pub fn begin(&mut self, name: &str, out: &mut Vec<u8>) -> Result<(), ZipError> {
        self.end(out)?;
        let moment = dos(self.at);
        let (name_of_entry, offset) = (name.to_owned(), self.offset);
        let entry =
            Entry { name: name_of_entry, crc: 0, packed: 0, unpacked: 0, offset, records: None, moment };
        let mut header = Vec::with_capacity(30 + name.len());
        put(&mut header, LOCAL.to_le_bytes());
        put(&mut header, PLAIN.to_le_bytes());
        put(&mut header, FLAGS.to_le_bytes());
        put(&mut header, DEFLATED.to_le_bytes());
        put(&mut header, moment.1.to_le_bytes());
        put(&mut header, moment.0.to_le_bytes());
        // Checksum and sizes follow the data.
        put(&mut header, [0; 12]);
        put(&mut header, length(name)?.to_le_bytes());
        put(&mut header, [0; 2]);
        header.extend_from_slice(name.as_bytes());
        self.ready(out, &header);
        let deflate = DeflateEncoder::new(Vec::new(), Compression::fast());
        self.open = Some(Open { entry, crc: crc32fast::Hasher::new(), deflate });
        Ok(())
    }

    /// Adds octets to the file that was begun.
    ///
    /// # Errors
    /// None was begun.
    pub fn write(&mut self, octets: &[u8], out: &mut Vec<u8>) -> Result<(), ZipError> {
        let open = self.open.as_mut().ok_or(ZipError::Damaged("no file was begun"))?;
        open.crc.update(octets);
        open.entry.unpacked += octets.len() as u64;
        open.deflate.write_all(octets)?;
        let packed = std::mem::take(open.deflate.get_mut());
        open.entry.packed += packed.len() as u64;
        self.ready(out, &packed);
        Ok(())
    }

    /// Says how many records the file that was begun has.
    pub fn records(&mut self, records: u64) {
        if let Some(open) = &mut self.open {
            open.entry.records = Some(records);
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), ZipError> {
        let Some(Open { mut entry, crc, deflate }) = self.open.take() else { return Ok(()) };
        let rest = deflate.finish()?;
        entry.packed += rest.len() as u64;
        entry.crc = crc.finalize();
        self.ready(out, &rest);
        let mut descriptor = Vec::with_capacity(16);
        put(&mut descriptor, DESCRIPTOR.to_le_bytes());
        put(&mut descriptor, entry.crc.to_le_bytes());
        put(&mut descriptor, small(entry.packed)?.to_le_bytes());
        put(&mut descriptor, small(entry.unpacked)?.to_le_bytes());
        self.ready(out, &descriptor);
        self.entries.push(entry);
        Ok(())
    }

    /// Takes over the files of another zip, of which the next `length` octets are the entries: whoever calls writes them behind
    /// what came before.
    ///
    /// # Errors
    /// The file before is too large.
    pub fn adopt(&mut self, entries: Vec<Entry>, length: u64, out: &mut Vec<u8>) -> Result<(), ZipError> {
        self.end(out)?;
        let from = self.offset;
        self.entries.extend(entries.into_iter().map(|entry| Entry { offset: from + entry.offset, ..entry }));
        self.offset += length;
        Ok(())
    }

    /// The directory, which ends the zip; how many files there are, and how many octets in all.
    ///
    /// # Errors
    /// The last file is too large.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(u64, u64), ZipError> {
        self.end(out)?;
        let begin = self.offset;
        let mut directory = Vec::with_capacity(self.entries.len() * 128);
        for entry in &self.entries {
            entry.record(&mut directory)?;
        }
        let (count, size) = (self.entries.len() as u64, directory.len() as u64);
        let most = u64::from(u32::MAX);
        if count >= u16::MAX.into() || size >= most || begin >= most {
            let end = begin + size;
            put(&mut directory, END64.to_le_bytes());
            // What follows in this record.
            put(&mut directory, 44_u64.to_le_bytes());
            put(&mut directory, MADE_BY.to_le_bytes());
            put(&mut directory, WIDE.to_le_bytes());
            put(&mut directory, [0; 8]);
            put(&mut directory, count.to_le_bytes());
            put(&mut directory, count.to_le_bytes());
            put(&mut directory, size.to_le_bytes());
            put(&mut directory, begin.to_le_bytes());
            put(&mut directory, LOCATOR64.to_le_bytes());
            put(&mut directory, [0; 4]);
            put(&mut directory, end.to_le_bytes());
            put(&mut directory, 1_u32.to_le_bytes());
        }
        let few = u16::try_from(count).unwrap_or(u16::MAX);
        put(&mut directory, END.to_le_bytes());
        put(&mut directory, [0; 4]);
        put(&mut directory, few.to_le_bytes());
        put(&mut directory, few.to_le_bytes());
        put(&mut directory, u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes());
        put(&mut directory, u32::try_from(begin).unwrap_or(u32::MAX).to_le_bytes());
        put(&mut directory, [0; 2]);
        self.ready(out, &directory);
        Ok((count, self.offset))
    }
}

/// Reads numbers from octets.
struct Numbers<'a>(&'a [u8]);

impl<'a> Numbers<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], ZipError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(ZipError::Damaged("cut short"))?;
        self.0 = rest;
        Ok(taken)
    }
    fn next(&mut self, count: usize) -> Result<u64, ZipError> {
        Ok(self.take(count)?.iter().rev().fold(0, |sum, &octet| sum << 8 | u64::from(octet)))
    }
    fn number<T: TryFrom<u64>>(&mut self, count: usize) -> Result<T, ZipError> {
        T::try_from(self.next(count)?).map_err(|_| ZipError::Damaged("a number is too large"))
    }
}

/// Where the directory of a zip stands, by its last octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tail {
    /// Where the directory begins, which is where the entries end.
    pub begin: u64,
    /// Its size, octets.
    pub size: u64,
    /// How many files it names.
    pub count: u64,
}

impl Tail {
    /// As many octets of the end as [`Tail::read`] takes, or the whole zip if it is shorter.
    pub const LEN: u64 = (END_LEN + END64_LEN) as u64;

    /// Reads the end of a zip that [`Zip`] wrote.
    ///
    /// # Errors
    /// It is none.
    pub fn read(octets: &[u8]) -> Result<Self, ZipError> {
        let from = octets.len().checked_sub(END_LEN).ok_or(ZipError::Damaged("too short"))?;
        let (before, end) = octets.split_at(from);
        let mut end = Numbers(end);
        if end.next(4)? != u64::from(END) {
            return Err(ZipError::Damaged("no end record"));
        }
        end.take(4)?;
        let (few, _) = (end.next(2)?, end.next(2)?);
        let (size, begin) = (end.next(4)?, end.next(4)?);
        let most = u64::from(u32::MAX);
        if few < u16::MAX.into() && size < most && begin < most {
            return Ok(Self { begin, size, count: few });
        }
        let from = before.len().checked_sub(END64_LEN).ok_or(ZipError::Damaged("no zip64 record"))?;
        let mut end = Numbers(&before[from..]);
        if end.next(4)? != u64::from(END64) {
            return Err(ZipError::Damaged("no zip64 record"));
        }
        end.take(20)?;
        let (count, _) = (end.next(8)?, end.next(8)?);
        Ok(Self { count, size: end.next(8)?, begin: end.next(8)? })
    }

    /// Reads the directory: the octets from `begin`, `size` of them.
    ///
    /// # Errors
    /// It is none of a zip that [`Zip`] wrote.
    pub fn entries(&self, directory: &[u8]) -> Result<Vec<Entry>, ZipError> {
        let mut from = Numbers(directory);
        let mut entries = Vec::new();
        for _ in 0..self.count {
            if from.next(4)? != u64::from(CENTRAL) {
                return Err(ZipError::Damaged("the directory"));
            }
            from.take(8)?;
            let (time, date) = (from.number(2)?, from.number(2)?);
            let crc = from.number(4)?;
            let (packed, unpacked) = (from.next(4)?, from.next(4)?);
            let (name, extra): (usize, usize) = (from.number(2)?, from.number(2)?);
            let comment = from.number(2)?;
            from.take(8)?;
            let mut offset = from.next(4)?;
            let name = std::str::from_utf8(from.take(name)?).map_err(|_| ZipError::Damaged("a name"))?;
            let mut extra = Numbers(from.take(extra)?);
            if offset == u64::from(u32::MAX) {
                extra.take(4)?;
                offset = extra.next(8)?;
            }
            let comment = from.take(comment)?;
            let records = std::str::from_utf8(comment).ok().and_then(|count| count.parse().ok());
            let (name, moment) = (name.to_owned(), (date, time));
            entries.push(Entry { name, crc, packed, unpacked, offset, records, moment });
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read as _};

    use proptest::prelude::*;

    use super::*;

    const AT: Timestamp = Timestamp::UNIX_EPOCH;

    fn packed(files: &[(String, Vec<u8>)]) -> Vec<u8> {
        let (mut zip, mut out) = (Zip::new(AT), Vec::new());
        for (name, octets) in files {
            zip.begin(name, &mut out).unwrap();
            for piece in octets.chunks(1000) {
                zip.write(piece, &mut out).unwrap();
            }
        }
        let told = zip.finish(&mut out).unwrap();
        assert_eq!(told, (files.len() as u64, out.len() as u64));
        out
    }

    fn tail(zip: &[u8]) -> Tail {
        Tail::read(&zip[zip.len().saturating_sub(Tail::LEN as usize)..]).unwrap()
    }

    fn directory(zip: &[u8]) -> Vec<Entry> {
        let tail = tail(zip);
        tail.entries(&zip[tail.begin as usize..(tail.begin + tail.size) as usize]).unwrap()
    }

    /// What another reader finds.
    fn unpacked(zip: Vec<u8>) -> Vec<(String, Vec<u8>)> {
        let mut zip = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
        (0..zip.len())
            .map(|at| {
                let mut file = zip.by_index(at).unwrap();
                let mut octets = Vec::new();
                file.read_to_end(&mut octets).unwrap();
                (file.name().unwrap().into_owned(), octets)
            })
            .collect()
    }

    fn files() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
        let octets = prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..5000),
            (any::<u8>(), 0..50_000_usize).prop_map(|(octet, count)| vec![octet; count]),
        ];
        proptest::collection::btree_map("[a-zé/]{1,20}\\.[a-z]{1,3}", octets, 0..6)
            .prop_map(|files| files.into_iter().collect())
    }

    proptest! {
        #[test]
        fn another_reader_finds_what_was_written_also_in_zips_that_were_joined(parts in proptest::collection::vec(files(), 0..4)) {
            let (mut zip, mut out) = (Zip::new(AT), Vec::new());
            let mut all = Vec::new();
            for (at, files) in parts.iter().enumerate() {
                let files: Vec<_> = files.iter().map(|(n, o)| (format!("{at}/{n}"), o.clone())).collect();
                let part = packed(&files);
                prop_assert_eq!(unpacked(part.clone()), files.clone());
                let tail = tail(&part);
                zip.adopt(directory(&part), tail.begin, &mut out).unwrap();
                out.extend_from_slice(&part[..tail.begin as usize]);
                all.extend(files);
            }
            zip.begin("last", &mut out).unwrap();
            zip.write(b"!", &mut out).unwrap();
            all.push(("last".to_owned(), b"!".to_vec()));
            zip.finish(&mut out).unwrap();
            prop_assert_eq!(unpacked(out), all);
        }

        #[test]
        fn what_is_no_zip_is_refused(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(tail) = Tail::read(&octets) {
                let _ = tail.entries(&octets);
            }
        }
    }

    #[test]
    fn a_zip_of_many_files_or_past_four_gib_has_a_zip64_directory() {
        let files: Vec<_> = (0..66_000).map(|n| (format!("{n}"), Vec::new())).collect();
        let many = packed(&files);
        assert_eq!((tail(&many).count, directory(&many).len()), (66_000, 66_000));
        assert_eq!(zip::ZipArchive::new(Cursor::new(many)).unwrap().len(), 66_000);

        // As if five gigabytes had been taken over; only the directory is looked at.
        let (mut zip, mut out) = (Zip::new(AT), Vec::new());
        zip.adopt(Vec::new(), 5 << 30, &mut out).unwrap();
        zip.begin("far", &mut out).unwrap();
        zip.write(b"away", &mut out).unwrap();
        zip.records(7);
        let begun = zip.offset;
        zip.finish(&mut out).unwrap();
        let tail = tail(&out);
        assert!(tail.begin > begun);
        let start = (tail.begin - (5 << 30)) as usize;
        let entries = tail.entries(&out[start..start + tail.size as usize]).unwrap();
        assert_eq!((entries[0].offset, entries[0].unpacked, entries[0].records), (5 << 30, 4, Some(7)));
    }

    #[test]
    fn a_file_of_four_gib_is_refused() {
        assert!(matches!(small(u64::from(u32::MAX)), Err(ZipError::TooLarge)));
        assert_eq!(small(7).unwrap(), 7);
    }

    #[test]
    fn a_moment_is_written_as_dos_has_it() {
        let at: Timestamp = "2026-11-20T13:45:31Z".parse().unwrap();
        assert_eq!(dos(at), (46 << 9 | 11 << 5 | 20, 13 << 11 | 45 << 5 | 15));
        assert_eq!(dos(AT).0 >> 9, 0);
    }
}
