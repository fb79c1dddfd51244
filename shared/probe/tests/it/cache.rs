use std::time::Duration;

use email::route::{MailRoute, Resolver, Unanswered};
use local_parties::DnsServer;
use probe::{CacheSettings, CachedResolver, DnsResolver};

use crate::{until, world};

/// Records with a TTL of nothing, so that no cache but the one under test helps.
const ZONE: &str =
    "a.test 0 MX 0 .\nb.test 0 MX 0 .\nc.test 0 MX 0 .\nslow.test 0 MX 0 .\n !DELAY 150\ndown.test !SERVFAIL";

async fn cached(settings: CacheSettings) -> (DnsServer, CachedResolver<DnsResolver>) {
    let (server, resolver) = world(ZONE).await;
    (server, CachedResolver::new(resolver, settings))
}

#[tokio::test]
async fn a_domain_asked_by_many_at_once_and_again_later_is_asked_once() {
    let (server, cache) = cached(CacheSettings::default()).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let cache = cache.clone();
        tasks.spawn(async move { cache.mail_route("slow.test").await });
    }
    assert!(tasks.join_all().await.iter().all(|route| *route == MailRoute::NullMx));
    assert_eq!(cache.mail_route("slow.test").await, MailRoute::NullMx);
    assert_eq!(server.asked("slow.test", "MX"), 1);
}

#[tokio::test]
async fn when_the_one_that_asks_is_cancelled_another_goes_on() {
    let (server, cache) = cached(CacheSettings::default()).await;
    let ask =
        |cache: CachedResolver<DnsResolver>| tokio::spawn(async move { cache.mail_route("slow.test").await });
    let first = ask(cache.clone());
    until(|| server.asked("slow.test", "MX") > 0).await;
    let second = ask(cache.clone());
    first.abort();
    assert_eq!(second.await.unwrap(), MailRoute::NullMx);
}

#[tokio::test]
async fn no_answer_is_kept_for_its_own_time() {
    let (server, cache) = cached(CacheSettings::default()).await;
    let failed = MailRoute::Unanswered { reason: Unanswered::ServerFailure };
    assert_eq!(cache.mail_route("down.test").await, failed);
    let asked = server.asked("down.test", "MX");
    assert_eq!(cache.mail_route("down.test").await, failed);
    assert_eq!(server.asked("down.test", "MX"), asked);

    let (server, cache) =
        cached(CacheSettings { unanswered_for: Duration::ZERO, ..CacheSettings::default() }).await;
    cache.mail_route("down.test").await;
    let asked = server.asked("down.test", "MX");
    cache.mail_route("down.test").await;
    assert!(server.asked("down.test", "MX") > asked, "a failure that no longer holds is asked again");
}

#[tokio::test]
async fn when_it_is_full_what_was_not_used_lately_goes() {
    let (server, cache) = cached(CacheSettings { capacity: 2, ..CacheSettings::default() }).await;
    for domain in ["a.test", "b.test", "a.test", "c.test"] {
        cache.mail_route(domain).await;
    }
    cache.mail_route("a.test").await;
    cache.mail_route("b.test").await;
    assert_eq!((server.asked("a.test", "MX"), server.asked("b.test", "MX")), (1, 2));
}

#[tokio::test]
async fn an_answer_that_no_longer_holds_is_asked_again() {
    let (server, cache) =
        cached(CacheSettings { settled_for: Duration::ZERO, ..CacheSettings::default() }).await;
    cache.mail_route("a.test").await;
    cache.mail_route("a.test").await;
    assert_eq!(server.asked("a.test", "MX"), 2);
}
