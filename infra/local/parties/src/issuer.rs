//! The identity provider: an OpenID Connect issuer with discovery and keys, that signs whatever token it is asked for, good or bad.
//!
//! It is Clerk, Firebase and Supabase too, as far as verification goes: they differ in what their tokens say, and publish keys the
//! same way. Its RSA keys are in `keys/` for everyone to see, because ring makes none; the others are made at each start.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

mod keys;

use keys::{Keys, b64, broken, signed};
pub use keys::{Signer, sign_shared, unsigned};

/// The client that it lets sign people in.
pub const CLIENT: &str = "piecework-local";
/// That client's secret; its characters are some that must be encoded.
pub const CLIENT_SECRET: &str = "local:secret/+ %";
/// Longest request that is read, octets of each line and of the body.
const MAX_REQUEST: u64 = 64 * 1024;

/// How it answers those who ask for discovery and keys.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Manner {
    /// As it should.
    #[default]
    Normal,
    /// Accepts and says nothing.
    Hangs,
    /// Begins an answer and sends an octet of it in each such time.
    Drips(Duration),
    /// So many octets of JSON.
    Long(usize),
    /// This status.
    Fails(u16),
    /// 302 to there.
    Redirects(String),
    /// 200 and this.
    Says(String),
    /// A discovery document that names another issuer.
    NamesAnother,
}

/// A running issuer. Dropping it ends it.
pub struct Issuer {
    url: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

struct State {
    manner: Manner,
    /// `Cache-Control` of the keys, if any.
    cache_control: Option<String>,
    generation: u32,
    keys: Vec<Keys>,
    asked: Asked,
    /// Who signs in next, and what is said of them.
    person: Value,
    /// What is different in the next ID tokens; null takes a claim out.
    twist: Value,
    /// Codes given out, and the queries that they answer.
    codes: BTreeMap<String, BTreeMap<String, String>>,
}

/// How often it was asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    /// For the discovery document.
    pub discovery: usize,
    /// For the keys.
    pub keys: usize,
}

