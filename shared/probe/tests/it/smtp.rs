use std::time::{Duration, Instant};

use email::route::{MxHost, SmtpOutcome, SmtpProbe};
use local_parties::{Behaviour, Connection, Mailbox, SmtpServer};
use probe::{SmtpClient, SmtpSettings};

use crate::{anywhere, world};

fn hosts(names: &[&str]) -> Vec<MxHost> {
    names.iter().map(|name| MxHost { preference: 10, exchange: (*name).to_owned() }).collect()
}

fn one() -> Vec<MxHost> {
    hosts(&["mx.smtp.test"])
}

/// A server with these manners and a client that reaches it whatever the host.
async fn pair(behaviour: Behaviour, change: impl FnOnce(&mut SmtpSettings)) -> (SmtpServer, SmtpClient) {
    let server = SmtpServer::start(anywhere(), behaviour).await.unwrap();
    let (_dns, resolver) = world("").await;
    let mut settings = SmtpSettings::new("probe.piecework.test", "verify@piecework.test");
    settings.connect_to = Some(server.addr());
    change(&mut settings);
    (server, SmtpClient::new(settings, resolver))
}

fn assert_polite(server: &SmtpServer) {
    for session in server.sessions() {
        assert_eq!(session.count("DATA"), 0, "{session:?}");
        assert!(!session.pipelined, "{session:?}");
    }
}

#[tokio::test]
async fn each_kind_of_mailbox_has_its_outcome() {
    let (server, client) = pair(Behaviour::demo(), |_| {}).await;
    let cases = [
        ("deliverable@a.test", SmtpOutcome::Deliverable),
        ("nobody@a.test", SmtpOutcome::NoSuchMailbox),
        ("anyone@catchall.test", SmtpOutcome::CatchAll),
        ("full@catchall.test", SmtpOutcome::FullInbox),
        ("full@a.test", SmtpOutcome::FullInbox),
        ("full-for-now@a.test", SmtpOutcome::FullInbox),
        ("disabled@a.test", SmtpOutcome::Disabled),
        ("blocked@a.test", SmtpOutcome::SenderBlocked),
        ("greylisted@a.test", SmtpOutcome::Greylisted),
        ("greylisted@a.test", SmtpOutcome::Deliverable),
        ("closes@a.test", SmtpOutcome::NoAnswer),
    ];
    for (address, outcome) in cases {
        assert_eq!(client.probe(address, &one()).await, outcome, "{address}");
    }
    assert_polite(&server);
}

#[tokio::test]
async fn a_probe_says_what_it_must_and_nothing_else() {
    let (server, client) = pair(Behaviour::demo(), |_| {}).await;
    client.probe("deliverable@a.test", &one()).await;
    let [session] = &server.sessions()[..] else { panic!("one session") };
    let [hello, from, random, target, quit] = &session.commands[..] else { panic!("{session:?}") };
    assert_eq!(hello, "EHLO probe.piecework.test");
    assert_eq!(from, "MAIL FROM:<verify@piecework.test>");
    let local = random.strip_prefix("RCPT TO:<").and_then(|rest| rest.strip_suffix("@a.test>")).unwrap();
    assert!(local.len() == 15 && local.bytes().all(|b| b.is_ascii_lowercase()), "{random}");
    assert_eq!(target, "RCPT TO:<deliverable@a.test>");
    assert_eq!(quit, "QUIT");
    assert!(session.quit);
}

#[tokio::test]
async fn a_provider_that_refuses_single_mailboxes_is_not_asked_for_a_random_one() {
    let (server, client) = pair(Behaviour::demo().with("@hotmail.com", Mailbox::Accepts), |_| {}).await;
    for host in
        ["gmail-smtp-in.l.google.com", "hotmail-com.olc.protection.outlook.com", "mta5.am0.yahoodns.net"]
    {
        assert_eq!(client.probe("ann@hotmail.com", &hosts(&[host])).await, SmtpOutcome::Deliverable);
    }
    let business = hosts(&["a-example.mail.protection.outlook.com"]);
    assert_eq!(client.probe("ann@hotmail.com", &business).await, SmtpOutcome::CatchAll);
    let asked: Vec<_> = server.sessions().iter().map(|session| session.count("RCPT")).collect();
    assert_eq!(asked, [1, 1, 1, 2]);
}

#[tokio::test]
async fn a_server_that_puts_the_random_mailbox_off_settles_nothing() {
    let behaviour = Behaviour::demo().otherwise(Mailbox::Greylisted);
    let (_server, client) = pair(behaviour, |_| {}).await;
    assert_eq!(client.probe("deliverable@a.test", &one()).await, SmtpOutcome::Greylisted);
}

