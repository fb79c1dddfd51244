//! A workbook's shared strings: up to 16 MiB in memory, the rest in a temporary file that vanishes with its handle.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
};

use super::{
    xml::{Node, Xml},
    zip::Zip,
};
use crate::{error::ListError, options::Limits};

/// A workbook lists its strings in the order of first use, so a block that was read is wanted again at once.
const BLOCK: usize = 16 << 10;
const IN_MEMORY: usize = 16 << 20;
const CACHED: usize = 256;
/// One string in so many has its place kept; from there the lengths before each string lead on.
const STRIDE: u64 = 16;
const MAX_STRINGS: u64 = 16 << 20;

/// Strings by number.
#[derive(Default)]
pub(super) struct Strings {
    /// Length (4 bytes) and bytes of one string after the other, cut into blocks.
    blocks: Vec<Box<[u8]>>,
    spilled: Option<Spilled>,
    length: u64,
    places: Vec<u64>,
    count: u64,
}

struct Spilled {
    file: File,
    /// The block at hand, not yet in the file.
    last: Vec<u8>,
    blocks: u64,
    cache: Vec<Option<(u64, Box<[u8]>)>>,
}

impl Strings {
    /// Reads the part with the shared strings. Of a string longer than a row may be, as much is kept as shows that.
    pub(super) fn read(zip: &Zip, part: &str, limits: &Limits) -> Result<Self, ListError> {
        let mut strings = Self::default();
        let mut xml = Xml::open(zip, part)?;
        let (mut buffer, mut text, mut phonetic, mut inside) = (Vec::new(), String::new(), 0_u32, false);
        loop {
            match xml.next(&mut buffer)? {
                Node::Start(tag) => match tag.name() {
                    "si" => text.clear(),
                    // How a Japanese name is read, beside the name.
                    "rPh" => phonetic += 1,
                    "t" => inside = phonetic == 0,
                    _ => {}
                },
                Node::Empty(tag) if tag.name() == "si" => strings.push("")?,
                Node::Text(part) if inside && text.len() <= limits.max_line_bytes => text.push_str(&part),
                Node::Close(name) => match name.as_str() {
                    "si" => {
                        let text = unescape_controls(&text);
                        let mut end = text.len().min(limits.max_line_bytes + 1);
                        while !text.is_char_boundary(end) {
                            end += 1;
                        }
                        strings.push(&text[..end])?;
                        if strings.length > limits.max_shared_strings_bytes || strings.count > MAX_STRINGS {
                            return Err(ListError::Decompression { limit: limits.max_shared_strings_bytes });
                        }
                    }
                    "rPh" => phonetic = phonetic.saturating_sub(1),
                    "t" => inside = false,
                    _ => {}
                },
                Node::End => return Ok(strings),
                _ => {}
            }
        }
    }

    fn push(&mut self, text: &str) -> io::Result<()> {
        if self.count.is_multiple_of(STRIDE) {
            self.places.push(self.length);
        }
        self.count += 1;
        self.append(&(text.len() as u32).to_le_bytes())?;
        self.append(text.as_bytes())
    }

