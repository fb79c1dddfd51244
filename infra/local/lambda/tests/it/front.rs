//! The HTTP front over real connections.

use crate::support::{eventually, example, listener, spec, start};
use futures::future::join_all;
use local_lambda::{Cors, Front, FrontOptions, FunctionSpec, Lambda, Route};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

fn route(key: &str, function: &str) -> Route {
    let (method, path) = key.split_once(' ').unwrap_or(("ANY", key));
    let timeout = if path.starts_with("/do") { Duration::from_secs(4) } else { Duration::from_secs(30) };
    Route { method: method.into(), path: path.into(), function: function.into(), timeout }
}

async fn serve_with(cors: Option<Cors>, stage: &str, keys: &[&str]) -> (Front, Lambda) {
    let http = FunctionSpec { binary: example("lambda_http_function"), ..spec("http") };
    let (lambda, _) = start(vec![spec("raw"), http]).await;
    let routes =
        keys.iter().map(|key| route(key, if key.contains("/http") { "http" } else { "raw" })).collect();
    let options = FrontOptions {
        routes,
        cors,
        api_id: "abc123".into(),
        stage: stage.into(),
        account_id: "123456789012".into(),
    };
    (Front::start(listener().await, lambda.clone(), options).await.unwrap(), lambda)
}

async fn serve() -> (Front, Lambda) {
    let keys = [
        "POST /v1/tasks/{id}",
        "GET /v1/tasks/{id}",
        "POST /answer",
        "POST /do",
        "GET /files/{proxy+}",
        "ANY /http/{id}",
        "ANY /any",
    ];
    serve_with(None, "$default", &keys).await
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|v| v.to_str().unwrap())
}

