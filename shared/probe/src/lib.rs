//! The network side of e-mail verification: [`DnsResolver`] asks the DNS where a domain's mail goes,
//! [`CachedResolver`] asks once per domain, [`SmtpClient`] asks a mail server about a mailbox without sending.
//! They implement the doors of the `email` crate, which holds the rules. Every wait here is bounded by a setting.

mod cache;
mod dns;
mod reply;
mod smtp;
mod usable;

pub use cache::{CacheSettings, CachedResolver};
pub use dns::{DnsError, DnsResolver, DnsSettings, NameServer};
pub use smtp::{SmtpClient, SmtpSettings};
