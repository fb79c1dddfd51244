//! The name server: hickory's protocol layer over our own [`Zone`], over UDP and TCP on one port.

mod zone;

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_proto::op::{Edns, Header, HeaderCounts, Metadata, ResponseCode};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{Name, RData, Record};
use hickory_server::Server;
use hickory_server::net::runtime::Time;
use hickory_server::net::xfer::Protocol;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use tokio::net::{TcpListener, UdpSocket};

use zone::{Answer, Failure};
pub use zone::{Zone, ZoneError, ZoneFault};

/// Seconds for which a resolver may remember that something is not there.
const NEGATIVE_TTL: u32 = 60;
/// Largest UDP answer that we send, in octets (the "flag day" size of DNS operators).
const MAX_UDP: u16 = 1232;

/// The message ids of the questions, by name and type. A client that hears nothing sends the same message again.
type Asked = Arc<Mutex<BTreeMap<(String, String), HashSet<u16>>>>;

/// A running name server. It stops when dropped; [`DnsServer::shutdown`] also waits for it.
pub struct DnsServer {
    server: Server<Handler>,
    addr: SocketAddr,
    asked: Asked,
}

impl DnsServer {
    /// Serves `zone` over UDP and TCP at `addr`; port 0 takes a port free for both.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(addr: SocketAddr, zone: Zone) -> io::Result<Self> {
        let (udp, tcp) = bind(addr).await?;
        let addr = udp.local_addr()?;
        let asked = Asked::default();
        let mut server = Server::new(Handler { zone, asked: Arc::clone(&asked) });
        server.register_socket(udp);
        server.register_listener(tcp, Duration::from_secs(10), 32);
        Ok(Self { server, addr, asked })
    }

    /// Where it listens, UDP and TCP alike.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How often each (name, type) was asked; a message sent again for want of an answer counts once. Names are
    /// lower-case without the trailing dot, types are spelled as in a zone file: `("gmail.com", "MX")`.
    pub fn queries(&self) -> BTreeMap<(String, String), usize> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.iter().map(|(question, ids)| (question.clone(), ids.len())).collect()
    }

    /// How often `name` was asked for `kind` (`"MX"`, `"A"`, `"AAAA"`), counted as by [`DnsServer::queries`].
    pub fn asked(&self, name: &str, kind: &str) -> usize {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.get(&(name.to_owned(), kind.to_owned())).map_or(0, HashSet::len)
    }

    /// Stops listening and returns once the port is free again.
    pub async fn shutdown(mut self) {
        if let Err(error) = self.server.shutdown_gracefully().await {
            tracing::warn!(%error, "the name server did not stop cleanly");
        }
    }
}

/// Binds both protocols to one port. The system picks a UDP port without regard to TCP, hence the second tries.
async fn bind(addr: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    let mut tries = 16;
    loop {
        let udp = UdpSocket::bind(addr).await?;
        match TcpListener::bind(udp.local_addr()?).await {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) if addr.port() != 0 || tries == 0 => return Err(error),
            Err(_) => tries -= 1,
        }
    }
}

struct Handler {
    zone: Zone,
    asked: Asked,
}

#[async_trait::async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut response: R,
    ) -> ResponseInfo {
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.recursion_available = true;
        let silence = ResponseInfo::from(Header { metadata, counts: HeaderCounts::default() });
        let Ok(info) = request.request_info() else {
            return silence;
        };
        let (name, kind) = (info.query.name().to_ascii(), info.query.query_type());
        let name = name.trim_end_matches('.');
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry((name.to_owned(), kind.to_string()))
            .or_default()
            .insert(metadata.id);

        let Answer { mut records, exists, failure, delay, truncate } = self.zone.answer(name, kind);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        metadata.response_code = match failure {
            Some(Failure::Silent) => return silence,
            Some(Failure::ServFail) => ResponseCode::ServFail,
            Some(Failure::Refused) => ResponseCode::Refused,
            None if exists => ResponseCode::NoError,
            None => ResponseCode::NXDomain,
        };
        if truncate && request.protocol() == Protocol::Udp {
            metadata.truncation = true;
            records.clear();
        }
        let negative =
            failure.is_none() && !metadata.truncation && !records.iter().any(|r| r.record_type() == kind);
        let soa = negative.then(soa);

        // A requester that announces EDNS takes larger datagrams; without it 512 octets are the limit (RFC 6891).
        let edns = request.edns.as_ref().map(|asked| {
            let mut edns = Edns::new();
            edns.set_max_payload(asked.max_payload().min(MAX_UDP));
            edns
        });
        let mut builder = MessageResponseBuilder::from_message_request(request);
        if let Some(edns) = &edns {
            builder.edns(edns);
        }
        let message = builder.build(metadata, &records, [], soa.as_ref(), []);
        match response.send_response(message).await {
            Ok(info) => info,
            Err(error) => {
                tracing::debug!(%error, name, "the answer could not be sent");
                silence
            }
        }
    }
}

/// Resolvers remember a negative answer only with an SOA beside it (RFC 2308).
fn soa() -> Record {
    let soa = SOA::new(Name::root(), Name::root(), 1, 3600, 600, 86_400, NEGATIVE_TTL);
    Record::from_rdata(Name::root(), NEGATIVE_TTL, RData::SOA(soa))
}
