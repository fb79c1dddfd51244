//! What authentication adds to a request: the same answer for anyone, and for who shows a key or a token.

use std::time::Instant;

use account::Scope;
use clap::Args;
use local::{Profile, accounts::Accounts, functions::binary_folder, identity};
use local_parties::Signer;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::json;

use crate::{
    Outcome, api,
    report::{self, Table, quantile},
    root,
};

/// The functions whose places are taken, their routes, and by what.
const OPEN: (&str, &str, &str) = ("ops-get-docs", "/docs", "bench-open");
const GUARDED: (&str, &str, &str) = ("account-get-me", "/v1/me", "bench-guarded");
/// What hears of the user whom the first token makes.
const DISPATCHER: &str = "ops-dispatch-events";
/// Limits that nothing here comes near.
const LIMITS: &str = "standard=1000000/60,strict=1000000/60,standard-ip=1000000/60,strict-ip=1000000/60";

#[derive(Args)]
pub struct Options {
    /// Requests of each kind.
    #[arg(long, default_value_t = 2000)]
    requests: usize,
    /// Leave docs/benchmarks.md as it is.
    #[arg(long)]
    dry: bool,
}

pub fn run(options: &Options) -> Outcome<bool> {
    let root = root();
    println!("Building the functions …");
    api::build_compared(&root, &[OPEN.2, GUARDED.2], &[DISPATCHER])?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let text = runtime.block_on(measure(options))?;
    println!("\n{text}");
    if !options.dry {
        report::write(&root, "auth", &text)?;
    }
    Ok(true)
}

async fn measure(options: &Options) -> Outcome<String> {
    let (root, mut places) = (root(), Vec::new());
    for (function, _, binary) in [OPEN, GUARDED] {
        places.push((function.to_owned(), binary_folder(&root, Profile::Release).join(binary)));
    }
    let stack = api::stack(&root, |stack| {
        stack.only = Some([OPEN.0, GUARDED.0, DISPATCHER].map(str::to_owned).into());
        stack.binaries.extend(places);
        stack.env.insert("RATE_LIMITS".to_owned(), LIMITS.to_owned());
    })
    .await?;
    let key = Accounts::of(&stack)?.create("bench", &[Scope::Read]).await?.key.token;
    let (issuer, now) = (stack.issuer(), jiff::Timestamp::now().as_second());
    let claims = json!({ "iss": issuer.url(), "aud": identity::AUDIENCE, "sub": "bench", "iat": now, "exp": now + 3600 });
    let elliptic = issuer.sign(Signer::Es256, &claims);
    let rsa = issuer.sign(Signer::Rs256, &identity::claims("bench", 3600));

    let client = Client::new();
    let get = |path: &str| client.request(Method::GET, format!("{}{path}", stack.base_url()));
    let kinds: [(&str, RequestBuilder); 4] = [
        ("nothing, for anyone", get(OPEN.1)),
        ("an API key", get(GUARDED.1).header("x-api-key", key)),
        ("a token signed by ES256", get(GUARDED.1).bearer_auth(elliptic)),
        ("a token signed by RS256", get(GUARDED.1).bearer_auth(rsa)),
    ];
    let mut took = vec![Vec::with_capacity(options.requests); kinds.len()];
    // In turn, so that a busy moment falls on all. The first of each pays for a cold start, keys and a user; it is not counted.
    for turn in 0..=options.requests {
        for ((name, request), took) in kinds.iter().zip(&mut took) {
            let request = request.try_clone().ok_or("a request that cannot be sent twice")?;
            let from = Instant::now();
            let answer = request.send().await?;
            let (status, body) = (answer.status(), answer.text().await?);
            if !status.is_success() || body != "\"done\"" {
                return Err(format!("{name}: {status}: {body}").into());
            }
            if turn > 0 {
                took.push(from.elapsed().as_secs_f64() * 1000.0);
            }
        }
    }
    stack.stop().await;
    let open = quantile(&took[0], 0.5);
    let mut table = Table::new(["what the request shows", "p50 ÷ that of nothing"]);
    for ((name, _), took) in kinds.iter().zip(&took) {
        table.row([(*name).to_owned(), format!("{:.2}", quantile(took, 0.5) / open)]);
    }
    Ok(table.text())
}
