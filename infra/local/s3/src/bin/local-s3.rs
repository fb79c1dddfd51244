//! `local-s3 DIR ADDRESS [BUCKET…]`: the server alone, with the access key `local` and the secret `local-secret`.

use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(dir), Some(address)) = (arguments.next(), arguments.next()) else {
        return Err("usage: local-s3 DIR ADDRESS [BUCKET…]".into());
    };
    let listener = tokio::net::TcpListener::bind(address).await?;
    let credentials = [("local".to_owned(), "local-secret".to_owned())];
    let options = local_s3::Options::new(&dir, "us-east-1", credentials);
    let server = local_s3::S3Server::start(listener, options).await?;
    for bucket in arguments {
        server.create_bucket(&bucket).await?;
    }
    // Whoever started this with port 0 finds the address here once it answers.
    std::fs::write(std::path::Path::new(&dir).join("endpoint"), server.endpoint())?;
    tokio::signal::ctrl_c().await?;
    server.shutdown().await;
    Ok(())
}
