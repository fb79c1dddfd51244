//! Hello, and before it the two GetItem calls that an authenticated read makes, through the same client and undecoded:
//! what a read would take if nothing but its DynamoDB calls cost anything.

use aws::{Clients, Key, Table};
use lambda_http::{Error, Request, run, service_fn};
use serde::de::IgnoredAny;

/// The table and key that the variable `name` holds: table, partition key and sort key with a blank between.
fn place(clients: &Clients, name: &str) -> Result<(Table, Key), Error> {
    let text = std::env::var(name)?;
    let mut words = text.splitn(3, ' ');
    let mut word = || words.next().ok_or_else(|| Error::from(format!("{name} must hold a table and a key")));
    Ok((Table::new(clients, word()?), Key::new(word()?, word()?)))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let clients = Clients::new();
    let (first, second) = (place(&clients, "FIRST_READ")?, place(&clients, "SECOND_READ")?);
    let (first, second) = (&first, &second);
    run(service_fn(move |_: Request| async move {
        for (table, key) in [first, second] {
            table.get::<IgnoredAny>(key).await?.ok_or("the item is not there")?;
        }
        Ok::<_, Error>("hello")
    }))
    .await
}
