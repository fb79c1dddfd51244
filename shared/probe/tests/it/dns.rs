use std::time::{Duration, Instant};

use email::route::{MailRoute, MxHost, Resolver, Unanswered};
use local_parties::{DnsServer, Zone};
use probe::{DnsResolver, DnsSettings, NameServer};

use crate::{anywhere, settings, world};

fn mx(hosts: &[(u16, &str)]) -> MailRoute {
    let hosts = hosts.iter().map(|&(preference, host)| MxHost { preference, exchange: host.to_owned() });
    MailRoute::Mx { hosts: hosts.collect() }
}

fn unanswered(reason: Unanswered) -> MailRoute {
    MailRoute::Unanswered { reason }
}

async fn demo() -> (DnsServer, DnsResolver) {
    let server = DnsServer::start(anywhere(), Zone::demo().unwrap()).await.unwrap();
    let resolver = DnsResolver::new(&settings(server.addr())).unwrap();
    (server, resolver)
}

#[tokio::test]
async fn every_case_of_the_shipped_zone_has_its_route() {
    let (_server, resolver) = demo().await;
    let hosting = [(10, "mx1.hosting.example"), (20, "mx2.hosting.example")];
    let cases = [
        ("outlook.com", mx(&[(5, "outlook-com.olc.protection.outlook.com")])),
        ("zoho.com", mx(&[(10, "smtpin.zoho.com"), (20, "smtpin2.zoho.com"), (50, "smtpin3.zoho.com")])),
        ("company-4711.corp.example", mx(&hosting)),
        ("tenant.microsoft365.example", mx(&[(0, "tenant-example.mail.protection.outlook.com")])),
        ("nullmx.test", MailRoute::NullMx),
        ("some.parked.example", MailRoute::NullMx),
        ("only-a.test", MailRoute::ImplicitMx),
        ("only-aaaa.test", MailRoute::ImplicitMx),
        ("private-a.test", MailRoute::UnusableMx),
        ("empty.test", MailRoute::NoRecords),
        ("nowhere.test", MailRoute::NxDomain),
        ("servfail.test", unanswered(Unanswered::ServerFailure)),
        ("refused.test", unanswered(Unanswered::ServerFailure)),
        ("slow.test", mx(&hosting[..1])),
        ("mx-localhost.test", MailRoute::UnusableMx),
        ("mx-literal.test", MailRoute::UnusableMx),
        ("mx-private.test", MailRoute::UnusableMx),
        ("mx-missing.test", MailRoute::UnusableMx),
        ("mx-mixed.test", mx(&hosting[..1])),
        ("mx-broken-host.test", mx(&[(10, "mail.broken.test")])),
        ("alias.test", mx(&hosting)),
        ("dangling.test", MailRoute::NxDomain),
        ("preferences.test", mx(&[hosting[0], hosting[1], (30, "mx3.hosting.example")])),
        ("truncated.test", mx(&hosting)),
        ("foo.localhost", MailRoute::UnusableMx),
    ];
    for (domain, route) in cases {
        assert_eq!(resolver.mail_route(domain).await, route, "{domain}");
    }
}

#[tokio::test]
async fn the_hosts_of_one_provider_are_looked_up_once_for_all_its_domains() {
    let (server, resolver) = demo().await;
    for domain in ["a.corp.example", "b.corp.example", "c.corp.example"] {
        resolver.mail_route(domain).await;
        assert_eq!(server.asked(domain, "MX"), 1);
    }
    assert_eq!(server.asked("mx1.hosting.example", "A"), 1);
    assert_eq!(server.asked("mx1.hosting.example", "AAAA"), 0);
    assert_eq!(server.asked("mx2.hosting.example", "A"), 0, "one host that works is enough");
}

#[tokio::test]
async fn hosts_are_left_alone_where_the_setting_says_so() {
    let (server, _) = demo().await;
    let resolver = DnsResolver::new(&DnsSettings { check_hosts: false, ..settings(server.addr()) }).unwrap();
    assert_eq!(resolver.mail_route("mx-private.test").await, mx(&[(10, "mail.mx-private.test")]));
    assert_eq!(resolver.mail_route("mx-localhost.test").await, MailRoute::UnusableMx);
    assert_eq!(server.queries().keys().filter(|(_, kind)| kind != "MX").count(), 0);
}

