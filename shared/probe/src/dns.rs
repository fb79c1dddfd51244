//! [`DnsResolver`]: a domain's mail route over hickory-resolver.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use email::route::{MailRoute, MxHost, Resolver, Unanswered};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError as Answered, NetError};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::usable::{is_host_name, is_reachable};

/// Most MX hosts kept of one domain; real domains have fewer, and a route is stored.
const MAX_HOSTS: usize = 10;
/// Most MX hosts of one domain whose addresses are looked up before the rest pass unseen.
const MAX_CHECKED: usize = 4;

/// Which name server is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NameServer {
    /// Those of the system (`/etc/resolv.conf`).
    #[default]
    System,
    /// This one, over UDP and, for truncated answers, TCP.
    At(SocketAddr),
}

/// How the DNS is asked.
#[derive(Debug, Clone)]
pub struct DnsSettings {
    /// Which name server.
    pub server: NameServer,
    /// How long one attempt may take. Lost datagrams are sent again inside it.
    pub timeout: Duration,
    /// How often a question is asked in all when it fails; at least once.
    pub attempts: usize,
    /// How long one domain may take in all, every question about it included.
    pub total: Duration,
    /// Domains in flight at once; more wait their turn. Each costs a socket, and a VPC's resolver answers about a
    /// thousand packets a second.
    pub concurrency: usize,
    /// Whether a domain's MX hosts are looked up, to see that at least one leads somewhere public.
    pub check_hosts: bool,
}

impl Default for DnsSettings {
    /// The system's servers, 2 attempts of 2 s within 5 s, 128 at once, hosts checked.
    fn default() -> Self {
        Self {
            server: NameServer::System,
            timeout: Duration::from_secs(2),
            attempts: 2,
            total: Duration::from_secs(5),
            concurrency: 128,
            check_hosts: true,
        }
    }
}

