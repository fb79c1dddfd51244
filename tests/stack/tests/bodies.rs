//! Bodies that cannot be used: each is refused with where and why, and leaves nothing behind.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, App, run};

/// Routes that take a body, each with one that is good.
fn good() -> [(&'static str, Value); 4] {
    [
        ("/v1/verify", json!({ "email": "ada@gmail.com" })),
        ("/v1/verification/tasks", json!({ "emails": ["ada@gmail.com"] })),
        ("/v1/verification/uploads", json!({ "file_name": "a.csv", "size": 23 })),
        ("/v1/api-keys", json!({ "name": "n", "scopes": ["read"] })),
    ]
}

async fn raw(app: &App, path: &str, media: &str, body: impl Into<reqwest::Body>) -> Answer {
    app.send(app.request(Method::POST, path).header("content-type", media).body(body)).await
}

#[test]
fn what_is_no_json_object_is_refused() {
    run(async {
        let app = App::new().await;
        let before = app.belongings().await;
        for (path, body) in good() {
            let deep = format!("{{\"x\":{}", "[".repeat(5_000));
            let bodies: Vec<Vec<u8>> = vec![
                b"".to_vec(),
                b"hello".to_vec(),
                b"{".to_vec(),
                b"null".to_vec(),
                b"7".to_vec(),
                b"\"text\"".to_vec(),
                b"[]".to_vec(),
                b"{\"email\":\"\xff\xfe\"}".to_vec(),
                b"{\"email\":\"\\ud800\"}".to_vec(),
                deep.into_bytes(),
                format!("{body} {body}").into_bytes(),
                format!("{body}]").into_bytes(),
                body.to_string().trim_end_matches('}').as_bytes().to_vec(),
                // The members' values without their names.
                json!(body.as_object().unwrap().values().collect::<Vec<_>>()).to_string().into_bytes(),
            ];
            for bad in bodies {
                let shown = String::from_utf8_lossy(&bad[..bad.len().min(80)]).into_owned();
                let answer = raw(&app, path, "application/json", bad).await;
                assert_eq!(answer.status, 400, "{path} {shown}: {answer:?}");
                let problem = answer.problem(400, "invalid-body");
                assert!(problem["errors"][0]["pointer"].is_string(), "{shown}: {problem}");
            }
        }
        assert_eq!(app.belongings().await, before);
        assert_eq!(app.all("/v1/api-keys", 50).await.len(), 1);
    });
}

#[test]
fn members_of_the_wrong_type_or_name_are_pointed_at() {
    run(async {
        let app = App::new().await;
        let before = app.belongings().await;
        let file = json!({ "file_name": "a.csv", "size": 23 });
        let with = |name: &str, value: Value| {
            let mut body = file.clone();
            body[name] = value;
            body
        };
        for (path, body, pointer) in [
            ("/v1/verify", json!({ "email": 7 }), "#/email"),
            ("/v1/verify", json!({ "email": null }), "#/email"),
            ("/v1/verify", json!({ "email": "x".repeat(1001) }), "#/email"),
            ("/v1/verification/tasks", json!({ "emails": "ada@gmail.com" }), "#/emails"),
            ("/v1/verification/tasks", json!({ "emails": ["ada@gmail.com", 7] }), "#/emails/1"),
            ("/v1/verification/tasks", json!({ "emails": ["a@gmail.com"], "name": ["x"] }), "#/name"),
            ("/v1/verification/tasks", json!({ "emails": ["a@gmail.com"], "name": "bell\u{7}" }), "#/name"),
            ("/v1/verification/tasks", json!({ "emails": ["a@gmail.com"], "name": "\u{9f}" }), "#/name"),
            (
                "/v1/verification/tasks",
                json!({ "emails": ["a@gmail.com"], "name": "n".repeat(201) }),
                "#/name",
            ),
            ("/v1/verification/uploads", with("size", json!(-1)), "#/size"),
            ("/v1/verification/uploads", with("size", json!(1.5)), "#/size"),
            ("/v1/verification/uploads", with("size", json!("23")), "#/size"),
            ("/v1/verification/uploads", with("column", json!(true)), "#/column"),
            ("/v1/verification/uploads", with("delimiter", json!(",,")), "#/delimiter"),
            ("/v1/verification/uploads", with("has_header", json!("yes")), "#/has_header"),
            ("/v1/verification/uploads", with("file_name", json!("")), "#/file_name"),
            ("/v1/verification/uploads", with("file_name", json!("a\n.csv")), "#/file_name"),
        ] {
            let problem = app.post(path, &body).await.problem(400, "invalid-body");
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{path} {problem}");
        }
        for (path, mut body) in good() {
            body["colour"] = json!("red");
            let problem = app.post(path, &body).await.problem(400, "invalid-body");
            assert!(problem["errors"][0]["detail"].as_str().unwrap().contains("colour"), "{problem}");
            let twice = body.to_string().replace("\"colour\":\"red\"", "");
            let twice = twice.replace("{,", "{").replace(",}", "}").replace(",,", ",");
            let twice = format!("{},{}", twice.trim_end_matches('}'), twice.trim_start_matches('{'));
            raw(&app, path, "application/json", twice).await.problem(400, "invalid-body");
        }
        assert_eq!(app.belongings().await, before);
    });
}

#[test]
fn a_body_that_is_not_declared_as_json_is_refused() {
    run(async {
        let app = App::new().await;
        let before = app.belongings().await;
        for (path, body) in good() {
            for media in
                ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "text/json", ""]
            {
                raw(&app, path, media, body.to_string()).await.problem(415, "unsupported-media-type");
            }
            let bare = app.request(Method::POST, path).body(body.to_string());
            app.send(bare).await.problem(415, "unsupported-media-type");
        }
        assert_eq!(app.belongings().await, before);
        for media in ["application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.api+json"] {
            let body = json!({ "email": "ada@gmail.com" }).to_string();
            raw(&app, "/v1/verify", media, body).await.expect(200);
        }
    });
}

