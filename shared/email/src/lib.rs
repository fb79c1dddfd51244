//! Whether an e-mail address can be written to, as pure rules (V16).
//!
//! ```
//! use email::{Status, SubStatus, inspect, verdict};
//! use email::route::{MailRoute, MxHost};
//!
//! let found = inspect(" Jane.Doe@EXÄMPLE.de\n");
//! assert_eq!(found.domain(), Some("xn--exmple-cua.de"));
//!
//! let route = MailRoute::Mx { hosts: vec![MxHost { preference: 10, exchange: "mx.example.net".into() }] };
//! assert_eq!(verdict(&found, Some(&route), None).sub_status, SubStatus::AcceptsMail);
//! assert_eq!(verdict(&found, Some(&MailRoute::NxDomain), None).status, Status::Invalid);
//! ```
//!
//! - [`inspect()`] looks at the text: [`EmailAddress`], word lists ([`lists`]), slips of the finger.
//! - [`route`] is the one door to a network: [`route::Resolver`] and [`route::SmtpProbe`] are implemented elsewhere.
//! - [`verdict()`] decides; its table is the product's answer to "may I send".
//! - [`verify`] asks and puts the pieces together into a [`Verification`]; [`Verification::new`] does without asking.

mod chars;
mod flags;
mod inspect;
pub mod lists;
mod provider;
mod repair;
mod result;
pub mod route;
mod syntax;
mod syntax_error;
mod typo;
mod verdict;

pub use inspect::{Inspection, inspect};
pub use provider::Provider;
pub use result::{Mx, NoProbe, Server, Syntax, Verification, verify};
pub use syntax::{EmailAddress, MAX_ADDRESS, MAX_DOMAIN, MAX_LABEL, MAX_LOCAL};
pub use syntax_error::{Refused, SYNTAX_ERRORS, SyntaxError};
pub use verdict::{Status, SubStatus, Verdict, verdict};
