//! How often a user and an address may ask (P13). Each test has a stack with low limits of its own; a day is the window, so that
//! none ends in the middle of a test.

use std::collections::BTreeMap;

use account::{Role, Scope};
use futures::future::join_all;
use local::Stack;
use local_gate::{Fault, Rule};
use local_parties::PADDLE_PRICES;
use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, App, run, start};

async fn limited(limits: &str) -> Stack {
    // What a test is not about stays out of its way.
    let mut all =
        "standard=1000000/60,standard-ip=1000000/60,strict=1000000/60,strict-ip=240000/60,".to_owned();
    all.push_str(limits);
    start(|options| {
        options.env.insert("RATE_LIMITS".to_owned(), all);
    })
    .await
}

/// The members of a policy in a `RateLimit` field.
fn standing(answer: &Answer, policy: &str) -> Option<BTreeMap<String, u64>> {
    let field = answer.header("ratelimit")?;
    let item = field.split(", ").find_map(|item| item.strip_prefix(&format!("\"{policy}\";")))?;
    Some(
        item.split(';')
            .map(|m| m.split_once('=').unwrap())
            .map(|(n, v)| (n.into(), v.parse().unwrap()))
            .collect(),
    )
}

#[track_caller]
fn refused(answer: &Answer, policy: &str) {
    let problem = answer.expect(429);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{problem}");
    assert_eq!(problem["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
    assert_eq!(problem["violated-policies"], json!([policy]));
    let standing = standing(answer, policy).unwrap();
    assert_eq!(standing["r"], 0);
    let after: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=86_400).contains(&after) && after >= standing["t"], "{after} {standing:?}");
}

fn by_status(answers: &[Answer]) -> BTreeMap<u16, usize> {
    let mut counts = BTreeMap::new();
    for answer in answers {
        *counts.entry(answer.status).or_default() += 1;
    }
    counts
}