/// Sends bytes on a new connection and reads all that comes back.
async fn raw(front: &Front, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(front.base_url().trim_start_matches("http://")).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

fn body_of(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_payload_format_2_0_in_every_field() {
    let (front, _) = serve().await;
    let request = "POST /v1/tasks/a%20b?x=1&y=%C3%A9&x=2&empty HTTP/1.1\r\nHost: api.example.com:8080\r\n\
        Connection: close\r\nUser-Agent: test/1\r\nX-Twice: one\r\nx-twice: two\r\nCookie: a=1; b=2\r\n\
        Content-Type: application/json\r\nX-Forwarded-For: 192.0.2.7\r\nContent-Length: 8\r\n\
        X-Amzn-Trace-Id: Root=1-67891233-abcdef012345678912345678\r\n\r\n{\"k\":\"v\"";
    let answer = raw(
        &front,
        request.replace("Content-Length: 8", "Content-Length: 9").replace("\"v\"", "\"v\"}").as_bytes(),
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let mut event: Value = serde_json::from_str(body_of(&answer)).unwrap();
    let context = event["requestContext"].as_object_mut().unwrap();
    let (epoch, time) = (context.remove("timeEpoch").unwrap(), context.remove("time").unwrap());
    let request_id = context.remove("requestId").unwrap();
    assert!(answer.contains(&format!("apigw-requestid: {}\r\n", request_id.as_str().unwrap())));
    let expected = jiff::Timestamp::from_millisecond(epoch.as_i64().unwrap()).unwrap();
    assert_eq!(time, expected.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string());
    let port = front.base_url().rsplit_once(':').unwrap().1.to_owned();
    assert_eq!(
        event,
        json!({
            "version": "2.0",
            "routeKey": "POST /v1/tasks/{id}",
            "rawPath": "/v1/tasks/a b",
            "rawQueryString": "x=1&y=%C3%A9&x=2&empty",
            "cookies": ["a=1", "b=2"],
            "headers": {
                "content-length": "9", "content-type": "application/json", "host": "api.example.com:8080",
                "user-agent": "test/1", "x-amzn-trace-id": "Root=1-67891233-abcdef012345678912345678",
                "x-forwarded-for": "192.0.2.7, 127.0.0.1", "x-forwarded-port": port, "x-forwarded-proto": "http",
                "x-twice": "one,two",
            },
            "queryStringParameters": {"x": "1,2", "y": "é", "empty": ""},
            "requestContext": {
                "accountId": "123456789012", "apiId": "abc123", "domainName": "api.example.com", "domainPrefix": "api",
                "http": {
                    "method": "POST", "path": "/v1/tasks/a b", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1",
                    "userAgent": "test/1",
                },
                "routeKey": "POST /v1/tasks/{id}", "stage": "$default",
            },
            "pathParameters": {"id": "a b"},
            "body": "{\"k\":\"v\"}",
            "isBase64Encoded": false,
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_request_does_not_have_is_absent_from_its_event() {
    let (front, _) = serve().await;
    let event: Value =
        Client::new().get(front.base_url() + "/any").send().await.unwrap().json().await.unwrap();
    for absent in ["cookies", "queryStringParameters", "pathParameters", "body"] {
        assert!(event.get(absent).is_none(), "{absent}");
    }
    assert_eq!((&event["rawQueryString"], &event["isBase64Encoded"]), (&json!(""), &json!(false)));
    assert_eq!((&event["routeKey"], &event["headers"]["content-length"]), (&json!("ANY /any"), &json!("0")));
    let greedy: Value =
        Client::new().get(front.base_url() + "/files/a/b%2Fc").send().await.unwrap().json().await.unwrap();
    assert_eq!(greedy["pathParameters"], json!({"proxy": "a/b/c"}));
    assert_eq!(greedy["routeKey"], "GET /files/{proxy+}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lambda_http_gets_the_request_that_was_sent_and_its_response_comes_back() {
    let (front, _) = serve().await;
    let bytes: Vec<u8> = (0..=255).collect();
    let sent = Client::new()
        .put(front.base_url() + "/http/%C3%A9%20x?a=1&a=2%2C3")
        .header("cookie", "s=1; t=2")
        .header("content-type", "application/octet-stream")
        .body(bytes.clone());
    let answer = sent.send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let host = front.base_url();
    assert_eq!(header(&answer, "x-uri"), Some(format!("{host}/http/%C3%A9%20x?a=1&a=2%2C3").as_str()));
    assert_eq!((header(&answer, "x-method"), header(&answer, "x-cookie")), (Some("PUT"), Some("s=1; t=2")));
    assert_eq!((header(&answer, "x-query"), header(&answer, "x-id")), (Some("1|2,3"), Some("\\u{e9} x")));
    let cookies: Vec<_> =
        answer.headers().get_all("set-cookie").iter().map(|v| v.to_str().unwrap().to_owned()).collect();
    assert_eq!(cookies, ["one=1; Path=/", "two=2; HttpOnly"]);
    assert_eq!(header(&answer, "content-type"), Some("application/octet-stream"));
    assert_eq!(answer.bytes().await.unwrap(), bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_but_legal_requests_reach_lambda_http_whole() {
    let (front, lambda) = serve().await;
    for id in [
        "%23",
        "%00",
        "%0A",
        "%5C",
        "%22",
        "%7B",
        "%FF",
        "%25",
        "%25zz",
        "..",
        "%E2%80%AE",
        "a;b",
        "%3Fx",
        "+",
    ] {
        let found = id != "%3Fx";
        let request =
            format!("GET /http/{id}?%00=%FF&#& HTTP/1.1\r\nhost: [::1]:80\r\nconnection: close\r\n\r\n");
        let answer = raw(&front, request.as_bytes()).await;
        assert!(answer.starts_with(if found { "HTTP/1.1 201 " } else { "HTTP/1.1 404 " }), "{id}: {answer}");
    }
    for name in [&b"\xc3\xa9"[..], b"\xe9", b"\t"] {
        let mut request = b"GET /http/1 HTTP/1.0\r\nx-name: ".to_vec();
        request.extend_from_slice(name);
        request.extend_from_slice(b"\r\n\r\n");
        let answer = raw(&front, &request).await;
        assert!(answer.starts_with("HTTP/1.0 201 "), "{answer}");
    }
    assert!(lambda.reports().iter().all(|r| r.outcome == local_lambda::Outcome::Ok));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_functions_answer_becomes_a_response_or_a_500() {
    let (front, _) = serve().await;
    let error = r#"{"message":"Internal Server Error"}"#;
    let (json_type, plain) = ("application/json", "text/plain; charset=utf-8");
    for (answer, status, content_type, body) in [
        (json!({"statusCode": 418, "body": "x", "headers": {"Content-Type": "a/b"}}), 418, "a/b", "x"),
        (json!({"statusCode": 200}), 200, plain, ""),
        (json!({"statusCode": "202", "body": null, "headers": null}), 202, plain, ""),
        (json!({"statusCode": 200, "body": "aGk=", "isBase64Encoded": true}), 200, plain, "hi"),
        (json!({"a": 1}), 200, json_type, r#"{"a":1}"#),
        (json!("text"), 200, json_type, r#""text""#),
        (json!(null), 200, json_type, "null"),
        (json!([1]), 200, json_type, "[1]"),
        (json!({"statusCode": 99}), 500, json_type, error),
        (json!({"statusCode": 600}), 500, json_type, error),
        (json!({"statusCode": "OK"}), 500, json_type, error),
        (json!({"statusCode": 200, "body": {"a": 1}}), 500, json_type, error),
        (json!({"statusCode": 200, "headers": ["a"]}), 500, json_type, error),
        (json!({"statusCode": 200, "headers": {"a b": "c"}}), 500, json_type, error),
        (json!({"statusCode": 200, "headers": {"a": "b\nc"}}), 500, json_type, error),
        (json!({"statusCode": 200, "cookies": "a=1"}), 500, json_type, error),
        (json!({"statusCode": 200, "body": "*", "isBase64Encoded": true}), 500, json_type, error),
    ] {
        let sent = Client::new().post(front.base_url() + "/answer").header("content-type", "text/plain");
        let response = sent.body(answer.to_string()).send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), header(&response, "content-type")),
            (status, Some(content_type)),
            "{answer}"
        );
        assert_eq!(header(&response, "apigw-requestid").map(str::len), Some(16));
        assert_eq!(response.text().await.unwrap(), body, "{answer}");
    }
    let answer = json!({"statusCode": 200, "body": "x", "cookies": ["a=1", "b=2"],
        "headers": {"n": 1, "t": true, "content-length": "99", "transfer-encoding": "chunked"}});
    let sent = Client::new().post(front.base_url() + "/answer").header("content-type", "text/plain");
    let response = sent.body(answer.to_string()).send().await.unwrap();
    assert_eq!(response.headers().get_all("set-cookie").iter().count(), 2);
    assert_eq!((header(&response, "n"), header(&response, "t")), (Some("1"), Some("true")));
    assert_eq!(header(&response, "content-length"), Some("1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_gateway_answers_itself_has_its_status_and_message() {
    let (front, lambda) = serve().await;
    let client = Client::new();
    let base = front.base_url();
    let expect = async |request: reqwest::RequestBuilder, status: u16, message: &str| {
        let answer = request.send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), header(&answer, "content-type")),
            (status, Some("application/json"))
        );
        assert!(header(&answer, "apigw-requestid").is_some());
        assert_eq!(answer.text().await.unwrap(), format!("{{\"message\":\"{message}\"}}"));
    };
    let command = |command: Value| {
        client.post(format!("{base}/do")).header("content-type", "text/plain").body(command.to_string())
    };
    expect(client.get(format!("{base}/none")), 404, "Not Found").await;
    expect(client.delete(format!("{base}/v1/tasks/1")), 404, "Not Found").await;
    expect(client.get(format!("{base}/v1/tasks/1/")), 404, "Not Found").await;
    expect(
        client.get(format!("{base}/any")).header("x", "y".repeat(10_240)),
        431,
        "Request Header Fields Too Large",
    )
    .await;
    expect(client.get(format!("{base}/any?{}", "q".repeat(10_240))), 431, "Request Header Fields Too Large")
        .await;
    expect(
        client.post(format!("{base}/any")).body(vec![b'x'; 10 * 1024 * 1024 + 1]),
        413,
        "Request Entity Too Large",
    )
    .await;
    // Below API Gateway's limit, above Lambda's once it is an event.
    expect(client.post(format!("{base}/any")).body(vec![b'x'; 5_000_000]), 413, "Request Entity Too Large")
        .await;
    assert!(lambda.reports().is_empty());
    expect(command(json!({"do": "fail"})), 500, "Internal Server Error").await;
    expect(command(json!({"do": "abort"})), 500, "Internal Server Error").await;
    expect(command(json!({"do": "big", "bytes": 7_000_000})), 500, "Internal Server Error").await;
    expect(command(json!({"do": "sleep", "ms": 6000})), 503, "Service Unavailable").await;
    // The function ran on after the gateway had given up.
    eventually("the slow invocation ended", || lambda.reports().len() == 4).await;
    assert_eq!(lambda.reports()[3].outcome, local_lambda::Outcome::Ok);
    assert!(lambda.reports()[3].duration >= Duration::from_secs(6));
    let many =
        format!("GET /any HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{}\r\n", "a: b\r\n".repeat(3000));
    let many = raw(&front, many.as_bytes()).await;
    assert!(many.starts_with("HTTP/1.1 431 ") && many.contains("Request Header Fields Too Large"), "{many}");
    let star = raw(&front, b"OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(star.starts_with("HTTP/1.1 404 "), "{star}");
    let bad_host = raw(&front, b"GET /any HTTP/1.1\r\nhost: a b\r\nconnection: close\r\n\r\n").await;
    assert!(
        bad_host.starts_with("HTTP/1.1 400 ") && bad_host.ends_with(r#"{"message":"Bad Request"}"#),
        "{bad_host}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_carries_many_requests_of_every_kind() {
    let (front, lambda) = serve().await;
    let stream = TcpStream::connect(front.base_url().trim_start_matches("http://")).await.unwrap();
    let mut stream = BufReader::new(stream);
    let head = async |stream: &mut BufReader<TcpStream>| {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(stream.read_line(&mut head).await.unwrap(), 0, "closed after {head:?}");
        }
        let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")?.parse::<usize>().ok());
        (head, length.unwrap_or_default())
    };
    for _ in 0..3 {
        stream.write_all(b"GET /any HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let (status, length) = head(&mut stream).await;
        assert!(status.starts_with("HTTP/1.1 200 "), "{status}");
        stream.read_exact(&mut vec![0; length]).await.unwrap();

        // HEAD: the length, no body.
        stream.write_all(b"HEAD /any HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let (status, length) = head(&mut stream).await;
        assert!(status.starts_with("HTTP/1.1 200 ") && length > 0, "{status}");

        stream.write_all(b"GET /none HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let (status, length) = head(&mut stream).await;
        assert!(status.starts_with("HTTP/1.1 404 "), "{status}");
        stream.read_exact(&mut vec![0; length]).await.unwrap();

        // The body is sent only when it is asked for, and in chunks.
        stream
            .write_all(b"POST /any HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\n")
            .await
            .unwrap();
        let (status, _) = head(&mut stream).await;
        assert!(status.starts_with("HTTP/1.1 100 "), "{status}");
        stream.write_all(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").await.unwrap();
        let (status, length) = head(&mut stream).await;
        assert!(status.starts_with("HTTP/1.1 200 "), "{status}");
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let event: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&event["body"], &event["headers"]["content-length"]), (&json!("YWJjZGU="), &json!("5")));
        assert_eq!(event["headers"].get("expect").or(event["headers"].get("transfer-encoding")), None);
    }
    assert_eq!(lambda.sandboxes().len(), 1);

    let refused = raw(
        &front,
        b"POST /any HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 99999999\r\n\r\n",
    )
    .await;
    assert!(refused.starts_with("HTTP/1.1 413 "), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_does_not_cost_a_sandbox() {
    let (front, lambda) = serve().await;
    let command = r#"{"do":"sleep","ms":300}"#;
    let request = format!(
        "POST /do HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{command}",
        command.len()
    );
    let mut stream = TcpStream::connect(front.base_url().trim_start_matches("http://")).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    eventually("the invocation is running", || lambda.sandboxes().iter().any(|s| s.invocations == 1)).await;
    drop(stream);
    eventually("the invocation ended", || lambda.reports().len() == 1).await;
    assert_eq!(lambda.reports()[0].outcome, local_lambda::Outcome::Ok);
    // Half a request, and one that breaks its framing.
    let mut half = TcpStream::connect(front.base_url().trim_start_matches("http://")).await.unwrap();
    half.write_all(b"POST /any HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc").await.unwrap();
    drop(half);
    assert!(raw(&front, b"NOT HTTP\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
    assert_eq!(Client::new().get(front.base_url() + "/any").send().await.unwrap().status(), 200);
    assert_eq!((lambda.sandboxes().len(), lambda.reports().len()), (1, 2));
    assert_eq!(lambda.reports()[1].correlation_id.as_ref().map(String::len), Some(16));
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_requests_at_once_wait_for_four_sandboxes() {
    let (front, lambda) = serve().await;
    let client = Client::new();
    let begun = Instant::now();
    let requests = (0..64).map(|n| client.get(format!("{}/v1/tasks/{n}", front.base_url())).send());
    for (n, answer) in join_all(requests).await.into_iter().enumerate() {
        let event: Value = answer.unwrap().json().await.unwrap();
        assert_eq!(event["pathParameters"]["id"], n.to_string());
    }
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert!(lambda.sandboxes().len() <= 4);
    front.shutdown().await;
    lambda.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cors_is_the_gateways_business_when_configured() {
    let cors = Cors {
        allow_origins: vec!["https://app.example.com".into(), "http://*".into()],
        allow_methods: vec!["GET".into(), "POST".into()],
        allow_headers: vec!["content-type".into(), "idempotency-key".into()],
        expose_headers: vec!["location".into(), "etag".into()],
        max_age: Some(300),
        allow_credentials: true,
    };
    let (front, lambda) = serve_with(Some(cors), "$default", &["POST /answer", "$default"]).await;
    let preflight = async |origin: &str| {
        let request =
            Client::new().request(Method::OPTIONS, front.base_url() + "/answer").header("origin", origin);
        request.header("access-control-request-method", "POST").send().await.unwrap()
    };
    let allowed = preflight("https://app.example.com").await;
    assert_eq!(allowed.status(), 204);
    for (name, value) in [
        ("access-control-allow-origin", "https://app.example.com"),
        ("access-control-allow-methods", "GET,POST"),
        ("access-control-allow-headers", "content-type,idempotency-key"),
        ("access-control-max-age", "300"),
        ("access-control-expose-headers", "location,etag"),
        ("access-control-allow-credentials", "true"),
    ] {
        assert_eq!(header(&allowed, name), Some(value), "{name}");
    }
    assert_eq!(
        header(&preflight("http://localhost:5173").await, "access-control-allow-origin"),
        Some("http://localhost:5173")
    );
    let refused = preflight("https://evil.example.com").await;
    assert_eq!((refused.status().as_u16(), header(&refused, "access-control-allow-origin")), (204, None));
    assert!(lambda.sandboxes().is_empty(), "preflights reach no function");

    // The function's own CORS headers are ignored; ours come only with an Origin.
    let answer =
        json!({"statusCode": 200, "headers": {"access-control-allow-origin": "*", "etag": "1"}}).to_string();
    let send = async |origin: Option<&str>| {
        let request = Client::new().post(front.base_url() + "/answer").header("content-type", "text/plain");
        let request = origin.map_or(request.try_clone().unwrap(), |o| request.header("origin", o));
        request.body(answer.clone()).send().await.unwrap()
    };
    let with = send(Some("https://app.example.com")).await;
    assert_eq!(header(&with, "access-control-allow-origin"), Some("https://app.example.com"));
    assert_eq!(
        (header(&with, "access-control-expose-headers"), header(&with, "etag")),
        (Some("location,etag"), Some("1"))
    );
    assert_eq!(header(&with, "access-control-allow-methods"), None);
    assert_eq!(header(&send(None).await, "access-control-allow-origin"), None);
    assert_eq!(header(&send(Some("https://evil.example.com")).await, "access-control-allow-origin"), None);
    // OPTIONS without a preflight's headers is a request like any other.
    let plain = Client::new().request(Method::OPTIONS, front.base_url() + "/elsewhere").send().await.unwrap();
    assert_eq!(plain.json::<Value>().await.unwrap()["routeKey"], "$default");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_cors_settings_the_functions_headers_pass_and_options_is_routed() {
    let (front, _) = serve().await;
    let answer = json!({"statusCode": 200, "headers": {"access-control-allow-origin": "*"}}).to_string();
    let request = Client::new().post(front.base_url() + "/answer").header("content-type", "text/plain");
    let response = request.header("origin", "https://a.example").body(answer).send().await.unwrap();
    assert_eq!(header(&response, "access-control-allow-origin"), Some("*"));
    let preflight = Client::new()
        .request(Method::OPTIONS, front.base_url() + "/answer")
        .header("origin", "https://a.example");
    let preflight = preflight.header("access-control-request-method", "POST").send().await.unwrap();
    assert_eq!(preflight.status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_stage_is_the_first_segment_of_the_path() {
    let (front, _) = serve_with(None, "prod", &["GET /v1/tasks/{id}"]).await;
    let event: Value =
        Client::new().get(front.base_url() + "/prod/v1/tasks/7").send().await.unwrap().json().await.unwrap();
    assert_eq!(
        (&event["rawPath"], &event["requestContext"]["stage"]),
        (&json!("/prod/v1/tasks/7"), &json!("prod"))
    );
    assert_eq!(event["pathParameters"], json!({"id": "7"}));
    for path in ["/v1/tasks/7", "/production/v1/tasks/7", "/prod"] {
        assert_eq!(Client::new().get(front.base_url() + path).send().await.unwrap().status(), 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_lets_the_running_request_end() {
    let (front, lambda) = serve().await;
    let url = front.base_url() + "/do";
    let request = Client::new()
        .post(url.clone())
        .header("content-type", "text/plain")
        .body(r#"{"do":"sleep","ms":500}"#);
    let running = tokio::spawn(request.send());
    eventually("the invocation is running", || lambda.sandboxes().iter().any(|s| s.invocations == 1)).await;
    front.shutdown().await;
    assert_eq!(running.await.unwrap().unwrap().status(), 200);
    assert!(Client::new().get(url).send().await.is_err());
}
