//! `Idempotency-Key`: a repeat gets the same answer and has no second effect (P14).

use futures::future::join_all;
use reqwest::{Method, header::HeaderValue};
use serde_json::{Value, json};

use crate::support::{Answer, App, Operator, run, stack, until};

const TASKS: &str = "/v1/verification/tasks";

#[test]
fn a_repeat_is_answered_the_same_and_made_once_even_when_the_balance_is_spent() {
    run(async {
        let app = App::new().await;
        let bodies = [
            (TASKS, json!({ "emails": ["ada@gmail.com", "bob@gmail.com"] })),
            ("/v1/verification/uploads", json!({ "file_name": "a.csv", "size": 23 })),
            ("/v1/verify", json!({ "email": "ada@gmail.com" })),
        ];
        let mut first = Vec::new();
        for (at, (path, body)) in bodies.iter().enumerate() {
            first.push(app.post_once(path, &format!("request-{at}"), body).await);
        }
        app.finished(first[0].json()["id"].as_str().unwrap()).await;
        Operator::of(stack()).leave(&app, 0).await;
        let before = app.belongings().await;
        for (at, (path, body)) in bodies.iter().enumerate() {
            let again = app.post_once(path, &format!("request-{at}"), body).await;
            assert!((200..300).contains(&again.status), "{again:?}");
            assert_eq!((again.status, &again.body), (first[at].status, &first[at].body), "{path}");
            assert_eq!(again.header("location"), first[at].header("location"), "{path}");
        }
        assert_eq!(app.belongings().await, before, "one effect");
        app.post_once(TASKS, "request-other", &bodies[0].1).await.problem(402, "insufficient-credits");
    });
}

#[test]
fn a_key_used_for_another_request_is_refused() {
    run(async {
        let app = App::new().await;
        let body = json!({ "emails": ["ada@gmail.com"] });
        let id = app.post_once(TASKS, "the-one-key", &body).await.expect(202)["id"].clone();
        app.finished(id.as_str().unwrap()).await;
        let before = app.belongings().await;
        let other = json!({ "emails": ["bob@gmail.com"] });
        app.post_once(TASKS, "the-one-key", &other).await.problem(422, "idempotency-key-reused");
        let check = json!({ "email": "ada@gmail.com" });
        app.post_once("/v1/verify", "the-one-key", &check).await.problem(422, "idempotency-key-reused");
        let file = json!({ "file_name": "a.csv", "size": 23 });
        let reused = app.post_once("/v1/verification/uploads", "the-one-key", &file).await;
        reused.problem(422, "idempotency-key-reused");
        assert_eq!(app.belongings().await, before);
        assert_eq!(app.post_once(TASKS, "the-one-key", &body).await.expect(202)["id"], id, "still good");
    });
}

#[test]
fn a_refused_request_does_not_use_its_key_up() {
    run(async {
        let app = App::new().await;
        Operator::of(stack()).leave(&app, 0).await;
        let body = json!({ "email": "ada@gmail.com" });
        app.post_once("/v1/verify", "try-again-later", &body).await.problem(402, "insufficient-credits");
        Operator::of(stack()).grant(&app, &format!("more for {}", app.workspace), 5).await;
        app.post_once("/v1/verify", "try-again-later", &body).await.expect(200);
        assert_eq!(app.balance().await["available"], 4);
    });
}

#[test]
fn a_check_whose_credit_is_spent_meanwhile_says_so_and_keeps_no_claim_on_its_key() {
    run(async {
        let app = App::new().await;
        Operator::of(stack()).leave(&app, 1).await;
        // Each domain is answered late, so that all of them have seen the one credit before any of them spends it.
        let check = |n: usize, name: &str| {
            let (app, body) = (&app, json!({ "email": format!("{name}@credit-{n}.slow.example") }));
            async move { app.post_once("/v1/verify", &format!("spent-meanwhile-{n}"), &body).await }
        };
        let answers = join_all((0..6).map(|n| check(n, "ada"))).await;
        let (spent, refused): (Vec<&Answer>, _) = answers.iter().partition(|answer| answer.status == 200);
        assert_eq!(spent.len(), 1, "{answers:?}");
        refused.iter().for_each(|answer| _ = answer.problem(402, "insufficient-credits"));
        assert_eq!(app.balance().await["available"], 0);
        Operator::of(stack()).grant(&app, &format!("more for {}", app.workspace), 5).await;
        for (n, first) in answers.iter().enumerate() {
            // A key under which nothing happened is free, for another request too.
            let again = check(n, if first.status == 200 { "ada" } else { "bob" }).await;
            again.expect(200);
            assert!(first.status != 200 || again.body == first.body, "{again:?}");
        }
        assert_eq!(app.balance().await["available"], 0);
    });
}

