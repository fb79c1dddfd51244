//! Why a text is no address.

use serde::{Deserialize, Serialize};

/// Why an address was refused, and what was probably meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct Refused {
    /// The first rule that was broken.
    pub cause: SyntaxError,
    /// An address that does parse and differs only by what cannot have been meant (`mailto:`, `<>`, a zero-width
    /// space, a trailing dot …). Never applied silently.
    pub suggestion: Option<String>,
}

/// Every way in which an address can be wrong. The snake_case name ([`Self::code`], and as serialised) is stable.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema, thiserror::Error,
)]
#[serde(rename_all = "snake_case")]
#[schema(as = EmailSyntaxError)]
#[non_exhaustive]
pub enum SyntaxError {
    /// Nothing, or white space only.
    #[error("the address is empty")]
    Empty,
    /// A zero-width or otherwise invisible character.
    #[error("the address holds an invisible character")]
    InvisibleCharacter,
    /// A character that turns the direction of writing.
    #[error("the address holds a text direction mark")]
    BidiCharacter,
    /// A control character other than white space.
    #[error("the address holds a control character")]
    ControlCharacter,
    /// `mailto:` before it.
    #[error("`mailto:` does not belong to an address")]
    Mailto,
    /// `<` or `>`, with or without a display name.
    #[error("angle brackets and display names do not belong to an address")]
    AngleBrackets,
    /// `"`: a quoted local part (RFC 5321 section 4.1.2), which is not taken here.
    #[error("quoted local parts are not supported")]
    Quoted,
    /// `(` or `)`: a comment (RFC 5322 section 3.2.2), which is not taken here.
    #[error("comments are not supported")]
    Comment,
    /// White space inside the address.
    #[error("the address holds white space")]
    WhiteSpace,
    /// No `@`.
    #[error("the address has no @")]
    MissingAt,
    /// More than one `@`.
    #[error("the address has more than one @")]
    MultipleAt,
    /// Nothing before the `@`.
    #[error("nothing stands before the @")]
    LocalEmpty,
    /// More than 64 octets in UTF-8 before the `@`.
    #[error("the part before the @ is longer than 64 octets")]
    LocalTooLong,
    /// The local part starts with a dot.
    #[error("the part before the @ starts with a dot")]
    LocalDotStart,
    /// The local part ends with a dot.
    #[error("the part before the @ ends with a dot")]
    LocalDotEnd,
    /// Two dots in a row in the local part.
    #[error("the part before the @ has two dots in a row")]
    LocalDotDouble,
    /// A character in the local part that is neither atext (RFC 5322 section 3.2.3) nor a letter, digit or mark.
    #[error("the part before the @ holds a character that is not allowed")]
    LocalCharacter,
    /// Nothing after the `@`.
    #[error("nothing stands after the @")]
    DomainEmpty,
    /// `[192.0.2.1]` or `[IPv6:…]`, which is not taken here.
    #[error("address literals are not supported")]
    AddressLiteral,
    /// The domain starts with a dot.
    #[error("the domain starts with a dot")]
    DomainDotStart,
    /// The domain ends with a dot.
    #[error("the domain ends with a dot")]
    DomainDotEnd,
    /// Two dots in a row in the domain.
    #[error("the domain has two dots in a row")]
    DomainDotDouble,
    /// A character in the domain that no host name has.
    #[error("the domain holds a character that is not allowed")]
    DomainCharacter,
    /// A label starts with a hyphen.
    #[error("a part of the domain starts with a hyphen")]
    DomainHyphenStart,
    /// A label ends with a hyphen.
    #[error("a part of the domain ends with a hyphen")]
    DomainHyphenEnd,
    /// A label is longer than 63 octets as an A-label.
    #[error("a part of the domain is longer than 63 octets")]
    DomainLabelTooLong,
    /// Not a valid internationalised name (UTS 46), or an `xn--` label that decodes to none.
    #[error("the domain is not a valid internationalised name")]
    DomainIdn,
    /// The domain is longer than 253 octets in A-labels.
    #[error("the domain is longer than 253 octets")]
    DomainTooLong,
    /// A single label: no public mailbox is at a top-level domain.
    #[error("the domain has no dot")]
    DomainNoDot,
    /// The last label is all digits (RFC 3696 section 2).
    #[error("the domain ends in a number")]
    TldNumeric,
    /// The whole is longer than 254 octets.
    #[error("the address is longer than 254 octets")]
    AddressTooLong,
}

impl SyntaxError {
    /// The stable snake_case name, as serialised.
    pub fn code(self) -> &'static str {
        // In the order of the variants, which a test holds.
        SYNTAX_ERRORS.get(self as usize).map_or("syntax", |(_, code)| code)
    }
}

/// Every [`SyntaxError`] with its stable code.
pub const SYNTAX_ERRORS: [(SyntaxError, &str); 31] = {
    use SyntaxError::*;
    [
        (Empty, "empty"),
        (InvisibleCharacter, "invisible_character"),
        (BidiCharacter, "bidi_character"),
        (ControlCharacter, "control_character"),
        (Mailto, "mailto"),
        (AngleBrackets, "angle_brackets"),
        (Quoted, "quoted"),
        (Comment, "comment"),
        (WhiteSpace, "white_space"),
        (MissingAt, "missing_at"),
        (MultipleAt, "multiple_at"),
        (LocalEmpty, "local_empty"),
        (LocalTooLong, "local_too_long"),
        (LocalDotStart, "local_dot_start"),
        (LocalDotEnd, "local_dot_end"),
        (LocalDotDouble, "local_dot_double"),
        (LocalCharacter, "local_character"),
        (DomainEmpty, "domain_empty"),
        (AddressLiteral, "address_literal"),
        (DomainDotStart, "domain_dot_start"),
        (DomainDotEnd, "domain_dot_end"),
        (DomainDotDouble, "domain_dot_double"),
        (DomainCharacter, "domain_character"),
        (DomainHyphenStart, "domain_hyphen_start"),
        (DomainHyphenEnd, "domain_hyphen_end"),
        (DomainLabelTooLong, "domain_label_too_long"),
        (DomainIdn, "domain_idn"),
        (DomainTooLong, "domain_too_long"),
        (DomainNoDot, "domain_no_dot"),
        (TldNumeric, "tld_numeric"),
        (AddressTooLong, "address_too_long"),
    ]
};
