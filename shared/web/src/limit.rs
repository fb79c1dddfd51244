//! Rate limits (P13): how often one user and one network address may ask, counted in fixed windows.
//!
//! A sandbox counts in its memory and adds to the table's counter when a share of the quota is used up: a share of one is exact
//! and costs a write a request, a larger one is cheap and approximate. See `docs/decisions/rate-limits.md`.

use std::{
    collections::HashMap,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws::{Clients, Key, Table, Update};
use http::{HeaderMap, HeaderName, HeaderValue, header::RETRY_AFTER};
use piecework_core::{Kind, Problem as Cause, Settings, UserId, hex, now, settings::SettingError, sha256};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

/// How long the table may take to count.
const PATIENCE: Duration = Duration::from_secs(2);
/// Subjects that a sandbox remembers; beyond, it forgets those of other windows, then all.
const REMEMBERED: usize = 10_000;
/// How long a counter outlives its window, seconds: time to live deletes late, and earlier is of no use.
const KEPT: i64 = 3600;
/// What part of a quota a sandbox may use up before it tells the table, where it need not be exact.
const SHARES: u32 = 20;

/// How much an endpoint may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// As most are.
    Standard,
    /// For what is costly or worth guessing at: a user's requests are counted exactly.
    Strict,
}

impl Class {
    /// Its name in settings, header fields and the API description.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Strict => "strict",
        }
    }
}

/// `"name";q=<quota>;w=<window>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Policy {
    name: &'static str,
    quota: u32,
    window: i64,
    /// Requests that a sandbox counts before it tells the table.
    share: u32,
    /// Whether every request is counted in the table, or refused.
    exact: bool,
}

/// The policies and what each allows unless `RATE_LIMITS` says otherwise: requests, seconds, and whether every one is counted
/// in the table. Many users may share an address, so it gets more.
const DEFAULTS: [(&str, u32, i64, bool); 4] = [
    ("standard", 600, 60, false),
    ("standard-ip", 1200, 60, false),
    ("strict", 120, 60, true),
    ("strict-ip", 240, 60, false),
];

/// The policies of a class for a user and for an address, from a setting such as `strict=120/60,strict-ip=240/60`.
fn policies(class: Class, text: Option<&str>) -> Result<(Policy, Policy), SettingError> {
    let unusable = |why: String| SettingError::Unusable { name: "RATE_LIMITS", why };
    let mut table = DEFAULTS;
    for part in text.unwrap_or_default().split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let parsed = part.split_once('=').and_then(|(name, rest)| {
            let (quota, window) = rest.split_once('/')?;
            Some((name.trim(), quota.trim().parse().ok()?, window.trim().parse().ok()?))
        });
        let Some((name, quota @ 1.., window @ 1..=86_400)) = parsed else {
            return Err(unusable(format!("{part:?} is not <policy>=<requests>/<seconds>")));
        };
        let known = table.iter_mut().find(|(known, ..)| *known == name);
        let known = known.ok_or_else(|| unusable(format!("there is no policy {name:?}")))?;
        (known.1, known.2) = (quota, window);
    }
    let policy = |at: usize| {
        let (name, quota, window, exact) = table[at];
        Policy { name, quota, window, share: if exact { 1 } else { (quota / SHARES).max(1) }, exact }
    };
    Ok(match class {
        Class::Standard => (policy(0), policy(1)),
        Class::Strict => (policy(2), policy(3)),
    })
}

/// Moves a counter and gives its sum. A pointer, and not a call, so that a function that counts for itself alone does not link a
/// client for DynamoDB.
pub(crate) type Tell =
    fn(Table, Update) -> Pin<Box<dyn Future<Output = Result<Option<u32>, aws::Error>> + Send>>;

/// The only [`Tell`].
pub(crate) fn tell(
    table: Table,
    update: Update,
) -> Pin<Box<dyn Future<Output = Result<Option<u32>, aws::Error>> + Send>> {
    Box::pin(async move { Ok(table.update::<Counter>(update).await?.map(|counter| counter.n)) })
}

