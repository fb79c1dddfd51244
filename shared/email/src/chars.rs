//! Character classes, as a table for ASCII and short functions for the rest.

/// The classes met in a text, as bits.
#[derive(Clone, Copy, Default)]
pub(crate) struct Class(u8);

impl Class {
    pub(crate) const NON_ASCII: u8 = 1;
    pub(crate) const CONTROL: u8 = 2;
    pub(crate) const SPACE: u8 = 4;
    pub(crate) const QUOTE: u8 = 8;
    pub(crate) const PAREN: u8 = 16;
    pub(crate) const ANGLE: u8 = 32;
    pub(crate) const COLON: u8 = 64;

    pub(crate) fn has(self, class: u8) -> bool {
        self.0 & class != 0
    }

    /// Whether the text holds anything that an address of plain ASCII does not.
    pub(crate) fn is_suspicious(self) -> bool {
        self.0 != 0
    }
}

const fn class_of(byte: u8) -> u8 {
    match byte {
        0x80.. => Class::NON_ASCII,
        b' ' | b'\t' | b'\n' | b'\r' => Class::SPACE,
        0..0x20 | 0x7F => Class::CONTROL,
        b'"' => Class::QUOTE,
        b'(' | b')' => Class::PAREN,
        b'<' | b'>' => Class::ANGLE,
        b':' => Class::COLON,
        _ => 0,
    }
}

const ATEXT: u8 = 1;
const LDH: u8 = 2;

const fn part_of(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => ATEXT | LDH,
        b'!' | b'#'..=b'\'' | b'*' | b'+' | b'/' | b'=' | b'?' | b'^'..=b'`' | b'{'..=b'~' => ATEXT,
        _ => 0,
    }
}

const fn table(classes: bool) -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = if classes { class_of(byte as u8) } else { part_of(byte as u8) };
        byte += 1;
    }
    table
}

static CLASSES: [u8; 256] = table(true);
static PARTS: [u8; 256] = table(false);

pub(crate) fn classes(text: &str) -> Class {
    Class(text.bytes().fold(0, |seen, byte| seen | CLASSES[usize::from(byte)]))
}

/// RFC 5322 section 3.2.3.
pub(crate) fn is_atext(byte: u8) -> bool {
    PARTS[usize::from(byte)] & ATEXT != 0
}

/// A letter, digit or hyphen.
pub(crate) fn is_ldh(byte: u8) -> bool {
    PARTS[usize::from(byte)] & LDH != 0
}

/// Marks, embeddings, overrides and isolates: they change how an address looks, never where it goes.
pub(crate) fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Zero-width and other characters that print nothing (Default_Ignorable_Code_Point, and the annotation marks).
///
/// UTS 46 would drop many of them in silence, so they are looked for first.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{34F}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200D}' | '\u{2060}'..='\u{2065}' | '\u{206A}'..='\u{206F}' | '\u{3164}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}'
        | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}