#[tokio::test]
async fn an_answer_too_large_for_a_datagram_is_fetched_over_tcp_and_cut_to_ten_hosts() {
    // The best host stands last, where a datagram has long been cut off.
    let best_last =
        (0..60).rev().map(|n| format!("big.test MX {n} a-rather-long-host-name-{n}.hosts.test\n"));
    let (_server, resolver) = world(&(best_last.collect::<String>() + "*.hosts.test A 192.0.2.1")).await;
    let MailRoute::Mx { hosts } = resolver.mail_route("big.test").await else { panic!("MX") };
    assert_eq!(hosts.iter().map(|host| host.preference).collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn at_most_four_dead_hosts_are_looked_up() {
    let zone: String = (0..9).map(|n| format!("dead.test MX {n} h{n}.gone.test\n")).collect();
    let (server, resolver) = world(&zone).await;
    assert!(matches!(resolver.mail_route("dead.test").await, MailRoute::Mx { .. }));
    assert_eq!(server.queries().keys().filter(|(name, _)| name.ends_with("gone.test")).count(), 4);
}

#[tokio::test]
async fn a_null_mx_among_others_is_only_unusable() {
    let (_server, resolver) = world(
        "both.test MX 0 .\n MX 10 mx.both.test\nmx.both.test A 192.0.2.1\n\
                                     bad.test MX 0 .\n MX 10 localhost",
    )
    .await;
    assert_eq!(resolver.mail_route("both.test").await, mx(&[(10, "mx.both.test")]));
    assert_eq!(resolver.mail_route("bad.test").await, MailRoute::UnusableMx);
}

#[tokio::test]
async fn a_name_that_the_dns_cannot_carry_does_not_exist() {
    let (server, resolver) = world("").await;
    assert_eq!(resolver.mail_route(&format!("{}.test", "a".repeat(64))).await, MailRoute::NxDomain);
    assert!(server.queries().is_empty());
}

#[tokio::test]
async fn silence_is_a_timeout_and_ends_by_attempts_or_by_the_total_whichever_is_first() {
    let server = DnsServer::start(anywhere(), Zone::demo().unwrap()).await.unwrap();
    let short = Duration::from_millis(150);
    for (timeout, total) in [(short, Duration::from_secs(60)), (Duration::from_secs(60), short)] {
        let settings = DnsSettings { timeout, total, ..settings(server.addr()) };
        let start = Instant::now();
        let route = DnsResolver::new(&settings).unwrap().mail_route("silent.test").await;
        assert_eq!(route, unanswered(Unanswered::Timeout));
        assert!(start.elapsed() < Duration::from_secs(5), "took {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_host_that_cannot_be_looked_up_in_time_does_not_cost_the_domain_its_route() {
    let (server, _) = world("a.test MX 10 mx.a.test\nmx.a.test !SILENT").await;
    let settings = DnsSettings { total: Duration::from_millis(500), ..settings(server.addr()) };
    let route = DnsResolver::new(&settings).unwrap().mail_route("a.test").await;
    // On a machine too busy to answer the MX in half a second the whole is unanswered; never is it unusable.
    assert!(route == mx(&[(10, "mx.a.test")]) || route == unanswered(Unanswered::Timeout), "{route:?}");
}

#[tokio::test]
async fn a_name_server_that_cannot_be_sent_to_is_unreachable_and_one_that_is_gone_is_a_timeout() {
    let server = DnsServer::start(anywhere(), Zone::default()).await.unwrap();
    let gone = server.addr();
    server.shutdown().await;
    // The system refuses to send to the broadcast address. Of a closed UDP port it tells a sender nothing.
    let broadcast = "255.255.255.255:5353".parse().unwrap();
    for (server, reason) in [(broadcast, Unanswered::Unreachable), (gone, Unanswered::Timeout)] {
        let short = Duration::from_millis(150);
        let settings =
            DnsSettings { server: NameServer::At(server), timeout: short, ..DnsSettings::default() };
        let start = Instant::now();
        let route = DnsResolver::new(&settings).unwrap().mail_route("a.test").await;
        assert_eq!(route, unanswered(reason));
        assert!(start.elapsed() < Duration::from_secs(10), "took {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn asking_is_cheap_to_hold() {
    let (_server, resolver) = world("").await;
    let size = size_of_val(&resolver.mail_route("a.test"));
    assert!(size <= 4 * 1024, "thousands of these wait at once: {size} octets");
}

#[tokio::test]
async fn a_thousand_domains_at_once_are_all_answered() {
    let (_server, resolver) = demo().await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..1000 {
        let resolver = resolver.clone();
        tasks.spawn(async move { resolver.mail_route(&format!("c{n}.corp.example")).await });
    }
    let routes = tasks.join_all().await;
    assert_eq!(routes.iter().filter(|route| matches!(route, MailRoute::Mx { .. })).count(), 1000);
}
