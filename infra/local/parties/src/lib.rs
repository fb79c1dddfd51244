//! Stand-ins for the outside parties of e-mail verification, speaking their real protocols on loopback ports: a
//! name server ([`DnsServer`]) that answers from a readable [`Zone`], and a mail server ([`SmtpServer`]) with a
//! [`Behaviour`]. Both can be told to fail, lag and misbehave, and both keep a record of what they were asked. Beside them
//! [`SentryServer`], which takes error reports, an identity provider, [`Issuer`], [`SesServer`], which writes mails into a folder, a
//! shop's till, [`Paddle`], another that pays into wallets, [`PayFast`](payfast::PayFast), and another verification API,
//! [`UpstreamServer`].

mod dns;
mod issuer;
mod paddle;
pub mod payfast;
mod sentry;
mod ses;
mod smtp;
mod upstream;

pub use dns::{DnsServer, Zone, ZoneError, ZoneFault};
pub use issuer::{Asked, CLIENT, CLIENT_SECRET, Issuer, Manner, Signer, sign_shared, unsigned};
pub use paddle::{PADDLE_KEY, PADDLE_OLD_SECRET, PADDLE_PRICES, PADDLE_SECRET, Paddle, PaddleManner};
pub use sentry::{SentryManner, SentryServer};
pub use ses::SesServer;
pub use smtp::{Behaviour, Connection, Mailbox, Session, SmtpServer};
pub use upstream::{UpstreamAsked, UpstreamManner, UpstreamServer};