impl Issuer {
    /// Starts it.
    ///
    /// # Errors
    /// If the address is not free.
    pub async fn start(addr: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let state = Arc::new(Mutex::new(State {
            manner: Manner::Normal,
            cache_control: None,
            generation: 0,
            keys: vec![Keys::new(0)?],
            asked: Asked::default(),
            person: json!({ "sub": "somebody", "email": "somebody@corp.example", "email_verified": true }),
            twist: json!({}),
            codes: BTreeMap::new(),
        }));
        let task = tokio::spawn(serve(listener, url.clone(), Arc::clone(&state)));
        Ok(Self { url, state, task })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Its name as an OpenID Connect issuer, and where it answers: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where its keys are.
    pub fn keys_url(&self) -> String {
        format!("{}/jwks", self.url)
    }

    /// The text of its key set.
    pub fn key_set(&self) -> Value {
        self.state().key_set()
    }

    /// A token signed with the key in use, under its `kid`.
    pub fn sign(&self, signer: Signer, claims: &Value) -> String {
        let kid = self.state().keys.last().map(|keys| keys.kid(signer));
        let alg = match signer {
            Signer::Rs256 => "RS256",
            Signer::Es256 => "ES256",
            Signer::EdDsa => "EdDSA",
        };
        self.sign_as(signer, &json!({ "alg": alg, "kid": kid, "typ": "JWT" }), claims)
    }

    /// A token signed with the key in use that says what you like of itself.
    pub fn sign_as(&self, signer: Signer, header: &Value, claims: &Value) -> String {
        let message = signed(header, claims);
        let state = self.state();
        let signature = state.keys.last().and_then(|keys| keys.sign(signer, message.as_bytes()).ok());
        format!("{message}.{}", b64(&signature.unwrap_or_default()))
    }

    /// Signs with new keys from now on. The old ones stay published, or do not.
    ///
    /// # Errors
    /// If there is no randomness to be had.
    pub fn rotate(&self, keep: bool) -> io::Result<()> {
        self.state().rotate(keep)
    }

    /// Who signs in next: `sub`, and whatever claims else.
    pub fn person(&self, claims: Value) {
        self.state().person = claims;
    }

    /// What is different in the ID tokens from now on; null takes a claim out.
    pub fn twist(&self, claims: Value) {
        self.state().twist = claims;
    }

    /// Changes its manners.
    pub fn behave(&self, manner: Manner) {
        self.state().manner = manner;
    }

    /// The `Cache-Control` of its keys from now on.
    pub fn cache_control(&self, field: &str) {
        self.state().cache_control = Some(field.to_owned());
    }

    /// How often it was asked.
    pub fn asked(&self) -> Asked {
        self.state().asked
    }

    /// Ends it.
    pub async fn shutdown(mut self) {
        self.task.abort();
        // Cancelled is what it should be.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    fn key_set(&self) -> Value {
        json!({ "keys": self.keys.iter().flat_map(Keys::public).collect::<Vec<_>>() })
    }

    /// Lets the next person sign in at once: the address to go back to, with a code.
    fn authorize(&mut self, query: &str) -> Option<String> {
        let query = form(query);
        let right = [("response_type", "code"), ("client_id", CLIENT), ("code_challenge_method", "S256")];
        let fits = right.iter().all(|(name, value)| query.get(*name).is_some_and(|v| v == value));
        let scoped = query.get("scope")?.split(' ').any(|scope| scope == "openid");
        if !fits || !scoped || query.get("nonce")?.len() < 22 || query.get("code_challenge")?.len() != 43 {
            return None;
        }
        let (to, state) = (query.get("redirect_uri")?.clone(), query.get("state")?.clone());
        let code = format!("code-{}", self.codes.len() + 1);
        self.codes.insert(code.clone(), query);
        Some(format!("{to}?code={code}&state={state}"))
    }

    /// Tokens for a code, once, to the client whose verifier it is.
    fn exchange(&mut self, url: &str, body: &[u8], authorization: &str) -> Result<Value, &'static str> {
        let asked = form(&String::from_utf8_lossy(body));
        let pair = format!("{}:{}", encoded(CLIENT), encoded(CLIENT_SECRET));
        if authorization != format!("Basic {}", STANDARD.encode(pair)) {
            return Err("invalid_client");
        }
        let login = asked.get("code").and_then(|code| self.codes.remove(code)).ok_or("invalid_grant")?;
        let verifier = asked.get("code_verifier").ok_or("invalid_request")?;
        let challenge = b64(ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes()).as_ref());
        if login.get("code_challenge") != Some(&challenge)
            || login.get("redirect_uri") != asked.get("redirect_uri")
            || asked.get("grant_type").is_none_or(|grant| grant != "authorization_code")
        {
            return Err("invalid_grant");
        }
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_err(|_| "server_error")?;
        let now = now.as_secs();
        let access_token = "an-access-token-of-the-provider";
        let hash = ring::digest::digest(&ring::digest::SHA256, access_token.as_bytes());
        let mut claims = json!({ "iss": url, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": login.get("nonce"),
            "at_hash": b64(&hash.as_ref()[..16]) });
        for changes in [&self.person, &self.twist] {
            for (name, value) in changes.as_object().into_iter().flatten() {
                match value {
                    Value::Null => drop(claims.as_object_mut().and_then(|c| c.remove(name))),
                    value => claims[name] = value.clone(),
                }
            }
        }
        let keys = self.keys.last().ok_or("server_error")?;
        let message =
            signed(&json!({ "alg": "ES256", "kid": keys.kid(Signer::Es256), "typ": "JWT" }), &claims);
        let signature = keys.sign(Signer::Es256, message.as_bytes()).map_err(|_| "server_error")?;
        let id_token = format!("{message}.{}", b64(&signature));
        Ok(
            json!({ "access_token": access_token, "token_type": "Bearer", "expires_in": 300, "id_token": id_token }),
        )
    }

    /// Notes that it was asked, and says what it has to say.
    fn ask(&mut self, path: &str) -> (Manner, Value, String) {
        match path {
            "/jwks" => self.asked.keys += 1,
            _ => self.asked.discovery += 1,
        }
        let cache = self.cache_control.as_ref().map(|field| format!("cache-control: {field}\r\n"));
        (self.manner.clone(), self.key_set(), cache.unwrap_or_default())
    }

    fn rotate(&mut self, keep: bool) -> io::Result<()> {
        self.generation += 1;
        if !keep {
            self.keys.clear();
        }
        self.keys.push(Keys::new(self.generation)?);
        Ok(())
    }
}

/// A form or query.
fn form(text: &str) -> BTreeMap<String, String> {
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    text.split('&').filter_map(|pair| pair.split_once('=')).map(|(n, v)| (decode(n), decode(v))).collect()
}

