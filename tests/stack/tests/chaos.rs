//! Exactly once, whatever is killed, repeated or lost: every such run must end as an undisturbed one.

mod kill;
mod lose;
pub mod outcome;
mod repeat;

use std::fmt::Write as _;

use account::Scope;
use local::{Stack, StackOptions};
use tokio::sync::OnceCell;

use crate::support::{App, start};
use outcome::Outcome;

/// Rows of the list; five chunks.
const ROWS: usize = 20_000;
/// Different addresses among them, fewer than the signup grant has credits.
const ADDRESSES: usize = 8_000;

/// A list of every kind of domain in the zone, slow ones and dead ones too, with duplicates near and far, other spellings,
/// and rows that cannot be read.
fn list() -> Vec<u8> {
    let mut csv = "id,e-mail,note\r\n".to_owned();
    for row in 0..ROWS {
        // Not in order, so that duplicates stand in the same chunk and in others.
        let n = row * 7 % ADDRESSES;
        let domain = match n % 20 {
            0..=4 => "gmail.com".to_owned(),
            5 | 6 => "outlook.com".to_owned(),
            7 => "yahoo.co.uk".to_owned(),
            8..=11 => format!("c{}.corp.example", n % 150),
            12 => format!("w{}.workspace.example", n % 40),
            13 => format!("s{}.slow.example", n % 30),
            14 => format!("d{}.down.example", n % 25),
            15 => format!("p{}.parked.example", n % 25),
            16 => format!("nowhere{}.test", n % 25),
            17 => "mailinator.com".to_owned(),
            18 => "gmial.com".to_owned(),
            _ => format!("a{}.shop.example", n % 25),
        };
        let local = if n.is_multiple_of(11) { format!("Info.{n}") } else { format!("user{n}") };
        match row % 1000 {
            111 => writeln!(csv, "{row},,empty\r").unwrap(),
            222 => writeln!(csv, "{row}\r").unwrap(),
            333 => writeln!(csv, "{row},not an address,=1+1\r").unwrap(),
            r if r % 3 == 0 => writeln!(csv, "{row},{}@{domain},x\r", local.to_uppercase()).unwrap(),
            _ => writeln!(csv, "{row},{local}@{domain},\"a, b\"\r").unwrap(),
        }
    }
    csv.into_bytes()
}

/// A stack of the test's own. However busy the machine is, no name server's answer comes too late: that would be `unknown`.
async fn patient(change: impl FnOnce(&mut StackOptions)) -> Stack {
    start(|options| {
        options.env.insert("DNS_SECONDS".to_owned(), "60".to_owned());
        change(options);
    })
    .await
}

async fn customer(stack: &Stack) -> App {
    App::on(stack, &[Scope::Verify, Scope::Read, Scope::Credits]).await
}

/// Sends the list to an upload link of its own; the task.
async fn upload(app: &App) -> String {
    app.upload("contacts.csv", list()).await
}

/// What an undisturbed run of the list ends in, on a stack where nothing else happens.
async fn undisturbed() -> &'static Outcome {
    static OUTCOME: OnceCell<Outcome> = OnceCell::const_new();
    OUTCOME
        .get_or_init(|| async {
            let stack = patient(|_| {}).await;
            let app = customer(&stack).await;
            let id = upload(&app).await;
            let outcome = Outcome::of(&app, &id).await;
            assert_eq!(outcome.task["state"], "completed");
            assert_eq!(outcome.task["rows"], ROWS);
            stack.stop().await;
            outcome
        })
        .await
}
