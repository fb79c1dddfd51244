//! What every answer carries: security headers, correlation ids, compression, cross-origin headers (P11, P18).

use std::io::Read as _;

use reqwest::Method;
use serde_json::json;

use crate::support::{App, run};

#[test]
fn every_answer_has_the_security_headers() {
    run(async {
        let app = App::new().await;
        let answers = [
            app.get("/v1/account/credits").await,
            app.get("/v1/verification/tasks/nonsense").await,
            app.get("/nowhere").await,
            app.holding("bad").get("/v1/usage").await,
            app.get("/openapi.json").await,
            app.get("/docs").await,
            app.post("/v1/verify", &json!({ "email": "ada@gmail.com" })).await,
        ];
        for answer in &answers {
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("referrer-policy", "no-referrer"),
                ("x-frame-options", "DENY"),
            ] {
                assert_eq!(answer.header(name), Some(value), "{answer:?}");
            }
            assert!(answer.header("strict-transport-security").is_some_and(|h| h.starts_with("max-age=")));
            assert!(
                answer.header("content-security-policy").is_some_and(|h| h.contains("default-src 'none'"))
            );
            assert!(answer.header("cache-control").is_some());
            assert!(answer.header("x-correlation-id").is_some());
        }
        assert_eq!(answers[0].header("cache-control"), Some("no-store"));
    });
}

#[test]
fn a_correlation_id_goes_in_comes_out_and_follows_the_work_to_its_end() {
    run(async {
        let app = App::new().await;
        let body = json!({ "emails": ["ada@gmail.com"] });
        let request = app.request(Method::POST, "/v1/verification/tasks").json(&body);
        let made = app.send(request.header("x-correlation-id", "order-4711.a:b_c")).await;
        assert_eq!(made.header("x-correlation-id"), Some("order-4711.a:b_c"));
        let id = made.expect(202)["id"].as_str().unwrap().to_owned();
        app.finished(&id).await;
        let events = app.all(&format!("/v1/verification/tasks/{id}/events"), 50).await;
        assert_eq!(events.len(), 4);
        for event in events {
            assert_eq!(event["correlation_id"], "order-4711.a:b_c", "{event}");
        }
    });
}

#[test]
fn a_correlation_id_that_a_log_could_not_carry_is_replaced() {
    run(async {
        let app = App::new().await;
        for bad in ["short", "has a space in it", "semi;colon;here", &"x".repeat(129)] {
            let request = app.request(Method::GET, "/v1/account/credits").header("x-correlation-id", bad);
            let answer = app.send(request).await;
            let given = answer.header("x-correlation-id").unwrap();
            assert!(given != bad && given.len() >= 8, "{given}");
        }
        let problem = app.get("/nowhere").await;
        assert_eq!(problem.json()["request_id"], problem.header("x-correlation-id").unwrap());
    });
}

#[test]
fn large_answers_are_compressed_as_the_caller_likes() {
    run(async {
        let app = App::new().await;
        let get = |accept: &'static str| {
            let request = app.anonymous(Method::GET, "/openapi.json").header("accept-encoding", accept);
            app.send(request)
        };
        let plain = get("identity").await;
        assert_eq!(plain.header("content-encoding"), None);
        let gzip = get("gzip").await;
        assert_eq!(gzip.header("content-encoding"), Some("gzip"));
        assert!(gzip.header("vary").is_some_and(|v| v.to_ascii_lowercase().contains("accept-encoding")));
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&gzip.body[..]).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, plain.body);
        assert!(gzip.body.len() < plain.body.len() / 3, "{} of {}", gzip.body.len(), plain.body.len());
        // Brotli is not spoken; whoever takes it takes gzip too.
        assert_eq!(get("br, gzip;q=0.5").await.header("content-encoding"), Some("gzip"));
        assert_eq!(get("br").await.header("content-encoding"), None);
        let small = app.request(Method::GET, "/v1/account/credits").header("accept-encoding", "gzip");
        assert_eq!(app.send(small).await.header("content-encoding"), None, "not worth it");
    });
}

#[test]
fn the_front_answers_preflights_and_lets_pages_of_ours_read() {
    run(async {
        let app = App::new().await;
        let preflight = |origin: &'static str| {
            let request = app.anonymous(Method::OPTIONS, "/v1/verification/tasks").header("origin", origin);
            let request = request.header("access-control-request-method", "POST");
            app.send(
                request.header("access-control-request-headers", "x-api-key,idempotency-key,content-type"),
            )
        };
        let ours = preflight("http://localhost:3000").await;
        assert_eq!(ours.status, 204);
        assert_eq!(ours.header("access-control-allow-origin"), Some("http://localhost:3000"));
        let allowed = ours.header("access-control-allow-headers").unwrap().to_ascii_lowercase();
        for name in ["x-api-key", "idempotency-key", "content-type", "x-correlation-id"] {
            assert!(allowed.contains(name), "{allowed}");
        }
        assert!(ours.header("access-control-allow-methods").unwrap().contains("POST"));
        let strange = preflight("https://evil.example").await;
        assert_eq!(strange.header("access-control-allow-origin"), None);

        let read = app.request(Method::GET, "/v1/account/credits").header("origin", "http://localhost:5173");
        let read = app.send(read).await;
        assert_eq!(read.header("access-control-allow-origin"), Some("http://localhost:5173"));
        assert!(read.header("access-control-expose-headers").unwrap().contains("X-Correlation-Id"));
        let refused = app.anonymous(Method::GET, "/v1/usage").header("origin", "http://localhost:5173");
        let refused = app.send(refused).await;
        refused.problem(401, "unauthenticated");
        assert_eq!(
            refused.header("access-control-allow-origin"),
            Some("http://localhost:5173"),
            "a page sees why"
        );
    });
}

#[test]
fn an_unknown_path_is_not_found_and_a_wrong_method_is_told_the_right_ones() {
    run(async {
        let app = App::new().await;
        for path in ["/", "/v1", "/v2/verify", "/v1/verify/", "/v1/verification/tasks/x/y/z", "/v1//verify"] {
            app.get(path).await.problem(404, "not-found");
        }
        for (method, path, allow) in [
            ("DELETE", "/v1/verification/tasks", "GET, POST"),
            ("PUT", "/v1/verify", "POST"),
            ("GET", "/v1/verify", "POST"),
            ("POST", "/v1/usage", "GET"),
            ("GET", "/v1/verification/tasks/tsk_01j9z3k5m8n2p4q6r7s8t9v0wx/cancel", "POST"),
            ("PATCH", "/v1/api-keys/key_01j9z3k5m8n2p4q6r7s8t9v0wx", "DELETE"),
        ] {
            let answer = app.send(app.request(method.parse().unwrap(), path)).await;
            answer.problem(405, "method-not-allowed");
            let mut given: Vec<_> = answer.header("allow").unwrap().split(", ").collect();
            given.sort_unstable();
            assert_eq!(given.join(", "), allow, "{method} {path}");
        }
    });
}