/// Counts the requests of one endpoint's callers.
pub(crate) struct Limiter {
    user: Policy,
    ip: Policy,
    counters: Option<(Table, Tell)>,
    /// Addresses are personal data: the table sees them hashed under this.
    salt: SecretString,
    seen: Mutex<HashMap<String, Count>>,
}

/// What a sandbox knows of one subject in one window.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    /// The window's beginning, epoch seconds.
    window: i64,
    /// What the table said last.
    told: u32,
    /// What the table does not know yet.
    untold: u32,
}

/// Where a caller stands after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    policy: &'static str,
    remaining: u32,
    /// Seconds until there is more.
    reset: i64,
    refused: bool,
}

/// Where the callers of one request stand, for its answer's header fields.
#[derive(Clone, Default)]
pub(crate) struct Meter(Arc<Mutex<Vec<Standing>>>);

impl Limiter {
    pub fn new(
        class: Class,
        counters: Option<(Table, Tell)>,
        settings: &Settings,
    ) -> Result<Self, SettingError> {
        let (user, ip) = policies(class, settings.text("RATE_LIMITS"))?;
        let salt = settings.secret("CURSOR_KEY", "rate-limit-salt-for-development")?;
        Ok(Self { user, ip, counters, salt, seen: Mutex::default() })
    }

    /// For an endpoint that has users: where each of them is counted exactly, addresses are counted in memory alone, and a request
    /// costs one write.
    pub fn of_users(mut self) -> Self {
        if self.user.exact {
            self.ip.share = u32::MAX;
        }
        self
    }

    /// The table with the counters: the one that has the keys, which every function with callers may already update.
    pub fn table(settings: &Settings, clients: &Clients) -> Result<Table, SettingError> {
        Ok(Table::new(clients, settings.required("ACCOUNT_TABLE")?))
    }

    /// `RateLimit-Policy`, the same for every answer of the endpoint.
    pub fn policy(&self, users: bool) -> Option<HeaderValue> {
        let of = |p: &Policy| format!("\"{}\";q={};w={}", p.name, p.quota, p.window);
        let text = if users { format!("{}, {}", of(&self.user), of(&self.ip)) } else { of(&self.ip) };
        text.parse().ok()
    }

    /// Counts a request from an address.
    pub async fn address(&self, address: IpAddr, meter: &Meter) -> Result<(), Cause> {
        let network = network(address);
        let hashed = || hex(&sha256(&[self.salt.expose_secret().as_bytes(), network.as_bytes()])[..16]);
        self.count(&self.ip, &network, hashed, meter).await
    }

    /// Counts a request of a user, by whatever key.
    pub async fn user(&self, user: UserId, meter: &Meter) -> Result<(), Cause> {
        let id = user.to_string();
        self.count(&self.user, &id, || id.clone(), meter).await
    }