/// Why there is no resolver.
#[derive(Debug, thiserror::Error)]
#[error("the DNS resolver cannot be set up")]
pub struct DnsError(#[from] NetError);

/// Asks the DNS. Cheap to clone; keep one per process, for its clones share one cache of records (by their TTL).
///
/// What a domain costs, beyond what that cache holds:
///
/// | route | questions |
/// |---|---|
/// | MX | the MX; and with `check_hosts` the A (or if there is none the AAAA) of the first host that works: shared by every domain of one provider |
/// | MX, none usable | the MX, and A and AAAA of up to four hosts |
/// | implicit MX | MX and A, or MX, A and AAAA |
/// | no records | MX, A and AAAA |
/// | null MX, no such domain | the MX |
///
/// Only an answer settles something. No answer in time, a failing server, a host that could not be looked up: none
/// of them makes a domain unusable.
#[derive(Clone)]
pub struct DnsResolver {
    /// Its caches and pools are made with the first question: a cold start asks none.
    resolver: Arc<LazyLock<Made, Box<dyn FnOnce() -> Made + Send>>>,
    turns: Arc<Semaphore>,
    total: Duration,
    check_hosts: bool,
}

type Made = Result<TokioResolver, NetError>;

/// What the DNS says of a host's addresses.
enum Addresses {
    Found(Vec<IpAddr>),
    None,
    NoSuchName,
    Unanswered(Unanswered),
}

impl DnsResolver {
    /// Sets the resolver up; asks nothing yet.
    ///
    /// # Errors
    /// When the system's configuration is wanted and cannot be read.
    pub fn new(settings: &DnsSettings) -> Result<Self, DnsError> {
        let mut builder = match settings.server {
            NameServer::System => TokioResolver::builder_tokio()?,
            NameServer::At(addr) => {
                let mut server = NameServerConfig::udp_and_tcp(addr.ip());
                for connection in &mut server.connections {
                    connection.port = addr.port();
                }
                let config = ResolverConfig::from_name_servers(vec![server]);
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
        };
        let options = builder.options_mut();
        options.timeout = settings.timeout;
        options.attempts = settings.attempts.saturating_sub(1);
        // A hosts file says nothing of mail, and aliases on the way to an answer are not answers.
        options.use_hosts_file = ResolveHosts::Never;
        options.preserve_intermediates = false;
        // Room for the providers' hosts; routes have a cache of their own.
        options.cache_size = 2048;
        options.max_active_requests = settings.concurrency.max(32);
        Ok(Self {
            resolver: Arc::new(LazyLock::new(Box::new(|| builder.build()))),
            turns: Arc::new(Semaphore::new(settings.concurrency.max(1))),
            total: settings.total,
            check_hosts: settings.check_hosts,
        })
    }

    /// The public addresses of a mail host, IPv4 first; none when there are none or there was no answer in time.
    pub(crate) async fn public_addresses(&self, host: &str) -> Vec<IpAddr> {
        let Some(name) = absolute(host) else { return Vec::new() };
        let deadline = Instant::now() + self.total;
        match timeout_at(deadline, self.addresses(&name)).await {
            Ok(Addresses::Found(found)) => found.into_iter().filter(|a| is_reachable(*a)).collect(),
            _ => Vec::new(),
        }
    }

    fn resolver(&self) -> Result<&TokioResolver, NetError> {
        LazyLock::force(&self.resolver).as_ref().map_err(NetError::clone)
    }

    async fn route(&self, domain: &str, deadline: Instant) -> MailRoute {
        let Some(name) = absolute(domain) else {
            // A label or name longer than the DNS can carry is in no zone.
            return MailRoute::NxDomain;
        };
        let late = MailRoute::Unanswered { reason: Unanswered::Timeout };
        let asked = async { self.resolver()?.mx_lookup(name.clone()).await };
        let mx = match timeout_at(deadline, asked).await {
            Ok(answer) => answer,
            Err(_) => return late,
        };
        match mx {
            Ok(answer) => {
                let mx = answer.answers().iter().filter_map(|record| match &record.data {
                    RData::MX(mx) => Some((mx.preference, &mx.exchange)),
                    _ => None,
                });
                match hosts(mx) {
                    Hosts::Null => MailRoute::NullMx,
                    Hosts::Unusable => MailRoute::UnusableMx,
                    Hosts::Named(hosts) if !self.check_hosts => MailRoute::Mx { hosts },
                    Hosts::Named(hosts) => {
                        let all = hosts.clone();
                        let hosts = timeout_at(deadline, self.usable(hosts)).await.unwrap_or(all);
                        if hosts.is_empty() { MailRoute::UnusableMx } else { MailRoute::Mx { hosts } }
                    }
                }
            }
            Err(error) if error.is_nx_domain() => MailRoute::NxDomain,
            Err(error) if error.is_no_records_found() => {
                match timeout_at(deadline, self.addresses(&name)).await {
                    Ok(Addresses::Found(found)) if found.iter().any(|a| is_reachable(*a)) => {
                        MailRoute::ImplicitMx
                    }
                    Ok(Addresses::Found(_)) => MailRoute::UnusableMx,
                    Ok(Addresses::None) => MailRoute::NoRecords,
                    Ok(Addresses::NoSuchName) => MailRoute::NxDomain,
                    Ok(Addresses::Unanswered(reason)) => MailRoute::Unanswered { reason },
                    Err(_) => late,
                }
            }
            Err(error) => MailRoute::Unanswered { reason: reason(&error, domain) },
        }
    }

    /// The hosts without those at the front that are known to lead nowhere; empty when all of them are.
    async fn usable(&self, hosts: Vec<MxHost>) -> Vec<MxHost> {
        let mut dead = 0;
        for host in hosts.iter().take(MAX_CHECKED) {
            let Some(name) = absolute(&host.exchange) else {
                dead += 1;
                continue;
            };
            match self.addresses(&name).await {
                Addresses::Found(found) if !found.iter().any(|a| is_reachable(*a)) => dead += 1,
                Addresses::None | Addresses::NoSuchName => dead += 1,
                Addresses::Found(_) | Addresses::Unanswered(_) => break,
            }
        }
        hosts.into_iter().skip(dead).collect()
    }

    /// A, and only where there is none that leads anywhere, AAAA.
    async fn addresses(&self, name: &Name) -> Addresses {
        let mut found = Vec::new();
        for kind in [RecordType::A, RecordType::AAAA] {
            let asked = async { self.resolver()?.lookup(name.clone(), kind).await };
            match asked.await {
                Ok(answer) => {
                    found.extend(answer.answers().iter().filter_map(|record| record.data.ip_addr()))
                }
                Err(error) if error.is_nx_domain() && found.is_empty() => return Addresses::NoSuchName,
                Err(error) if error.is_no_records_found() => {}
                Err(error) => return Addresses::Unanswered(reason(&error, &name.to_ascii())),
            }
            if found.iter().any(|address| is_reachable(*address)) {
                break;
            }
        }
        if found.is_empty() { Addresses::None } else { Addresses::Found(found) }
    }
}

impl Resolver for DnsResolver {
    async fn mail_route(&self, domain: &str) -> MailRoute {
        // Waiting for a turn is not waiting for an answer: the clock starts when the asking does.
        let _turn = self.turns.acquire().await;
        self.route(domain, Instant::now() + self.total).await
    }
}

/// The name with its trailing dot, so that no search domain is tried; `None` when the DNS cannot carry it.
fn absolute(name: &str) -> Option<Name> {
    let mut name = Name::from_ascii(name).ok()?;
    name.set_fqdn(true);
    Some(name)
}

enum Hosts {
    Null,
    Unusable,
    Named(Vec<MxHost>),
}

/// Sorts the MX records of a domain. A root exchange is null MX (RFC 7505) only alone; among others it is just unusable.
fn hosts<'a>(records: impl Iterator<Item = (u16, &'a Name)>) -> Hosts {
    let (mut hosts, mut null, mut others) = (Vec::new(), false, false);
    for (preference, exchange) in records {
        if exchange.is_root() {
            null = true;
            continue;
        }
        others = true;
        let exchange = exchange.to_ascii().trim_end_matches('.').to_ascii_lowercase();
        if is_host_name(&exchange) {
            hosts.push(MxHost { preference, exchange });
        }
    }
    if hosts.is_empty() {
        return if null && !others { Hosts::Null } else { Hosts::Unusable };
    }
    // Servers rotate records of equal preference; the name as second key gives equal answers to equal zones.
    hosts.sort_by(|a, b| (a.preference, &a.exchange).cmp(&(b.preference, &b.exchange)));
    hosts.dedup_by(|a, b| a.exchange == b.exchange);
    hosts.truncate(MAX_HOSTS);
    Hosts::Named(hosts)
}

fn reason(error: &NetError, name: &str) -> Unanswered {
    tracing::debug!(%error, name, "the DNS did not answer");
    match error {
        NetError::Dns(Answered::ResponseCode(_)) => Unanswered::ServerFailure,
        // Busy is our own side: too much in flight to be answered in time.
        NetError::Timeout | NetError::Busy => Unanswered::Timeout,
        NetError::NoConnections | NetError::Io(_) => Unanswered::Unreachable,
        // Truncated even over TCP, malformed, of another class: an answer, but of a broken server.
        _ => Unanswered::ServerFailure,
    }
}