#[test]
fn a_body_above_the_limits_is_refused_by_the_function_or_by_the_gateway() {
    run(async {
        let app = App::new().await;
        let before = app.belongings().await;
        let padded = |octets: usize| {
            let body = json!({ "emails": ["ada@gmail.com"] }).to_string();
            format!("{body}{}", " ".repeat(octets - body.len()))
        };
        let path = "/v1/verification/tasks";
        let problem =
            raw(&app, path, "application/json", padded(4_500_001)).await.problem(413, "body-too-large");
        assert!(problem["detail"].as_str().unwrap().contains("/v1/verification/uploads"), "{problem}");
        // Above what a Lambda event carries (6 MB) and what the gateway takes (10 MB), no function of ours is asked.
        for octets in [6_500_000, 10 * 1024 * 1024 + 1] {
            let answer = raw(&app, path, "application/json", padded(octets)).await;
            assert_eq!(answer.expect(413), json!({ "message": "Request Entity Too Large" }));
        }
        assert_eq!(app.belongings().await, before);
        raw(&app, path, "application/json", padded(4_500_000)).await.expect(202);
    });
}

#[test]
fn an_empty_list_and_one_that_is_too_long_are_refused() {
    run(async {
        let app = App::new().await;
        let before = app.belongings().await;
        let path = "/v1/verification/tasks";
        let problem = app.post(path, &json!({ "emails": [] })).await.problem(422, "empty-list");
        assert_eq!(problem["errors"][0]["pointer"], "#/emails");
        let problem = app.post(path, &json!({ "emails": vec!["a@gmail.com"; 100_001] })).await;
        let problem = problem.problem(422, "too-many-rows");
        assert_eq!(problem["limit"], 100_000);
        assert!(
            problem["detail"].as_str().unwrap().contains("1000000"),
            "says what a file can have: {problem}"
        );
        assert_eq!(app.belongings().await, before);
    });
}

#[test]
fn an_upload_that_could_never_be_read_is_refused_before_it_is_sent() {
    run(async {
        let app = App::new().await;
        let before = app.belongings().await;
        let path = "/v1/verification/uploads";
        for name in ["list.pdf", "list", "list.xls", ".", "list.csv.exe"] {
            let answer = app.post(path, &json!({ "file_name": name, "size": 23 })).await;
            assert!(answer.problem(422, "unreadable-file")["reason"].is_string(), "{answer:?}");
        }
        app.post(path, &json!({ "file_name": "a.csv", "size": 0 })).await.problem(422, "unreadable-file");
        for (name, limit) in [("a.csv", 256 << 20), ("a.xlsx", 100 << 20)] {
            let body = json!({ "file_name": name, "size": limit + 1 });
            let problem = app.post(path, &body).await.problem(422, "file-too-large");
            assert_eq!(
                (&problem["limit"], &problem["errors"][0]["pointer"]),
                (&json!(limit), &json!("#/size"))
            );
        }
        assert_eq!(app.belongings().await, before);
    });
}

#[test]
fn a_list_may_have_a_name_of_200_characters_of_any_language() {
    run(async {
        let app = App::new().await;
        let name = "名".repeat(200);
        let made =
            app.post("/v1/verification/tasks", &json!({ "emails": ["a@gmail.com"], "name": name })).await;
        assert_eq!(made.expect(202)["file_name"], name);
    });
}
