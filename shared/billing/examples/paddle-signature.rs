//! Checks and makes signatures as the door does, for `tests/payments/paddle-sdks`: a JSON object a line in, a line out.
//!
//! `{"secrets": […], "header": "…", "body": "…", "now": …}` is answered with `ok` or why not; without a header, with one.

use std::io::{BufRead as _, Write as _};

use billing::paddle::{sign, verify};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

#[derive(serde::Deserialize)]
struct Asked {
    secrets: Vec<String>,
    header: Option<String>,
    body: String,
    now: i64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let Asked { secrets, header, body, now } = serde_json::from_str(&line?)?;
        let secrets: Vec<SecretString> = secrets.into_iter().map(Into::into).collect();
        let now = Timestamp::from_second(now)?;
        let answer = match (header, secrets.first()) {
            (Some(header), _) => {
                let checked =
                    verify(Some(&header), body.as_bytes(), &secrets, SignedDuration::from_secs(5), now);
                checked.map_or_else(|why| why.to_string(), |()| "ok".to_owned())
            }
            (None, Some(secret)) => sign(secret, now, body.as_bytes()),
            (None, None) => "no secret".to_owned(),
        };
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}
