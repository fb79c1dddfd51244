//! [`SmtpClient`]: RFC 5321 up to RCPT, and no further.

use std::net::SocketAddr;
use std::time::Duration;

use email::route::{MxHost, SmtpOutcome, SmtpProbe};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::dns::DnsResolver;
use crate::reply::Reply;

/// Longest line of a reply that is read, in octets (RFC 5321 section 4.5.3.1.5 asks for 512).
const MAX_LINE: u64 = 2048;
/// Most lines of one reply; an EHLO answer has about twenty.
const MAX_LINES: usize = 100;
/// How long we wait to be let go; what was to be learnt is known by then.
const QUIT_TIMEOUT: Duration = Duration::from_secs(1);
/// Hosts of providers that accept or refuse single mailboxes, so that a random one need not be tried: Gmail,
/// Outlook.com (not the Microsoft 365 hosts under `mail.protection.outlook.com`), Yahoo and AOL.
const NEVER_CATCH_ALL: [&str; 3] =
    ["gmail-smtp-in.l.google.com", ".olc.protection.outlook.com", ".yahoodns.net"];

/// How mail servers are asked.
#[derive(Debug, Clone)]
pub struct SmtpSettings {
    /// Our name in EHLO; it should match the reverse DNS of the address that we come from.
    pub hello_name: String,
    /// The sender in MAIL FROM; empty for the null sender.
    pub mail_from: String,
    /// The port, 25 on the Internet.
    pub port: u16,
    /// How long connecting, and each command with its whole reply, may take.
    pub step_timeout: Duration,
    /// How long one address may take in all.
    pub total: Duration,
    /// Hosts tried before giving up; the next is tried only when one gave no answer.
    pub max_hosts: usize,
    /// Connect here whatever the hosts are: for stand-ins and relays. The port above is then not used.
    pub connect_to: Option<SocketAddr>,
}

impl SmtpSettings {
    /// Port 25, 10 s a step, 45 s in all, 2 hosts.
    pub fn new(hello_name: impl Into<String>, mail_from: impl Into<String>) -> Self {
        Self {
            hello_name: hello_name.into(),
            mail_from: mail_from.into(),
            port: 25,
            step_timeout: Duration::from_secs(10),
            total: Duration::from_secs(45),
            max_hosts: 2,
            connect_to: None,
        }
    }
}

/// Asks a mail server about a mailbox: EHLO, MAIL FROM, RCPT TO a random mailbox, RCPT TO the one meant, QUIT; one
/// command at a time, never DATA. Every wait, line and reply is bounded. Cheap to clone.
///
/// It keeps no pace of its own: how many probes run at once against a host, and when a greylisted address is asked
/// again, is for the caller.
#[derive(Clone)]
pub struct SmtpClient {
    settings: SmtpSettings,
    dns: DnsResolver,
}

/// A conversation that ended without a verdict: closed, late, or outside the protocol.
struct Broken;

impl From<std::io::Error> for Broken {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

impl From<tokio::time::error::Elapsed> for Broken {
    fn from(_: tokio::time::error::Elapsed) -> Self {
        Self
    }
}

impl SmtpClient {
    /// A client that finds hosts by `dns`.
    pub fn new(settings: SmtpSettings, dns: DnsResolver) -> Self {
        Self { settings, dns }
    }

    async fn ask(&self, address: &str, host: &str) -> Result<SmtpOutcome, Broken> {
        let mut talk = Conversation::open(self.connect(host).await?, self.settings.step_timeout);
        let outcome = self.converse(&mut talk, address, host).await;
        if outcome.is_ok() {
            // Courtesy: the verdict stands whether or not the server says goodbye.
            let _ = timeout(QUIT_TIMEOUT, talk.say("QUIT")).await;
        }
        outcome
    }

    async fn connect(&self, host: &str) -> Result<TcpStream, Broken> {
        let targets: Vec<SocketAddr> = match self.settings.connect_to {
            Some(target) => vec![target],
            None => {
                let found = self.dns.public_addresses(host).await;
                found.into_iter().take(2).map(|ip| SocketAddr::new(ip, self.settings.port)).collect()
            }
        };
        for target in targets {
            if let Ok(Ok(stream)) = timeout(self.settings.step_timeout, TcpStream::connect(target)).await {
                return Ok(stream);
            }
        }
        Err(Broken)
    }