#[tokio::test]
async fn how_a_server_greets_decides_before_any_mailbox() {
    let cases = [
        (Connection::SlowBanner(Duration::from_millis(200)), SmtpOutcome::NoSuchMailbox),
        (Connection::HeloOnly, SmtpOutcome::NoSuchMailbox),
        (Connection::Blocklists, SmtpOutcome::SenderBlocked),
        (Connection::Busy, SmtpOutcome::Greylisted),
        (Connection::ClosesAtOnce, SmtpOutcome::NoAnswer),
        (Connection::Garbage, SmtpOutcome::NoAnswer),
    ];
    for (connection, outcome) in cases {
        let (server, client) = pair(Behaviour::connection(connection.clone()), |_| {}).await;
        assert_eq!(client.probe("ann@a.test", &one()).await, outcome, "{connection:?}");
        assert_polite(&server);
    }
}

#[tokio::test]
async fn a_hostile_server_ends_within_the_step() {
    let behaviours = [
        Behaviour::connection(Connection::Hangs),
        Behaviour::connection(Connection::EndlessLine),
        Behaviour::connection(Connection::EndlessReply),
        Behaviour::connection(Connection::Drips(Duration::from_millis(100))),
        Behaviour::default().otherwise(Mailbox::Hangs),
        Behaviour::default().otherwise(Mailbox::Says("250-and\r\n".repeat(1000))),
        Behaviour::default().otherwise(Mailbox::Says("250-one\r\n550 another\r\n".into())),
        Behaviour::default().otherwise(Mailbox::Says("2500 OK\r\n".into())),
        Behaviour::default().otherwise(Mailbox::Says("250 never ends".into())),
    ];
    for behaviour in behaviours {
        let (_server, client) =
            pair(behaviour.clone(), |settings| settings.step_timeout = Duration::from_millis(300)).await;
        let start = Instant::now();
        assert_eq!(client.probe("ann@a.test", &one()).await, SmtpOutcome::NoAnswer, "{behaviour:?}");
        assert!(start.elapsed() < Duration::from_secs(5), "{behaviour:?} took {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn all_hosts_together_end_within_the_total() {
    let (_server, client) = pair(Behaviour::connection(Connection::Hangs), |settings| {
        settings.step_timeout = Duration::from_secs(60);
        settings.total = Duration::from_millis(300);
    })
    .await;
    let start = Instant::now();
    let outcome = client.probe("ann@a.test", &hosts(&["mx1.a.test", "mx2.a.test"])).await;
    assert_eq!(outcome, SmtpOutcome::NoAnswer);
    assert!(start.elapsed() < Duration::from_secs(5), "took {:?}", start.elapsed());
}

#[tokio::test]
async fn the_next_host_is_tried_when_one_gives_no_answer_and_only_the_next() {
    let (server, client) = pair(Behaviour::connection(Connection::ClosesAtOnce), |_| {}).await;
    client.probe("ann@a.test", &hosts(&["mx1.a.test", "mx2.a.test", "mx3.a.test"])).await;
    assert_eq!(server.sessions().len(), 2);

    let (server, client) = pair(Behaviour::connection(Connection::Blocklists), |_| {}).await;
    client.probe("ann@a.test", &hosts(&["mx1.a.test", "mx2.a.test"])).await;
    assert_eq!(server.sessions().len(), 1, "a refusal is an answer");
}

#[tokio::test]
async fn an_address_that_would_be_more_than_an_address_is_not_said() {
    let (server, client) = pair(Behaviour::demo(), |_| {}).await;
    for address in ["a>\r\nDATA\r\n@a.test", "a b@a.test", "a<b@a.test", "nothing", "a\u{0}@a.test"] {
        assert_eq!(client.probe(address, &one()).await, SmtpOutcome::NoAnswer);
    }
    assert!(server.sessions().is_empty());
    assert_eq!(client.probe("jörg@a.test", &one()).await, SmtpOutcome::NoAnswer);
    assert_eq!(server.sessions()[0].count("RCPT"), 0, "this server has no SMTPUTF8");
}

#[tokio::test]
async fn a_host_with_a_private_address_is_not_connected_to() {
    let server = SmtpServer::start(anywhere(), Behaviour::demo()).await.unwrap();
    let (_dns, resolver) = world("mx.a.test A 127.0.0.1\na.test A 127.0.0.1").await;
    let mut settings = SmtpSettings::new("probe.piecework.test", "");
    settings.port = server.addr().port();
    let client = SmtpClient::new(settings, resolver);
    assert_eq!(client.probe("ann@a.test", &hosts(&["mx.a.test"])).await, SmtpOutcome::NoAnswer);
    assert_eq!(client.probe("ann@a.test", &[]).await, SmtpOutcome::NoAnswer);
    assert!(server.sessions().is_empty());
}
