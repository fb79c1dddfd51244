//! Amazon SES, as far as it sends: `SendEmail` of API v2. A mail becomes a file, `<folder>/<number>.eml` (RFC 5322), and goes nowhere.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

const PATH: &str = "/v2/email/outbound-emails";

/// A running stand-in. Dropping it ends it.
pub struct SesServer {
    address: SocketAddr,
    folder: PathBuf,
    serving: JoinHandle<()>,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl SesServer {
    /// Listens at an address, and writes into a folder, which it makes.
    ///
    /// # Errors
    /// If the address is taken or the folder cannot be made.
    pub async fn start(address: SocketAddr, folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let next = Arc::new(Mutex::new(std::fs::read_dir(folder)?.count()));
        let listener = TcpListener::bind(address).await?;
        let (address, stop, to) = (listener.local_addr()?, CancellationToken::new(), folder.to_owned());
        let service = move |_| {
            let (next, to) = (Arc::clone(&next), to.clone());
            service_fn(move |request| {
                let (next, to) = (Arc::clone(&next), to.clone());
                async move { Ok::<_, Infallible>(answer(request, &next, &to).await) }
            })
        };
        let serving = tokio::spawn(local_serve::serve(listener, stop.clone(), Duration::ZERO, service));
        let folder = folder.to_owned();
        Ok(Self { address, folder, serving, _stop_on_drop: stop.clone().drop_guard(), stop })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The mails taken so far, oldest first.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn mails(&self) -> io::Result<Vec<String>> {
        let mut names: Vec<PathBuf> =
            std::fs::read_dir(&self.folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
        names.sort();
        names.iter().map(std::fs::read_to_string).collect()
    }

    /// Ends it.
    pub async fn shutdown(self) {
        self.stop.cancel();
        let _ = self.serving.await;
    }
}

async fn answer(request: Request<Incoming>, next: &Mutex<usize>, folder: &Path) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (status, body) = match (head.method == Method::POST && head.uri.path() == PATH, mail(&asked)) {
        (false, _) => (StatusCode::NOT_FOUND, json!({ "message": "no such operation" })),
        (true, None) => {
            (StatusCode::BAD_REQUEST, json!({ "message": "not a mail that this stand-in takes" }))
        }
        (true, Some(mail)) => {
            let number = {
                let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
                *next += 1;
                *next
            };
            match std::fs::write(folder.join(format!("{number:06}.eml")), mail) {
                Ok(()) => (StatusCode::OK, json!({ "MessageId": format!("local-{number}") })),
                Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, json!({ "message": error.to_string() })),
            }
        }
    };
    let mut response = Response::new(Full::new(body.to_string().into()));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    response
}

/// The mail as a file; none of anything but a simple mail of plain text between ASCII addresses, for which SES asks.
fn mail(asked: &Value) -> Option<String> {
    let from = asked["FromEmailAddress"].as_str().filter(|from| from.is_ascii() && from.contains('@'))?;
    let to = asked["Destination"]["ToAddresses"].as_array().filter(|to| !to.is_empty())?;
    let to: Vec<&str> = to.iter().map(Value::as_str).collect::<Option<_>>()?;
    let simple = &asked["Content"]["Simple"];
    let (subject, text) = (simple["Subject"]["Data"].as_str()?, simple["Body"]["Text"]["Data"].as_str()?);
    let one_line = |text: &str| !text.contains(['\r', '\n']);
    if !(to.iter().all(|to| to.is_ascii() && one_line(to)) && one_line(from) && one_line(subject)) {
        return None;
    }
    // RFC 2047.
    let subject = match subject.is_ascii() {
        true => subject.to_owned(),
        false => format!("=?utf-8?b?{}?=", STANDARD.encode(subject)),
    };
    let text = text.replace("\r\n", "\n").replace('\n', "\r\n");
    Some(format!(
        "From: {from}\r\nTo: {}\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\r\n{text}",
        to.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(to: &str, subject: &str) -> Value {
        let simple = json!({ "Subject": { "Data": subject }, "Body": { "Text": { "Data": "One\nTwo\n" } } });
        let destination = json!({ "ToAddresses": [to] });
        json!({ "FromEmailAddress": "a@b.example", "Destination": destination, "Content": { "Simple": simple } })
    }

    #[test]
    fn a_mail_is_written_as_a_file_and_no_header_is_smuggled_in() {
        let written = mail(&asked("c@d.example", "Héllo")).unwrap();
        assert!(
            written.starts_with("From: a@b.example\r\nTo: c@d.example\r\nSubject: =?utf-8?b?SMOpbGxv?=\r\n")
        );
        assert!(written.ends_with("\r\n\r\nOne\r\nTwo\r\n"), "{written}");
        for (to, subject) in
            [("ü@d.example", "x"), ("c@d.example\r\nBcc: e@f.example", "x"), ("c@d.example", "x\nBcc: y")]
        {
            assert_eq!(mail(&asked(to, subject)), None, "{to:?} {subject:?}");
        }
        assert_eq!(mail(&json!({})), None);
    }
}