    async fn count(
        &self,
        policy: &Policy,
        subject: &str,
        stored: impl Fn() -> String,
        meter: &Meter,
    ) -> Result<(), Cause> {
        let at = now().as_second();
        let window = at - at.rem_euclid(policy.window);
        let (mut count, untold) = self.note(policy, subject, window);
        let mut refused = untold.is_none();
        if let (Some(untold @ 1..), Some((table, tell))) = (untold, &self.counters) {
            let key = Key::new(format!("RATE#{}#{}", policy.name, stored()), window.to_string());
            let update =
                Update::at(key).add("n", untold.into()).set("expires_at", window + policy.window + KEPT);
            let told = match tokio::time::timeout(PATIENCE, tell(table.clone(), update)).await {
                Ok(Ok(told)) => told.ok_or_else(|| "it gave no sum".to_owned()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err(format!("no answer within {PATIENCE:?}")),
            };
            match told {
                Ok(n) => {
                    refused = n > policy.quota;
                    count.told = n;
                }
                // What is counted exactly costs money or is worth guessing at: uncounted, it does not happen.
                Err(cause) if policy.exact => {
                    tracing::warn!(policy = policy.name, cause, "refused, for it cannot be counted");
                    return Err(
                        Cause::new(Kind::Unavailable).detail("Requests cannot be counted at present.")
                    );
                }
                // No other limit is worth an outage.
                Err(cause) => tracing::warn!(policy = policy.name, cause, "the request passes uncounted"),
            }
            self.learn(subject, count);
        }
        let used = count.told.saturating_add(count.untold);
        let reset = window + policy.window - at;
        let standing =
            Standing { policy: policy.name, remaining: policy.quota.saturating_sub(used), reset, refused };
        meter.0.lock().unwrap_or_else(PoisonError::into_inner).push(standing);
        if !refused {
            return Ok(());
        }
        let detail =
            format!("At most {} requests in {} seconds. More in {reset}.", policy.quota, policy.window);
        Err(Cause::new(Kind::QuotaExceeded).detail(detail).with("violated-policies", vec![policy.name]))
    }

    /// Counts one request in memory: how it stands now, and how many the table is to be told of; `None` if the quota is known
    /// to be used up.
    fn note(&self, policy: &Policy, subject: &str, window: i64) -> (Count, Option<u32>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= REMEMBERED && !seen.contains_key(subject) {
            seen.retain(|_, count| count.window == window);
            if seen.len() >= REMEMBERED {
                seen.clear();
            }
        }
        let count = match seen.get_mut(subject) {
            Some(count) => count,
            None => seen.entry(subject.to_owned()).or_default(),
        };
        if count.window != window {
            *count = Count { window, ..Count::default() };
        }
        if count.told.saturating_add(count.untold) >= policy.quota {
            return (*count, None);
        }
        count.untold += 1;
        if self.counters.is_none() || count.untold < policy.share {
            return (*count, Some(0));
        }
        // If the table cannot be told, they still count here.
        let untold = std::mem::take(&mut count.untold);
        count.told += untold;
        (*count, Some(untold))
    }

    /// Keeps what the table said.
    fn learn(&self, subject: &str, said: Count) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = seen.get_mut(subject).filter(|count| count.window == said.window) {
            count.told = count.told.max(said.told);
        }
    }
}

#[derive(Deserialize)]
struct Counter {
    n: u32,
}

/// What counts as one address: an IPv4 address, or the /64 that a subscriber of IPv6 is given.
fn network(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => v4.to_string(),
            None => {
                let [a, b, c, d, ..] = v6.segments();
                format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
            }
        },
    }
}

