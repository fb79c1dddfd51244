//! Stand-ins for outside parties, speaking their real protocols on loopback ports: a name server ([`DnsServer`]) that answers from
//! a readable [`Zone`], a mail server ([`SmtpServer`]) with a [`Behaviour`], and an identity provider ([`Issuer`]). All can be told
//! to fail, lag and misbehave, and all keep a record of what they were asked.

mod dns;
mod issuer;
mod smtp;

pub use dns::{DnsServer, Zone, ZoneError, ZoneFault};
pub use issuer::{Asked, Issuer, Manner, Signer, sign_shared, unsigned};
pub use smtp::{Behaviour, Connection, Mailbox, Session, SmtpServer};
