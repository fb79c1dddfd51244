//! From the bytes of a list to UTF-8.

use std::io::{self, Read};

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::error::ListError;

/// What an encoding is chosen from.
const HEAD: usize = 64 << 10;

/// Stands for a malformed sequence in the decoded text: never part of UTF-8, so that the row's own check finds it.
const MALFORMED: u8 = 0xff;

/// Any reader as a source of UTF-8.
pub(crate) struct Feed {
    reader: Box<dyn Read + Send>,
    /// `None` for UTF-8, which passes through unchanged.
    decoder: Option<Decoder>,
    raw: Vec<u8>,
    start: usize,
    end: usize,
    reader_ended: bool,
    ended: bool,
    pub(crate) encoding: &'static Encoding,
    pub(crate) bom: bool,
}

impl Feed {
    /// Chooses the encoding from the first 64 KiB: byte order mark, hint, NULs of UTF-16, UTF-8, then a guess.
    pub(crate) fn open(reader: Box<dyn Read + Send>, hint: Option<&str>) -> Result<Self, ListError> {
        let hint = hint
            .map(|asked| {
                Encoding::for_label_no_replacement(asked.as_bytes())
                    .ok_or_else(|| ListError::UnknownEncoding { asked: asked.into() })
            })
            .transpose()?;
        let mut feed = Self {
            reader,
            decoder: None,
            raw: vec![0; HEAD],
            start: 0,
            end: 0,
            reader_ended: false,
            ended: false,
            encoding: UTF_8,
            bom: false,
        };
        while feed.end < HEAD && !feed.reader_ended {
            let got = read(&mut feed.reader, &mut feed.raw[feed.end..])?;
            feed.reader_ended = got == 0;
            feed.end += got;
        }
        let head = &feed.raw[..feed.end];
        if let Some((encoding, length)) = Encoding::for_bom(head) {
            (feed.encoding, feed.bom, feed.start) = (encoding, true, length);
        } else {
            feed.encoding = hint.unwrap_or_else(|| detect(head, feed.reader_ended));
        }
        if feed.encoding != UTF_8 {
            feed.decoder = Some(feed.encoding.new_decoder_without_bom_handling());
        }
        Ok(feed)
    }

    /// Fills the start of `out`, which must hold 16 bytes or more. 0 at the end of the list.
    pub(crate) fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let Some(decoder) = &mut self.decoder else {
            if self.start == self.end {
                return read(&mut self.reader, out);
            }
            let count = out.len().min(self.end - self.start);
            out[..count].copy_from_slice(&self.raw[self.start..self.start + count]);
            self.start += count;
            return Ok(count);
        };
        while !self.ended {
            if self.start == self.end && !self.reader_ended {
                (self.start, self.end) = (0, read(&mut self.reader, &mut self.raw)?);
                self.reader_ended = self.end == 0;
            }
            let room = out.len() - 1;
            let raw = &self.raw[self.start..self.end];
            let (result, taken, mut written) =
                decoder.decode_to_utf8_without_replacement(raw, &mut out[..room], self.reader_ended);
            self.start += taken;
            match result {
                DecoderResult::InputEmpty => self.ended = self.reader_ended,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => {
                    out[written] = MALFORMED;
                    written += 1;
                }
            }
            if written > 0 {
                return Ok(written);
            }
        }
        Ok(0)
    }
}

fn read(reader: &mut dyn Read, out: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(out) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn detect(head: &[u8], whole: bool) -> &'static Encoding {
    if let Some(encoding) = utf16(head) {
        return encoding;
    }
    let (mut wide, mut invalid, mut at) = (0, 0, 0);
    for chunk in head.utf8_chunks() {
        wide += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        at += chunk.valid().len() + chunk.invalid().len();
        // A character that the head's end cuts in two is not wrong.
        let cut = at == head.len() && !whole;
        invalid += usize::from(!chunk.invalid().is_empty() && !cut);
    }
    // A few wrong bytes among many good characters do not make a list Latin-1; they make bad rows.
    if wide >= 8 * invalid {
        return UTF_8;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(head, whole);
    detector.guess(None, Utf8Detection::Deny)
}

/// UTF-16 without a byte order mark, by the NULs beside ASCII characters.
pub(crate) fn utf16(head: &[u8]) -> Option<&'static Encoding> {
    let pairs = head.len() / 2;
    let count =
        |zero: usize| head.chunks_exact(2).filter(|pair| pair[zero] == 0 && pair[1 - zero] != 0).count();
    let (big, little) = (count(0), count(1));
    if pairs < 2 {
        None
    } else if little * 5 >= pairs * 2 && big * 20 <= pairs {
        Some(UTF_16LE)
    } else if big * 5 >= pairs * 2 && little * 20 <= pairs {
        Some(UTF_16BE)
    } else {
        None
    }
}