fn encoded(text: &str) -> String {
    const RESERVED: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    percent_encoding::utf8_percent_encode(text, RESERVED).to_string()
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: TcpListener, url: String, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                let (url, state) = (url.clone(), Arc::clone(&state));
                connections.spawn(async move {
                    // A caller that has gone has had its answer.
                    let _ = answer(stream, &url, &state).await;
                });
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One request and its answer: HTTP/1.1 as far as `GET` and a small `POST` go.
async fn answer(stream: TcpStream, url: &str, state: &Mutex<State>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut first = String::new();
    (&mut stream).take(MAX_REQUEST).read_line(&mut first).await?;
    let (mut length, mut authorization) = (0u64, String::new());
    loop {
        let mut line = String::new();
        if (&mut stream).take(MAX_REQUEST).read_line(&mut line).await? == 0 || line.trim().is_empty() {
            break;
        }
        match line.split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().unwrap_or(0).min(MAX_REQUEST);
            }
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                value.trim().clone_into(&mut authorization);
            }
            _ => {}
        }
    }
    let mut body = vec![0; usize::try_from(length).unwrap_or(0)];
    stream.read_exact(&mut body).await?;
    let mut words = first.split_whitespace();
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let reply = |status: u16, fields: &str, body: &str| {
        format!(
            "HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\n{fields}content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    let at_once = match (method, path) {
        ("GET", "/.well-known/openid-configuration" | "/jwks") => None,
        ("GET", path) if path.starts_with("/authorize?") => Some(match lock(state).authorize(&path[11..]) {
            Some(to) => reply(302, &format!("location: {to}\r\n"), ""),
            None => reply(400, "", r#"{"error":"invalid_request"}"#),
        }),
        ("POST", "/oauth/token") => Some(match lock(state).exchange(url, &body, &authorization) {
            Ok(tokens) => reply(200, "cache-control: no-store\r\n", &tokens.to_string()),
            Err(error) => reply(400, "", &json!({ "error": error }).to_string()),
        }),
        ("POST", "/token" | "/control") => Some(match ordered(&mut lock(state), url, path, &body) {
            Ok(body) => reply(200, "", &body.to_string()),
            Err(error) => reply(400, "", &json!({ "error": error.to_string() }).to_string()),
        }),
        _ => Some(reply(404, "", "{}")),
    };
    if let Some(text) = at_once {
        return stream.write_all(text.as_bytes()).await;
    }
    let (manner, keys, cache) = lock(state).ask(path);
    let right = |issuer: &str| match path {
        "/jwks" => reply(200, &cache, &keys.to_string()),
        _ => {
            let document = json!({ "issuer": issuer, "jwks_uri": format!("{url}/jwks"),
                "authorization_endpoint": format!("{url}/authorize"), "token_endpoint": format!("{url}/oauth/token"),
                "id_token_signing_alg_values_supported": ["RS256", "ES256", "EdDSA"] });
            reply(200, "", &document.to_string())
        }
    };
    let text = match manner {
        Manner::Normal => right(url),
        Manner::NamesAnother => right("https://another.example"),
        Manner::Fails(status) => reply(status, "", "{}"),
        Manner::Redirects(to) => reply(302, &format!("location: {to}\r\n"), ""),
        Manner::Says(body) => reply(200, "", &body),
        Manner::Long(octets) => {
            let head = "{\"keys\":[{\"kty\":\"oct\",\"k\":\"";
            reply(200, "", &format!("{head}{}\"}}]}}", "A".repeat(octets)))
        }
        Manner::Hangs => return std::future::pending().await,
        Manner::Drips(pause) => {
            for octet in right(url).into_bytes() {
                stream.write_all(&[octet]).await?;
                stream.flush().await?;
                tokio::time::sleep(pause).await;
            }
            return Ok(());
        }
    };
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await
}

/// What it does for whoever runs it: `POST /token` with claims signs them, `POST /control` with
/// `{"manner": "normal" | "hangs" | "fails"}` or `{"rotate": true}` changes it.
fn ordered(state: &mut State, url: &str, path: &str, body: &[u8]) -> io::Result<Value> {
    let order: Value = serde_json::from_slice(body).map_err(broken)?;
    if path == "/control" {
        state.manner = match order["manner"].as_str() {
            None => state.manner.clone(),
            Some("normal") => Manner::Normal,
            Some("hangs") => Manner::Hangs,
            Some("fails") => Manner::Fails(500),
            Some(other) => return Err(broken(format!("no manner {other:?}"))),
        };
        if order["rotate"] == true {
            state.rotate(false)?;
        }
        return Ok(json!({ "generation": state.generation }));
    }
    let Value::Object(given) = order else { return Err(broken("claims are an object")) };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_err(broken)?.as_secs();
    let mut claims =
        json!({ "iss": url, "aud": "piecework", "sub": "somebody", "iat": now, "exp": now + 3600 });
    for (name, value) in given {
        claims[name] = value;
    }
    let keys = state.keys.last().ok_or_else(|| broken("no keys"))?;
    let message = signed(&json!({ "alg": "RS256", "kid": keys.kid(Signer::Rs256), "typ": "JWT" }), &claims);
    let signature = keys.sign(Signer::Rs256, message.as_bytes())?;
    Ok(json!({ "token": format!("{message}.{}", b64(&signature)) }))
}