impl Meter {
    /// `RateLimit`, and `Retry-After` if a quota was used up (draft-ietf-httpapi-ratelimit-headers).
    pub fn dress(&self, headers: &mut HeaderMap, policy: Option<&HeaderValue>) {
        let standings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(policy) = policy {
            headers.insert(HeaderName::from_static("ratelimit-policy"), policy.clone());
        }
        let mut text = String::new();
        // The user's own first, like in the policy.
        for standing in standings.iter().rev() {
            let comma = if text.is_empty() { "" } else { ", " };
            text.push_str(&format!(
                "{comma}\"{}\";r={};t={}",
                standing.policy, standing.remaining, standing.reset
            ));
        }
        if let (false, Ok(value)) = (text.is_empty(), HeaderValue::try_from(text)) {
            headers.insert(HeaderName::from_static("ratelimit"), value);
        }
        if let Some(after) = standings.iter().filter(|s| s.refused).map(|s| s.reset).max() {
            headers.insert(RETRY_AFTER, after.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(limits: &str) -> Settings {
        let pairs = [("ENVIRONMENT", "dev"), ("RATE_LIMITS", limits)];
        Settings::from_values(pairs.map(|(n, v)| (n.to_owned(), v.to_owned()))).unwrap()
    }

    async fn passes(limiter: &Limiter, address: &str) -> bool {
        limiter.address(address.parse().unwrap(), &Meter::default()).await.is_ok()
    }

    #[test]
    fn limits_that_make_no_sense_keep_the_function_from_starting() {
        for wrong in ["strict", "strict=0/60", "strict=5/0", "strict=5/90000", "lenient=5/60", "strict=-1/60"]
        {
            let refused = Limiter::new(Class::Standard, None, &settings(wrong)).err();
            assert!(
                matches!(refused, Some(SettingError::Unusable { name: "RATE_LIMITS", .. })),
                "{wrong}: {refused:?}"
            );
        }
        let (user, ip) = policies(Class::Strict, Some("strict=7/30, standard=9/9")).unwrap();
        assert_eq!((user.quota, user.window, user.share), (7, 30, 1));
        assert_eq!((ip.quota, ip.window, ip.share), (240, 60, 12));
        for (class, share) in [(Class::Strict, u32::MAX), (Class::Standard, 60)] {
            let limiter = Limiter::new(class, None, &settings("")).unwrap().of_users();
            assert_eq!(limiter.ip.share, share, "{class:?}");
        }
    }

    #[tokio::test]
    async fn without_a_table_a_sandbox_counts_for_itself_and_a_network_of_ipv6_is_one_address() {
        let limiter = Limiter::new(Class::Standard, None, &settings("standard-ip=2/86400")).unwrap();
        assert!(passes(&limiter, "2001:db8::1").await);
        assert!(passes(&limiter, "2001:db8::ffff:2").await);
        assert!(!passes(&limiter, "2001:db8::3").await);
        assert!(passes(&limiter, "2001:db8:0:1::1").await);
        assert!(passes(&limiter, "192.0.2.1").await && passes(&limiter, "::ffff:192.0.2.1").await);
        assert!(!passes(&limiter, "192.0.2.1").await);
    }

    #[tokio::test]
    async fn a_table_that_does_not_answer_lets_requests_pass_that_need_not_be_counted_exactly() {
        let nobody = [
            ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9"),
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "b"),
        ];
        let clients = Clients::with_values(nobody.map(|(n, v)| (n.to_owned(), v.to_owned())));
        // A share of one: every request is told to the table.
        let limits = settings("standard=5/86400,strict=5/86400");
        for (class, passes) in [(Class::Standard, true), (Class::Strict, false)] {
            let table = Some((Table::new(&clients, "nowhere"), tell as Tell));
            let limiter = Limiter::new(class, table, &limits).unwrap();
            assert_eq!(limiter.user(UserId::new(), &Meter::default()).await.is_ok(), passes, "{class:?}");
        }
    }

    #[tokio::test]
    async fn the_memory_of_subjects_is_bounded() {
        let limiter = Limiter::new(Class::Standard, None, &settings("standard-ip=1/86400")).unwrap();
        for n in 0..u32::try_from(REMEMBERED).unwrap() * 2 + 1 {
            assert!(passes(&limiter, &std::net::Ipv4Addr::from(n).to_string()).await);
        }
        assert!(limiter.seen.lock().unwrap().len() <= REMEMBERED);
    }

    #[tokio::test]
    async fn an_answer_says_where_its_caller_stands() {
        let limiter =
            Limiter::new(Class::Strict, None, &settings("strict=1/86400,strict-ip=9/86400")).unwrap();
        let (user, address) = (UserId::new(), "192.0.2.1".parse().unwrap());
        let mut headers = HeaderMap::new();
        for _ in 0..2 {
            let meter = Meter::default();
            limiter.address(address, &meter).await.unwrap();
            let refused = limiter.user(user, &meter).await.is_err();
            headers.clear();
            meter.dress(&mut headers, limiter.policy(true).as_ref());
            assert_eq!(headers.contains_key("retry-after"), refused);
        }
        let text = |name: &str| headers[name].to_str().unwrap().to_owned();
        let reset = text("retry-after");
        assert!((1..=86_400).contains(&reset.parse::<u32>().unwrap()));
        assert_eq!(text("ratelimit-policy"), r#""strict";q=1;w=86400, "strict-ip";q=9;w=86400"#);
        assert_eq!(text("ratelimit"), format!(r#""strict";r=0;t={reset}, "strict-ip";r=7;t={reset}"#));
    }
}
