//! The mail server: RFC 5321 as far as a probe goes, with mailboxes and manners to order. It takes no mail.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// Longest command line that is read, in octets with its line end (RFC 5321 section 4.5.3.1.4 asks for 512).
const MAX_LINE: u64 = 1024;

/// How the server treats a recipient, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mailbox {
    /// `250`: accepted.
    Accepts,
    /// `550 5.1.1`, over two lines.
    NoSuchUser,
    /// `552 5.2.2`: over quota.
    Full,
    /// `452 4.2.2`: full for now.
    FullForNow,
    /// `550 5.2.1`: disabled.
    Disabled,
    /// `451 4.7.1` the first time that this recipient is named, `250` afterwards.
    Greylisted,
    /// `554 5.7.1`: the sender's address is on a blocklist.
    SenderBlocked,
    /// Never answers.
    Hangs,
    /// Closes the connection instead of answering.
    Closes,
    /// Exactly this text, line ends included.
    Says(String),
}

/// What the server does with a connection before any recipient matters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Connection {
    /// Greets and follows the protocol.
    #[default]
    Normal,
    /// Greets so much later.
    SlowBanner(Duration),
    /// Does not know EHLO (`502`), only HELO.
    HeloOnly,
    /// Accepts the connection and says nothing.
    Hangs,
    /// Closes at once.
    ClosesAtOnce,
    /// Refuses by a `554` greeting that names a blocklist.
    Blocklists,
    /// Refuses by `421`, for now.
    Busy,
    /// Sends octets that are no reply.
    Garbage,
    /// Sends one line that never ends.
    EndlessLine,
    /// Sends one reply of ever more lines.
    EndlessReply,
    /// Sends its greeting one octet at a time, one every so often.
    Drips(Duration),
}

/// The manners of a server: how it treats a connection and each recipient.
#[derive(Debug, Clone)]
pub struct Behaviour {
    connection: Connection,
    mailboxes: BTreeMap<String, Mailbox>,
    otherwise: Mailbox,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self { connection: Connection::Normal, mailboxes: BTreeMap::new(), otherwise: Mailbox::NoSuchUser }
    }
}

impl Behaviour {
    /// A server that treats connections so; it has no mailboxes yet.
    pub fn connection(connection: Connection) -> Self {
        Self { connection, ..Self::default() }
    }

    /// One of every kind, by local part at any domain (`deliverable@`, `full@`, `full-for-now@`, `disabled@`,
    /// `greylisted@`, `blocked@`, `hangs@`, `closes@`); all of `@catchall.test`; any other is no such user.
    pub fn demo() -> Self {
        [
            ("deliverable", Mailbox::Accepts),
            ("full", Mailbox::Full),
            ("full-for-now", Mailbox::FullForNow),
            ("disabled", Mailbox::Disabled),
            ("greylisted", Mailbox::Greylisted),
            ("blocked", Mailbox::SenderBlocked),
            ("hangs", Mailbox::Hangs),
            ("closes", Mailbox::Closes),
            ("@catchall.test", Mailbox::Accepts),
        ]
        .into_iter()
        .fold(Self::default(), |behaviour, (who, mailbox)| behaviour.with(who, mailbox))
    }

    /// Treats `who` as `mailbox`. `who` is an address (`ann@a.test`), a local part at any domain (`ann`), or any
    /// mailbox of a domain (`@a.test`); the earlier of these three kinds wins. Lower-case.
    #[must_use]
    pub fn with(mut self, who: &str, mailbox: Mailbox) -> Self {
        self.mailboxes.insert(who.to_owned(), mailbox);
        self
    }

    /// Treats every recipient not named by [`Behaviour::with`] as `mailbox`, instead of as no such user.
    #[must_use]
    pub fn otherwise(mut self, mailbox: Mailbox) -> Self {
        self.otherwise = mailbox;
        self
    }

    fn mailbox(&self, address: &str) -> &Mailbox {
        let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
        let by = |who: &str| self.mailboxes.get(who);
        by(address).or_else(|| by(local)).or_else(|| by(&format!("@{domain}"))).unwrap_or(&self.otherwise)
    }
}

/// What one client said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Session {
    /// The command lines in order, without line ends.
    pub commands: Vec<String>,
    /// Whether the client said QUIT, and so left properly.
    pub quit: bool,
    /// Whether anything arrived before the reply that it had to wait for (commands were pipelined).
    pub pipelined: bool,
}

impl Session {
    /// How many commands had this verb (`"RCPT"`), in any case.
    pub fn count(&self, verb: &str) -> usize {
        self.commands.iter().filter(|line| is_verb(line, verb)).count()
    }
}

