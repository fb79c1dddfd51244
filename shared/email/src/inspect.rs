//! All that can be said of an address without asking anybody.

use crate::lists::{self, DomainClass};
use crate::syntax::EmailAddress;
use crate::syntax_error::SyntaxError;
use crate::{repair, typo};

/// An address as given, and what its text alone tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// As given, untouched.
    pub input: String,
    /// The address, or the first rule that it breaks.
    pub address: Result<EmailAddress, SyntaxError>,
    /// What the lists say of its domain.
    pub class: DomainClass,
    /// Whether the local part names a function.
    pub role: bool,
    /// The address that was probably meant.
    pub suggestion: Option<String>,
}

impl Inspection {
    /// The domain to look up: lower-case A-labels, no trailing dot. None where the syntax is wrong.
    pub fn domain(&self) -> Option<&str> {
        self.address.as_ref().ok().map(EmailAddress::domain)
    }

    /// Whether the address can be written to, but its domain looks like a slip of another.
    pub fn is_typo(&self) -> bool {
        self.address.is_ok() && self.suggestion.is_some()
    }
}

/// Looks at an address: syntax, lists, slips. No I/O; two or three allocations for an address in order.
pub fn inspect(input: &str) -> Inspection {
    let input = input.to_owned();
    match crate::syntax::parse_strict(&input) {
        Ok(address) => {
            let class = lists::classify(address.domain());
            let role = lists::is_role(address.local());
            let suggestion = if class.free { None } else { typo::suggest_address(&address) };
            Inspection { input, class, role, suggestion, address: Ok(address) }
        }
        Err(cause) => {
            let suggestion = repair::suggest(&input, cause);
            Inspection { input, class: DomainClass::default(), role: false, suggestion, address: Err(cause) }
        }
    }
}