#[test]
fn strict_requests_of_a_user_are_counted_exactly_over_all_sandboxes_and_keys() {
    run(async {
        let stack = limited("strict=60/86400").await;
        let app = App::on(&stack, &[Scope::Verify, Scope::Read, Scope::Credits, Scope::Keys]).await;
        let other_key = app.narrowed(&["verify"]).await;
        let body = json!({ "email": "ada@gmail.com" });
        // At once, so that several sandboxes count.
        let answers =
            join_all((0..90).map(|n| if n % 2 == 0 { &app } else { &other_key }.post("/v1/verify", &body)))
                .await;
        assert_eq!(by_status(&answers), [(200, 60), (429, 30)].into(), "{answers:?}");
        assert!(
            stack.lambda().sandboxes().iter().filter(|s| s.function == "verify-check-address").count() > 1
        );
        for answer in answers.iter().filter(|a| a.status == 429) {
            refused(answer, "strict");
        }
        // What was refused cost nothing, and reading goes on.
        assert_eq!(app.balance().await["spent"], 60);
        // Somebody else has a quota of their own.
        let other = App::on(&stack, &[Scope::Verify]).await;
        let answer = other.post("/v1/verify", &body).await;
        answer.expect(200);
        assert_eq!(standing(&answer, "strict").unwrap()["r"], 59);
        assert_eq!(
            answer.header("ratelimit-policy"),
            Some(r#""strict";q=60;w=86400, "strict-ip";q=240000;w=60"#)
        );
        stack.stop().await;
    });
}

#[test]
fn a_user_gets_all_of_a_quota_that_sandboxes_share_and_little_more() {
    run(async {
        let stack = limited("standard=100/86400").await;
        let app = App::on(&stack, &[Scope::Read, Scope::Credits]).await;
        let answers = join_all((0..260).map(|_| app.get("/v1/account/credits"))).await;
        let counts = by_status(&answers);
        // Ten sandboxes at most, each of which may have four requests that the others do not know of.
        assert!((100..=140).contains(&counts[&200]) && counts[&200] + counts[&429] == 260, "{counts:?}");
        for answer in answers.iter().filter(|a| a.status == 429) {
            refused(answer, "standard");
        }
        stack.stop().await;
    });
}

#[test]
fn an_address_is_limited_whoever_asks_and_before_any_key_is_looked_at() {
    run(async {
        let stack = limited("standard-ip=10/86400").await;
        let (ann, bob) = (App::on(&stack, &[Scope::Credits]).await, App::on(&stack, &[Scope::Credits]).await);
        for _ in 0..4 {
            ann.get("/v1/account/credits").await.expect(200);
            bob.get("/v1/account/credits").await.expect(200);
        }
        // A header that says otherwise changes nothing.
        let guess = || {
            let request = ann.anonymous(Method::GET, "/v1/account/credits").header("x-api-key", "pwk_guess");
            ann.send(request.header("x-forwarded-for", "198.51.100.7"))
        };
        guess().await.problem(401, "unauthenticated");
        guess().await.problem(401, "unauthenticated");
        refused(&guess().await, "standard-ip");
        refused(&ann.get("/v1/account/credits").await, "standard-ip");
        stack.stop().await;
    });
}

#[test]
fn what_anyone_may_ask_is_limited_by_address_too() {
    run(async {
        let stack = limited("standard-ip=3/86400").await;
        let app = App::on(&stack, &[Scope::Credits]).await;
        for left in [2, 1, 0] {
            let answer = app.get("/openapi.json").await;
            answer.expect(200);
            assert_eq!(answer.header("ratelimit-policy"), Some(r#""standard-ip";q=3;w=86400"#));
            assert_eq!(standing(&answer, "standard-ip").unwrap()["r"], left);
        }
        refused(&app.get("/openapi.json").await, "standard-ip");
        stack.stop().await;
    });
}

#[test]
fn a_client_that_waits_as_told_gets_on() {
    run(async {
        let stack = limited("strict=2/1").await;
        let app = App::on(&stack, &[Scope::Verify, Scope::Credits]).await;
        let body = json!({ "email": "ada@gmail.com" });
        let (mut done, mut waited) = (0, 0);
        while done < 7 {
            let answer = app.post("/v1/verify", &body).await;
            if answer.status == 429 {
                let after = answer.header("retry-after").unwrap().parse().unwrap();
                assert!(after >= 1);
                waited += 1;
                tokio::time::sleep(std::time::Duration::from_secs(after)).await;
            } else {
                answer.expect(200);
                done += 1;
            }
            assert!(waited < 100, "only {done} of seven");
        }
        assert!(waited >= 1, "seven requests within one window of two");
        assert_eq!(app.balance().await["spent"], 7);
        stack.stop().await;
    });
}

#[test]
fn what_cannot_be_counted_passes_if_it_reads_and_not_if_it_spends() {
    run(async {
        // Every request is told to the table.
        let stack = limited("standard=10/86400,strict=10/86400").await;
        let scopes: Vec<Scope> = Role::Owner.scopes().into_iter().collect();
        let app = App::on(&stack, &scopes).await;
        // The key's last use is written once an hour, by whoever comes first.
        app.get("/v1/account/credits").await.expect(200);
        let before = app.belongings().await;
        let email = json!({ "email": "ada@gmail.com" });
        let uncounted = |function: &str| {
            // The first call is for the key. The second is the counter's, and the SDK makes it three times.
            let function = function.to_owned();
            stack.gate().arm(Rule { function, nth: 2, times: 3, fault: Fault::Fail })
        };
        for (function, path, body) in [
            ("verify-check-address", "/v1/verify", email.clone()),
            ("verify-create-task", "/v1/verification/tasks", json!({ "emails": ["ada@gmail.com"] })),
            ("verify-create-upload", "/v1/verification/uploads", json!({ "file_name": "a.csv", "size": 23 })),
            (
                "billing-create-checkout",
                "/v1/payments/paddle/checkout",
                json!({ "price_id": PADDLE_PRICES[0].0 }),
            ),
            ("billing-initiate-payment", "/v1/payments/payfast/initiate", json!({ "amount": 1000 })),
        ] {
            let armed = uncounted(function);
            app.post(path, &body).await.problem(503, "unavailable");
            assert!(armed.hit(), "{function}");
        }
        let armed = uncounted("billing-get-credits");
        app.get("/v1/account/credits").await.expect(200);
        assert!(armed.hit());
        assert_eq!(app.belongings().await, before, "nothing was spent");
        app.post("/v1/verify", &email).await.expect(200);
        stack.stop().await;
    });
}
