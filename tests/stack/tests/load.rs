//! Many clients at once with a realistic mix: nothing lost, nothing twice, nothing broken; and under low limits everything gets done by
//! clients that wait as told (P13, P21). `cargo run --release -p bench -- load` does the same for longer and measures.

use std::time::Duration;

use account::Scope;
use futures::future::join_all;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::support::{Answer, App, run, start};

/// Clients at once.
const CLIENTS: usize = 6;

/// What one client did.
#[derive(Default)]
struct Done {
    tasks: Vec<String>,
    charged: u64,
    limited: usize,
}

/// Sends until it is not refused for its rate, and waits in between as long as it is told.
async fn patiently(app: &App, done: &mut Done, request: impl Fn() -> RequestBuilder) -> Answer {
    for _ in 0..100 {
        let answer = app.send(request()).await;
        assert!(answer.status < 500, "{answer:?}");
        if answer.status != 429 {
            return answer;
        }
        assert!(answer.header("ratelimit").is_some_and(|field| field.contains(";r=0;t=")), "{answer:?}");
        assert!(answer.header("ratelimit-policy").is_some());
        let after: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=2).contains(&after), "{after}");
        done.limited += 1;
        tokio::time::sleep(Duration::from_secs(after)).await;
    }
    panic!("a hundred refusals for one request");
}

/// Reads, single checks, pasted lists and uploads, in turn.
async fn client(app: &App, number: usize, rounds: usize) -> Done {
    let mut done = Done::default();
    for round in 0..rounds {
        for path in ["/v1/account/credits", "/v1/verification/tasks?limit=5", "/v1/usage"] {
            patiently(app, &mut done, || app.request(reqwest::Method::GET, path)).await.expect(200);
        }
        let address = format!("client{number}.{round}@gmail.com");
        let check = json!({ "email": address });
        let checked =
            patiently(app, &mut done, || app.request(reqwest::Method::POST, "/v1/verify").json(&check)).await;
        done.charged += checked.expect(200)["credits_charged"].as_u64().unwrap();
        let list = json!({ "emails": [address, "ada@gmail.com", "ada@gmail.com", "no address"] });
        let path = "/v1/verification/tasks";
        let made = patiently(app, &mut done, || app.request(reqwest::Method::POST, path).json(&list)).await;
        done.tasks.push(made.expect(202)["id"].as_str().unwrap().to_owned());
        if round % 3 == number % 3 {
            let file = format!("email\n{address}\nbob@gmail.com\n");
            let new = json!({ "file_name": "list.csv", "size": file.len() });
            let path = "/v1/verification/uploads";
            let link =
                patiently(app, &mut done, || app.request(reqwest::Method::POST, path).json(&new)).await;
            let link = link.expect(201);
            assert_eq!(app.put(&link, file).await.status, 200);
            done.tasks.push(link["task"]["id"].as_str().unwrap().to_owned());
        }
    }
    done
}

/// Each task came to its end once, and the credits are those of the tasks and checks.
async fn all_accounted_for(app: &App, all: &[Done]) {
    let mut charged: u64 = all.iter().map(|done| done.charged).sum();
    let mut ids: Vec<&String> = all.iter().flat_map(|done| &done.tasks).collect();
    for id in &ids {
        let mut waiting = Done::default();
        let path = format!("/v1/verification/tasks/{id}");
        let task: Value = loop {
            let answer = patiently(app, &mut waiting, || app.request(reqwest::Method::GET, &path)).await;
            let task = answer.expect(200);
            if task["state"] == "completed" {
                break task;
            }
            assert!(
                ["awaiting_upload", "queued", "running"].contains(&task["state"].as_str().unwrap()),
                "{task}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let path = format!("{path}/events");
        let events =
            patiently(app, &mut waiting, || app.request(reqwest::Method::GET, &path)).await.expect(200);
        let ends = events["data"].as_array().unwrap().iter();
        let ends = ends.filter(|event| event["kind"] == "verification.task.completed").count();
        assert_eq!(ends, 1, "{events}");
        charged += task["credits"]["charged"].as_u64().unwrap();
    }
    let accepted = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), accepted);
    let credits =
        patiently(app, &mut Done::default(), || app.request(reqwest::Method::GET, "/v1/account/credits"))
            .await;
    let balance = credits.expect(200)["balance"].clone();
    assert_eq!((balance["spent"].as_u64(), balance["held"].as_u64()), (Some(charged), Some(0)), "{balance}");
}

#[test]
fn many_clients_at_once_lose_nothing_and_pay_exactly() {
    run(async {
        let stack = start(|_| {}).await;
        let app = App::on(&stack, &[Scope::Verify, Scope::Read, Scope::Credits]).await;
        let all = join_all((0..CLIENTS).map(|number| client(&app, number, 4))).await;
        assert_eq!(all.iter().map(|done| done.limited).sum::<usize>(), 0);
        assert!(all.iter().all(|done| done.tasks.len() >= 5));
        all_accounted_for(&app, &all).await;
        stack.stop().await;
    });
}

#[test]
fn under_low_limits_clients_that_wait_as_told_get_everything_done() {
    run(async {
        let stack = start(|options| {
            let limits = "standard=20/2,strict=4/2,standard-ip=1000000/60,strict-ip=1000000/60";
            options.env.insert("RATE_LIMITS".to_owned(), limits.to_owned());
        })
        .await;
        let app = App::on(&stack, &[Scope::Verify, Scope::Read, Scope::Credits]).await;
        let all = join_all((0..CLIENTS).map(|number| client(&app, number, 2))).await;
        assert!(all.iter().map(|done| done.limited).sum::<usize>() > 0, "nobody met a limit");
        all_accounted_for(&app, &all).await;
        stack.stop().await;
    });
}