#[derive(Default)]
struct Memory {
    sessions: Vec<Session>,
    greylist: HashSet<String>,
}

/// A running mail server. It stops when dropped.
pub struct SmtpServer {
    addr: SocketAddr,
    memory: Arc<Mutex<Memory>>,
    task: JoinHandle<()>,
}

impl SmtpServer {
    /// Listens at `addr` (port 0 for a free one) and behaves so.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(addr: SocketAddr, behaviour: Behaviour) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let memory = Arc::new(Mutex::new(Memory::default()));
        let (behaviour, shared) = (Arc::new(behaviour), Arc::clone(&memory));
        let task = tokio::spawn(async move {
            let mut clients = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                while clients.try_join_next().is_some() {}
                let session = {
                    let mut memory = shared.lock().unwrap_or_else(PoisonError::into_inner);
                    memory.sessions.push(Session::default());
                    memory.sessions.len() - 1
                };
                let client = Client {
                    stream: BufReader::new(stream),
                    behaviour: Arc::clone(&behaviour),
                    memory: Arc::clone(&shared),
                    session,
                };
                // A client that leaves early is its own affair: an I/O error ends the session and nothing else.
                clients.spawn(async move { client.serve().await.ok() });
            }
        });
        Ok(Self { addr, memory, task })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The sessions so far, in order of connection; those still open as far as they have come.
    pub fn sessions(&self) -> Vec<Session> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).sessions.clone()
    }

    /// Stops listening and drops every connection; returns once the port is free again.
    pub async fn shutdown(mut self) {
        self.task.abort();
        if let Err(error) = (&mut self.task).await
            && error.is_panic()
        {
            tracing::warn!(%error, "the mail server did not stop cleanly");
        }
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Client {
    stream: BufReader<TcpStream>,
    behaviour: Arc<Behaviour>,
    memory: Arc<Mutex<Memory>>,
    session: usize,
}

impl Client {
    async fn serve(mut self) -> io::Result<()> {
        const GREETING: &str = "220 mx.smtp.test ESMTP ready\r\n";
        match self.behaviour.connection.clone() {
            Connection::Normal | Connection::HeloOnly => self.say(GREETING).await?,
            Connection::SlowBanner(delay) => {
                tokio::time::sleep(delay).await;
                self.say(GREETING).await?;
            }
            Connection::Hangs => return std::future::pending().await,
            Connection::ClosesAtOnce => return Ok(()),
            Connection::Blocklists => {
                self.say("554 5.7.1 Your address is listed in a blocklist, see https://bl.test/\r\n").await?;
            }
            Connection::Busy => return self.say("421 4.3.2 Too busy, try again later\r\n").await,
            Connection::Garbage => self.say("\u{0}\u{1}HTTP/1.1 400 Bad Request\r\n\r\n").await?,
            Connection::EndlessLine => {
                self.say("220 ").await?;
                loop {
                    self.say(&"x".repeat(4096)).await?;
                }
            }
            Connection::EndlessReply => loop {
                self.say("220-still greeting\r\n").await?;
            },
            Connection::Drips(every) => {
                for octet in GREETING.chars() {
                    self.say(octet.encode_utf8(&mut [0; 4])).await?;
                    tokio::time::sleep(every).await;
                }
            }
        }
        self.converse().await
    }

    async fn converse(&mut self) -> io::Result<()> {
        while let Some(line) = self.command().await? {
            let reply = if is_verb(&line, "EHLO") && self.behaviour.connection != Connection::HeloOnly {
                "250-mx.smtp.test greets you\r\n250-SIZE 10485760\r\n250-ENHANCEDSTATUSCODES\r\n250 8BITMIME\r\n"
            } else if is_verb(&line, "HELO") {
                "250 mx.smtp.test\r\n"
            } else if is_verb(&line, "RCPT") {
                match self.recipient(&line) {
                    Mailbox::Hangs => return std::future::pending().await,
                    Mailbox::Closes => return Ok(()),
                    mailbox => {
                        self.say(text(&mailbox)).await?;
                        continue;
                    }
                }
            } else if ["MAIL", "RSET", "NOOP"].iter().any(|verb| is_verb(&line, verb)) {
                "250 2.0.0 OK\r\n"
            } else if is_verb(&line, "QUIT") {
                self.note(|session| session.quit = true);
                return self.say("221 2.0.0 Bye\r\n").await;
            } else if is_verb(&line, "DATA") {
                "554 5.5.1 This server takes no mail\r\n"
            } else {
                "502 5.5.2 Command not recognised\r\n"
            };
            self.say(reply).await?;
        }
        Ok(())
    }

    /// The next command line, noted in the session; `None` at the end of the stream.
    async fn command(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        let mut limited = (&mut self.stream).take(MAX_LINE);
        if limited.read_until(b'\n', &mut line).await? == 0 {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        let more = !self.stream.buffer().is_empty();
        self.note(|session| {
            session.commands.push(line.clone());
            session.pipelined |= more;
        });
        Ok(Some(line))
    }

    fn recipient(&self, line: &str) -> Mailbox {
        let address = line.split(['<', '>']).nth(1).unwrap_or_default().to_ascii_lowercase();
        let mailbox = self.behaviour.mailbox(&address).clone();
        if mailbox != Mailbox::Greylisted {
            return mailbox;
        }
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.greylist.insert(address) { Mailbox::Greylisted } else { Mailbox::Accepts }
    }

    fn note(&self, change: impl FnOnce(&mut Session)) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = memory.sessions.get_mut(self.session) {
            change(session);
        }
    }

    async fn say(&mut self, text: &str) -> io::Result<()> {
        self.stream.get_mut().write_all(text.as_bytes()).await
    }
}

fn text(mailbox: &Mailbox) -> &str {
    match mailbox {
        Mailbox::Accepts => "250 2.1.5 Recipient OK\r\n",
        Mailbox::NoSuchUser => {
            "550-5.1.1 The address that you tried to reach\r\n550 5.1.1 does not exist: no such user\r\n"
        }
        Mailbox::Full => "552 5.2.2 Mailbox full: the recipient is over quota\r\n",
        Mailbox::FullForNow => "452 4.2.2 Mailbox full, try again later\r\n",
        Mailbox::Disabled => "550 5.2.1 This account has been disabled\r\n",
        Mailbox::Greylisted => "451 4.7.1 Greylisted, please try again in 300 seconds\r\n",
        Mailbox::SenderBlocked => "554 5.7.1 Client host blocked using bl.test; see https://bl.test/\r\n",
        Mailbox::Says(text) => text,
        Mailbox::Hangs | Mailbox::Closes => "",
    }
}

fn is_verb(line: &str, verb: &str) -> bool {
    line.get(..verb.len()).is_some_and(|start| start.eq_ignore_ascii_case(verb))
        && line[verb.len()..].chars().next().is_none_or(|next| next == ' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says each line and returns everything the server said until it closed.
    async fn talk(server: &SmtpServer, lines: &[&str]) -> String {
        let mut stream = TcpStream::connect(server.addr()).await.unwrap();
        stream.write_all(lines.concat().as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        said
    }

    async fn server(behaviour: Behaviour) -> SmtpServer {
        SmtpServer::start(SocketAddr::from(([127, 0, 0, 1], 0)), behaviour).await.unwrap()
    }

    #[tokio::test]
    async fn a_conversation_follows_the_protocol_and_is_recorded() {
        let server = server(Behaviour::demo()).await;
        let said = talk(
            &server,
            &[
                "ehlo me\r\n",
                "MAIL FROM:<>\r\n",
                "RCPT TO:<full@a.test>\r\n",
                "DATA\r\n",
                "RSET\r\n",
                "NOPE\r\n",
                "QUIT\r\n",
            ],
        )
        .await;
        let codes: Vec<_> = said.lines().filter(|l| l.as_bytes()[3] == b' ').map(|l| &l[..3]).collect();
        assert_eq!(codes, ["220", "250", "250", "552", "554", "250", "502", "221"]);
        let [session] = &server.sessions()[..] else { panic!("one session") };
        assert!(session.quit && session.pipelined);
        assert_eq!((session.count("DATA"), session.count("rcpt")), (1, 1));
    }

    #[tokio::test]
    async fn an_address_outranks_a_local_part_and_that_a_domain() {
        let behaviour = Behaviour::default()
            .with("@a.test", Mailbox::Accepts)
            .with("ann", Mailbox::Full)
            .with("ann@a.test", Mailbox::Disabled);
        assert_eq!(*behaviour.mailbox("ann@a.test"), Mailbox::Disabled);
        assert_eq!(*behaviour.mailbox("ann@b.test"), Mailbox::Full);
        assert_eq!(*behaviour.mailbox("bob@a.test"), Mailbox::Accepts);
        assert_eq!(*behaviour.mailbox("bob@b.test"), Mailbox::NoSuchUser);
    }

    #[tokio::test]
    async fn a_greylisted_recipient_is_accepted_the_second_time() {
        let server = server(Behaviour::demo()).await;
        let ask = ["RCPT TO:<greylisted@a.test>\r\n", "QUIT\r\n"];
        assert!(talk(&server, &ask).await.contains("451 4.7.1"));
        assert!(talk(&server, &ask).await.contains("250 2.1.5"));
    }
}