    async fn converse(
        &self,
        talk: &mut Conversation,
        address: &str,
        host: &str,
    ) -> Result<SmtpOutcome, Broken> {
        let greeting = talk.reply().await?;
        if greeting.code != 220 {
            return Ok(greeting.refusal_of_us());
        }
        let mut hello = talk.say(&format!("EHLO {}", self.settings.hello_name)).await?;
        let utf8 = hello.code == 250 && hello.text.contains("smtputf8");
        if matches!(hello.code, 500 | 502 | 504) {
            hello = talk.say(&format!("HELO {}", self.settings.hello_name)).await?;
        }
        if hello.code != 250 {
            return Ok(hello.refusal_of_us());
        }
        let parameter = match (address.is_ascii(), utf8) {
            (true, _) => "",
            (false, true) => " SMTPUTF8",
            // This server cannot even be asked about such a mailbox (RFC 6531).
            (false, false) => return Ok(SmtpOutcome::NoAnswer),
        };
        let sender = talk.say(&format!("MAIL FROM:<{}>{parameter}", self.settings.mail_from)).await?;
        if !sender.accepts() {
            return Ok(sender.refusal_of_us());
        }

        let mut random = None;
        if !NEVER_CATCH_ALL.iter().any(|suffix| host.ends_with(suffix)) {
            let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
            let reply = talk.say(&format!("RCPT TO:<{}@{domain}>", random_local_part())).await?;
            if !reply.accepts() && reply.refusal() == SmtpOutcome::SenderBlocked {
                return Ok(SmtpOutcome::SenderBlocked);
            }
            random = Some(reply);
        }
        let target = talk.say(&format!("RCPT TO:<{address}>")).await?;
        Ok(match random {
            _ if !target.accepts() => target.refusal(),
            Some(random) if random.accepts() => SmtpOutcome::CatchAll,
            // The random mailbox was put off, not refused: whether all are accepted is yet to be seen.
            Some(random) if random.code < 500 => SmtpOutcome::Greylisted,
            _ => SmtpOutcome::Deliverable,
        })
    }
}

impl SmtpProbe for SmtpClient {
    /// An empty `hosts` means implicit MX: the address's own domain is asked.
    async fn probe(&self, address: &str, hosts: &[MxHost]) -> SmtpOutcome {
        let Some((_, domain)) = address.rsplit_once('@').filter(|_| is_speakable(address)) else {
            return SmtpOutcome::NoAnswer;
        };
        let deadline = Instant::now() + self.settings.total;
        let implicit = hosts.is_empty().then_some(domain);
        let hosts = hosts.iter().map(|host| host.exchange.as_str()).chain(implicit);
        for host in hosts.take(self.settings.max_hosts) {
            match timeout_at(deadline, self.ask(address, host)).await {
                Ok(Ok(SmtpOutcome::NoAnswer) | Err(Broken)) => {}
                Ok(Ok(outcome)) => return outcome,
                Err(_) => break,
            }
        }
        SmtpOutcome::NoAnswer
    }
}

/// Whether the address can stand between `<` and `>` in a command without becoming something else.
fn is_speakable(address: &str) -> bool {
    !address.chars().any(|c| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>'))
}

fn random_local_part() -> String {
    (0..15).map(|_| char::from(rand::random_range(b'a'..=b'z'))).collect()
}

struct Conversation {
    stream: BufReader<TcpStream>,
    step: Duration,
}

impl Conversation {
    fn open(stream: TcpStream, step: Duration) -> Self {
        Self { stream: BufReader::new(stream), step }
    }

    /// Says a line and hears the reply, both within a step.
    async fn say(&mut self, line: &str) -> Result<Reply, Broken> {
        timeout(self.step, async {
            self.stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).await?;
            self.hear().await
        })
        .await?
    }

    /// Hears a reply that nothing asked for: the greeting.
    async fn reply(&mut self) -> Result<Reply, Broken> {
        timeout(self.step, self.hear()).await?
    }

    /// Reads `250-first` … `250 last`. Every line must carry the code of the first (RFC 5321 section 4.2.1).
    async fn hear(&mut self) -> Result<Reply, Broken> {
        let mut reply = Reply { code: 0, text: String::new() };
        let mut line = Vec::new();
        for number in 0..MAX_LINES {
            line.clear();
            (&mut self.stream).take(MAX_LINE).read_until(b'\n', &mut line).await?;
            if line.last() != Some(&b'\n') {
                return Err(Broken);
            }
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end();
            let digits =
                line.get(..3).filter(|code| code.bytes().all(|b| b.is_ascii_digit())).ok_or(Broken)?;
            let code: u16 = digits.parse().map_err(|_| Broken)?;
            let (last, text) = match line.as_bytes().get(3) {
                None | Some(b' ') => (true, line.get(4..).unwrap_or_default()),
                Some(b'-') => (false, line.get(4..).unwrap_or_default()),
                Some(_) => return Err(Broken),
            };
            if number > 0 && code != reply.code {
                return Err(Broken);
            }
            reply.code = code;
            if number > 0 {
                reply.text.push(' ');
            }
            reply.text.push_str(&text.to_lowercase());
            if last {
                return Ok(reply);
            }
        }
        Err(Broken)
    }
}
