//! XML as events of bounded size and depth. No document type, so no entity but the five predefined ones.

use std::{
    borrow::Cow,
    io::{self, BufRead, BufReader},
};

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

use super::zip::{Part, Stop, Zip};
use crate::error::ListError;

/// An event's bytes: a cell of 32,767 characters, each written as an escape, has a fifth of it.
const MAX_EVENT: usize = 1 << 20;
const MAX_DEPTH: usize = 64;

pub(super) struct Xml {
    reader: Reader<Bounded<BufReader<Part>>>,
    depth: usize,
}

pub(super) enum Node<'a> {
    Start(Tag<'a>),
    Empty(Tag<'a>),
    /// The local name of the element that ends.
    Close(Name<'a>),
    Text(Cow<'a, str>),
    /// A comment or a processing instruction.
    Other,
    /// The end of the part.
    End,
}

pub(super) struct Name<'a>(quick_xml::events::BytesEnd<'a>);

impl Name<'_> {
    pub(super) fn as_str(&self) -> &str {
        self.0.local_name().into_inner()
    }
}

pub(super) struct Tag<'a>(BytesStart<'a>);

impl Tag<'_> {
    /// Without its prefix: some producers write `x:row`.
    pub(super) fn name(&self) -> &str {
        self.0.local_name().into_inner()
    }

    /// An attribute's value by its local name.
    pub(super) fn attribute(&self, name: &str) -> Option<Cow<'_, str>> {
        self.attributes().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// The attributes by local name. One that cannot be read counts as not there.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        let mut attributes = self.0.attributes();
        attributes.with_checks(false);
        attributes.flatten().filter_map(|attribute| {
            let key = attribute.key.into_inner();
            Some((key.rsplit_once(':').map_or(key, |(_, local)| local), unescape(attribute.value)?))
        })
    }
}

fn unescape(value: Cow<'_, str>) -> Option<Cow<'_, str>> {
    if !value.contains('&') {
        return Some(value);
    }
    quick_xml::escape::unescape(&value).ok().map(|text| Cow::Owned(text.into_owned()))
}

impl Xml {
    pub(super) fn open(zip: &Zip, part: &str) -> Result<Self, ListError> {
        let source = BufReader::with_capacity(32 << 10, zip.part(part)?);
        Ok(Self { reader: Reader::from_reader(Bounded { source, left: MAX_EVENT }), depth: 0 })
    }

    /// The next event. `buffer` is scratch: its content before does not matter.
    pub(super) fn next<'b>(&mut self, buffer: &'b mut Vec<u8>) -> Result<Node<'b>, ListError> {
        buffer.clear();
        self.reader.get_mut().left = MAX_EVENT;
        let event = self.reader.read_event_into(buffer).map_err(|error| match error {
            quick_xml::Error::Io(error) => Stop::to_list_error(&error),
            other => ListError::damaged(format!("XML: {other}")),
        })?;
        Ok(match event {
            Event::Start(tag) => {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(ListError::damaged("XML nested too deep"));
                }
                Node::Start(Tag(tag))
            }
            Event::Empty(tag) => Node::Empty(Tag(tag)),
            Event::End(name) => {
                self.depth = self.depth.saturating_sub(1);
                Node::Close(Name(name))
            }
            Event::Text(text) => Node::Text(lines(text.into_inner())),
            Event::CData(text) => Node::Text(text.into_inner()),
            Event::GeneralRef(name) => {
                let character = match name.resolve_char_ref() {
                    Ok(Some(character)) => Some(character),
                    Ok(None) => match &*name.into_inner() {
                        "amp" => Some('&'),
                        "lt" => Some('<'),
                        "gt" => Some('>'),
                        "quot" => Some('"'),
                        "apos" => Some('\''),
                        _ => None,
                    },
                    Err(_) => None,
                };
                let character = character.ok_or_else(|| ListError::damaged("XML: unknown entity"))?;
                Node::Text(Cow::Owned(character.to_string()))
            }
            Event::DocType(_) => return Err(ListError::damaged("XML with a document type")),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => Node::Other,
            Event::Eof => Node::End,
        })
    }
}

/// A reader that refuses to give more than `left` bytes (and the rest of its buffer) until `left` is set again.
struct Bounded<R> {
    source: R,
    left: usize,
}

impl<R: BufRead> io::Read for Bounded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let got = self.fill_buf()?.len().min(out.len());
        out[..got].copy_from_slice(&self.fill_buf()?[..got]);
        self.consume(got);
        Ok(got)
    }
}

impl<R: BufRead> BufRead for Bounded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Err(io::Error::other(Stop::TooLong));
        }
        self.source.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.left = self.left.saturating_sub(count);
        self.source.consume(count);
    }
}

/// Line ends as XML 1.0 has them: LF alone.
fn lines(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.contains('\r') { Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")) } else { text }
}