#[test]
fn while_the_first_request_is_being_answered_its_twin_is_told_to_wait() {
    run(async {
        let app = App::new().await;
        // Nobody answers for this domain, so the first request takes seconds.
        let body = json!({ "email": "ada@silent.test" });
        let send = || app.post_once("/v1/verify", "a-slow-one", &body);
        let (one, two) = tokio::join!(send(), send());
        let (answered, refused) = if one.status == 200 { (one, two) } else { (two, one) };
        refused.problem(409, "in-flight");
        let checked = answered.expect(200);
        assert_eq!((&checked["status"], &checked["sub_status"]), (&json!("unknown"), &json!("dns_timeout")));
        assert_eq!(send().await.body, answered.body, "and then gets the same answer");
        assert_eq!(app.balance().await["available"], 10_000, "an unknown is not charged");
    });
}

#[test]
fn a_malformed_key_is_refused() {
    run(async {
        let app = App::new().await;
        let before = app.belongings().await;
        let long = "k".repeat(129);
        let forms: [&[u8]; 9] = [
            b"",
            b"short",
            b"\"\"",
            b"has a space",
            b"\"unclosed-key",
            b"\"inner\"quote\"",
            b"k\xc3\xa9y-of-another-kind",
            long.as_bytes(),
            b"slash/and/more",
        ];
        for form in forms {
            let request = app.request(Method::POST, TASKS).json(&json!({ "emails": ["ada@gmail.com"] }));
            let answer =
                app.send(request.header("idempotency-key", HeaderValue::from_bytes(form).unwrap())).await;
            let shown = String::from_utf8_lossy(form).into_owned();
            assert_eq!(answer.status, 400, "{shown}: {answer:?}");
            let problem = answer.problem(400, "invalid-idempotency-key");
            assert_eq!(problem["errors"][0]["pointer"], "header:idempotency-key", "{shown}");
        }
        let twice = app.request(Method::POST, TASKS).json(&json!({ "emails": ["ada@gmail.com"] }));
        let twice =
            twice.header("idempotency-key", "key-number-one").header("idempotency-key", "key-number-two");
        app.send(twice).await.problem(400, "invalid-idempotency-key");
        assert_eq!(app.belongings().await, before);
    });
}

#[test]
fn a_quoted_key_is_the_same_as_a_bare_one() {
    run(async {
        let app = App::new().await;
        let body = json!({ "emails": ["ada@gmail.com"] });
        let mut ids: Vec<Value> = Vec::new();
        for form in [
            "8e03978e-40d5-43e8",
            "\"8e03978e-40d5-43e8\"",
            " 8e03978e-40d5-43e8 ",
            "\"8e03978e-40d5-43e8\";a=1",
        ] {
            ids.push(app.post_once(TASKS, form, &body).await.expect(202)["id"].clone());
        }
        assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
    });
}

#[test]
fn the_same_key_of_two_tenants_never_meets() {
    run(async {
        let (one, two) = (App::new().await, App::new().await);
        let body = json!({ "emails": ["ada@gmail.com"] });
        let first = one.post_once(TASKS, "shared-by-chance", &body).await.expect(202);
        let second = two.post_once(TASKS, "shared-by-chance", &body).await.expect(202);
        assert_ne!(first["id"], second["id"]);
        assert_eq!(second["workspace"], two.workspace.to_string());
        let other = json!({ "emails": ["bob@gmail.com", "eve@gmail.com"] });
        let reused = two.post_once(TASKS, "shared-by-chance", &other).await;
        reused.problem(422, "idempotency-key-reused");
    });
}

#[test]
fn twenty_requests_at_once_under_one_key_have_one_effect() {
    run(async {
        let app = App::new().await;
        let body = json!({ "emails": ["ada@gmail.com", "bob@gmail.com"] });
        let answers = join_all((0..20).map(|_| app.post_once(TASKS, "all-at-once", &body))).await;
        let ids: Vec<Value> = answers.iter().map(|a| a.expect(202)["id"].clone()).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        app.finished(ids[0].as_str().unwrap()).await;
        assert_eq!(app.all(TASKS, 50).await.len(), 1);
        assert_eq!(app.balance().await["available"], 9_998);

        let body = json!({ "email": "ada@gmail.com" });
        let send = || app.post_once("/v1/verify", "one-check-only", &body);
        let answers = join_all((0..20).map(|_| send())).await;
        let (done, waiting): (Vec<Answer>, Vec<Answer>) = answers.into_iter().partition(|a| a.status == 200);
        assert!(!done.is_empty() && done.iter().all(|a| a.body == done[0].body), "{done:?}");
        waiting.iter().for_each(|a| _ = a.problem(409, "in-flight"));
        assert_eq!(send().await.body, done[0].body);
        assert_eq!(app.balance().await["available"], 9_997, "charged once");
        until("one use is counted", || async {
            let usage = app.get("/v1/usage").await.expect(200);
            (usage["charged"] == 3).then_some(())
        })
        .await;
    });
}