    fn append(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let at = (self.length % BLOCK as u64) as usize;
            let taken = bytes.len().min(BLOCK - at);
            let (now, later) = bytes.split_at(taken);
            bytes = later;
            if self.length < IN_MEMORY as u64 {
                if at == 0 {
                    self.blocks.push(vec![0; BLOCK].into());
                }
                if let Some(block) = self.blocks.last_mut() {
                    block[at..at + taken].copy_from_slice(now);
                }
            } else {
                match &mut self.spilled {
                    Some(spilled) => spilled,
                    none => none.insert(Spilled::new()?),
                }
                .append(now)?;
            }
            self.length += taken as u64;
        }
        Ok(())
    }

    /// Appends string `index` to `out`; `false` when there is none.
    pub(super) fn get(&mut self, index: u64, out: &mut Vec<u8>) -> io::Result<bool> {
        if index >= self.count {
            return Ok(false);
        }
        let mut place = self.places[(index / STRIDE) as usize];
        let mut skip = index % STRIDE;
        loop {
            let mut length = [0; 4];
            self.copy(place, &mut length)?;
            let length = u32::from_le_bytes(length);
            place += 4;
            if skip == 0 {
                let start = out.len();
                out.resize(start + length as usize, 0);
                self.copy(place, &mut out[start..])?;
                return Ok(true);
            }
            place += u64::from(length);
            skip -= 1;
        }
    }

    fn copy(&mut self, mut place: u64, mut out: &mut [u8]) -> io::Result<()> {
        while !out.is_empty() {
            let (block, at) = (place / BLOCK as u64, (place % BLOCK as u64) as usize);
            let taken = out.len().min(BLOCK - at);
            let (now, later) = out.split_at_mut(taken);
            let bytes = match (self.blocks.get(block as usize), &mut self.spilled) {
                (Some(bytes), _) => bytes,
                (None, Some(spilled)) => spilled.block(block - self.blocks.len() as u64)?,
                (None, None) => return Err(io::ErrorKind::UnexpectedEof.into()),
            };
            now.copy_from_slice(&bytes[at..at + taken]);
            (out, place) = (later, place + taken as u64);
        }
        Ok(())
    }
}

impl Spilled {
    fn new() -> io::Result<Self> {
        let mut cache = Vec::new();
        cache.resize_with(CACHED, || None);
        Ok(Self { file: tempfile::tempfile()?, last: Vec::with_capacity(BLOCK), blocks: 0, cache })
    }

    /// `bytes` end within the block at hand.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.last.extend_from_slice(bytes);
        if self.last.len() == BLOCK {
            self.file.write_all(&self.last)?;
            self.last.clear();
            self.blocks += 1;
        }
        Ok(())
    }

    fn block(&mut self, index: u64) -> io::Result<&[u8]> {
        if index == self.blocks {
            return Ok(&self.last);
        }
        let slot = &mut self.cache[(index % CACHED as u64) as usize];
        let (held, bytes) = slot.get_or_insert_with(|| (u64::MAX, vec![0; BLOCK].into()));
        if *held != index {
            // Until it is read the slot holds nothing.
            *held = u64::MAX;
            self.file.seek(SeekFrom::Start(index * BLOCK as u64))?;
            self.file.read_exact(bytes)?;
            *held = index;
        }
        Ok(bytes)
    }
}

/// `_x000D_` and its like: how a workbook writes what XML cannot hold (ECMA-376, ST_Xstring).
pub(super) fn unescape_controls(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.contains("_x") {
        return text.into();
    }
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find("_x") {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let character = from
            .get(2..7)
            .and_then(|code| code.strip_suffix('_'))
            .filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|code| u32::from_str_radix(code, 16).ok())
            .and_then(char::from_u32);
        match character {
            Some(character) => {
                out.push(character);
                rest = &from[7..];
            }
            None => {
                out.push_str("_x");
                rest = &from[2..];
            }
        }
    }
    out.push_str(rest);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_beyond_what_memory_holds_are_read_back_in_any_order() {
        let text = |index: u64| format!("{index}-{}", "é".repeat((index % 700) as usize));
        let mut strings = Strings::default();
        let count = 60_000;
        for index in 0..count {
            strings.push(&text(index)).unwrap();
        }
        assert!(strings.length > 2 * IN_MEMORY as u64 && strings.blocks.len() == IN_MEMORY / BLOCK);
        for step in [1, 7919] {
            for at in (0..count).step_by(37) {
                let index = at * step % count;
                let mut out = Vec::new();
                assert!(strings.get(index, &mut out).unwrap());
                assert_eq!(String::from_utf8(out).unwrap(), text(index));
            }
        }
        assert!(!strings.get(count, &mut Vec::new()).unwrap());
    }

    #[test]
    fn escaped_control_characters_are_read() {
        assert_eq!(unescape_controls("a_x000D_b_x005F_x_xZZZZ__x00"), "a\rb_x_xZZZZ__x00");
        assert_eq!(unescape_controls("_xé000_"), "_xé000_");
    }
}
