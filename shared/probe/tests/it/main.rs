//! The probe against the stand-ins, over real sockets on free loopback ports.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "clippy takes only test functions for tests, not their helpers"
)]

mod cache;
mod dns;
mod smtp;

use std::net::SocketAddr;
use std::time::Duration;

use local_parties::{DnsServer, Zone};
use probe::{DnsResolver, DnsSettings, NameServer};

/// A loopback address with a port of the system's choice.
fn anywhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A server of this zone and a resolver that asks it.
async fn world(zone: &str) -> (DnsServer, DnsResolver) {
    let server = DnsServer::start(anywhere(), Zone::parse(zone).unwrap()).await.unwrap();
    let resolver = DnsResolver::new(&settings(server.addr())).unwrap();
    (server, resolver)
}

/// Settings for this server, generous because the machine may be busy.
fn settings(server: SocketAddr) -> DnsSettings {
    DnsSettings {
        server: NameServer::At(server),
        timeout: Duration::from_secs(10),
        total: Duration::from_secs(30),
        ..DnsSettings::default()
    }
}

/// Waits until `condition` holds, and fails after ten seconds.
async fn until(condition: impl Fn() -> bool) {
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    let all = async {
        while !condition() {
            tick.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), all).await.expect("the condition came to hold");
}
