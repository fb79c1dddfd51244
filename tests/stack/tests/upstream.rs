//! Upstream mode (V15): another API of the same contract is the only source of tasks, checks and usage. Here that is our own stack,
//! which must be told apart by nothing, and a stand-in that does everything wrong.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use account::Scope;
use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use local::Stack;
use local_parties::{UpstreamManner, UpstreamServer};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, App, Kept, Operator, run, start, until};

const TASKS: &str = "/v1/verification/tasks";
const UPLOADS: &str = "/v1/verification/uploads";
type Item = HashMap<String, AttributeValue>;
/// Longer than a function of ten seconds lives.
const BOUND: Duration = Duration::from_secs(12);

/// A stack with this upstream.
async fn behind(url: &str, log: Option<Arc<Kept>>) -> Stack {
    start(|options| {
        options.parameters.insert("VerificationApiUrl".to_owned(), url.to_owned());
        options.env.insert("LOG_FORMAT".to_owned(), "json".to_owned());
        if let Some(log) = log {
            options.log = log;
        }
    })
    .await
}

/// What of verification and credits a stack keeps.
async fn kept(stack: &Stack) -> Vec<Item> {
    let operator = Operator::of(stack);
    [operator.items("VerifyTable").await, operator.items("BillingTable").await].concat()
}

/// One customer at both: who asks the upstream itself, and who asks it through another stack.
struct Both {
    direct: App,
    relayed: App,
}

/// An answer without what belongs to one request.
fn lasting(answer: &Answer) -> (u16, BTreeMap<String, String>, Value) {
    let names = ["content-type", "content-disposition", "location", "www-authenticate"];
    let headers =
        names.into_iter().filter_map(|n| Some((n.to_owned(), answer.header(n)?.to_owned()))).collect();
    let mut body = match serde_json::from_slice(&answer.body) {
        Ok(json) => json,
        Err(_) => Value::String(answer.text()),
    };
    if let Some(body) = body.as_object_mut() {
        body.remove("request_id");
    }
    (answer.status, headers, body)
}

impl Both {
    /// The answer to the same request through both, which must be the same.
    async fn ask(&self, method: &Method, path: &str, key: Option<&str>, body: Option<&Value>) -> Answer {
        let send = |app: &App| {
            let mut request = app.request(method.clone(), path);
            if let Some(key) = key {
                request = request.header("idempotency-key", key);
            }
            if let Some(body) = body {
                request = request.json(body);
            }
            Answer::to(request)
        };
        let relayed = send(&self.relayed).await;
        let direct = send(&self.direct).await;
        assert_eq!(lasting(&relayed), lasting(&direct), "{method} {path}");
        assert!(!String::from_utf8_lossy(&relayed.body).contains("\"unavailable\":["), "{method} {path}");
        relayed
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(&Method::GET, path, None, None).await
    }

    async fn post(&self, path: &str, key: Option<&str>, body: &Value) -> Answer {
        self.ask(&Method::POST, path, key, Some(body)).await
    }
}

#[test]
fn through_another_stack_every_answer_is_the_upstreams_own() {
    run(async {
        let log = Arc::new(Kept::default());
        let upstream = start(|_| {}).await;
        let front = behind(upstream.base_url(), Some(Arc::clone(&log))).await;
        let direct = App::on(&upstream, Scope::EVERYDAY).await;
        Operator::of(&upstream).lend_accounts(&Operator::of(&front)).await;
        let both = Both { relayed: direct.moved_to(&front), direct };
        let before = kept(&front).await;

        both.get(UPLOADS).await.expect(204);
        both.get(&format!("{UPLOADS}/latest")).await.expect(204);
        let checked = both.post("/v1/verify", Some("check-0001"), &json!({ "email": "bob@gmial.com" })).await;
        assert_eq!(checked.expect(200)["suggestion"], "bob@gmail.com");
        let list = json!({ "emails": ["ada@gmail.com", "Ada@gmail.com", "no address", "x@a.down.example"], "name": "a list" });
        let made = both.post(TASKS, Some("task-0001"), &list).await;
        let task = made.expect(202)["id"].as_str().unwrap().to_owned();
        assert_eq!(made.header("location"), Some(format!("{TASKS}/{task}").as_str()));
        both.relayed.finished(&task).await;

        // The link is the upstream's, and takes the file.
        let file = "Name,E-Mail\nAda,ada@gmail.com\n\"x\nBob,\n";
        let link = json!({ "file_name": "a.csv", "size": file.len() });
        let link = both.post(UPLOADS, Some("upload-0001"), &link).await.expect(201);
        assert_eq!(both.relayed.put(&link, file).await.status, 200);
        let uploaded = link["task"]["id"].as_str().unwrap().to_owned();
        both.relayed.finished(&uploaded).await;
        let marked = both.relayed.upload("b.csv", "\u{feff}Email\nada@gmail.com\n").await;
        both.relayed.finished(&marked).await;

        for path in [
            TASKS.to_owned(),
            format!("{TASKS}?workspace={}", both.direct.workspace),
            format!("{TASKS}/{task}"),
            format!("{TASKS}/{uploaded}"),
            format!("{TASKS}/{task}/jobs"),
            format!("{TASKS}/{uploaded}/jobs"),
            format!("{TASKS}/{task}/events"),
            format!("{TASKS}/{task}/download"),
            format!("{TASKS}/{uploaded}/download"),
            UPLOADS.to_owned(),
            format!("{UPLOADS}/latest"),
        ] {
            assert_eq!(both.get(&path).await.status, 200, "{path}");
        }
        for path in [TASKS.to_owned(), format!("{TASKS}/{task}/jobs")] {
            assert_eq!(both.relayed.all(&path, 1).await, both.direct.all(&path, 3).await, "{path}");
        }
        assert_eq!(both.relayed.download(&marked).await, both.direct.download(&marked).await);
        let mut charged = checked.json()["credits_charged"].as_u64().unwrap();
        for id in [&task, &uploaded, &marked] {
            let task = both.get(&format!("{TASKS}/{id}")).await.expect(200);
            charged += task["credits"]["charged"].as_u64().unwrap();
        }
        until("usage is counted", || async {
            let usage = both.relayed.get("/v1/usage").await.expect(200);
            (usage["charged"] == charged && usage["total"]["unknown"] == 1).then_some(())
        })
        .await;
        both.get("/v1/usage?bucket=hour").await.expect(200);

        // What is refused is refused in the same words.
        let nobody = "tsk_01j9z3k5m8n2p4q6r7s8t9v0wx";
        for (path, status) in [
            (format!("{TASKS}/{nobody}"), 404),
            (format!("{TASKS}/no.such-id"), 404),
            (format!("{TASKS}/{nobody}/jobs"), 404),
            (format!("{TASKS}?limit=0"), 400),
            (format!("{TASKS}?cursor=forged"), 400),
            (format!("{TASKS}?limits=1"), 400),
            (format!("{TASKS}?workspace={}", piecework_core::WorkspaceId::new()), 403),
            ("/v1/admin/verification/tasks".to_owned(), 403),
            ("/v1/usage?from=2026-02-01&to=2026-01-01".to_owned(), 400),
        ] {
            both.get(&path).await.expect(status);
        }
        for (path, key, body, status) in [
            (TASKS, None, json!({ "emails": [] }), 422),
            (TASKS, None, json!({ "emails": ["ada@gmail.com"], "more": 1 }), 400),
            (TASKS, Some("short"), json!({ "emails": ["ada@gmail.com"] }), 400),
            (TASKS, Some("task-0001"), json!({ "emails": ["eve@gmail.com"] }), 422),
            (UPLOADS, None, json!({ "file_name": "a.exe", "size": 3 }), 422),
            (UPLOADS, None, json!({ "file_name": "a.csv", "size": 999_999_999 }), 422),
            (&format!("{TASKS}/{task}/cancel"), None, json!({}), 409),
            ("/v1/verify", None, json!(["ada@gmail.com"]), 400),
        ] {
            both.post(path, key, &body).await.expect(status);
        }

        assert_eq!(kept(&front).await, before, "nothing is kept here");
        assert_eq!(log.with("verification.unavailable"), Vec::<Value>::new());
        front.stop().await;
        upstream.stop().await;
    });
}

/// A stack behind a stand-in, and a customer of it.
struct Standing {
    upstream: UpstreamServer,
    front: Stack,
    app: App,
    log: Arc<Kept>,
    before: Vec<Item>,
}

impl Standing {
    async fn new() -> Self {
        let upstream = UpstreamServer::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let log = Arc::new(Kept::default());
        let front = behind(&upstream.url(), Some(Arc::clone(&log))).await;
        let app = App::on(&front, &[Scope::Verify, Scope::Read, Scope::Credits, Scope::Keys]).await;
        // The grant that somebody new gets is no business of the upstream's.
        let before = kept(&front).await;
        Self { upstream, front, app, log, before }
    }

    /// Checks that nothing was kept, and ends all of it.
    async fn end(self) {
        assert_eq!(kept(&self.front).await, self.before, "nothing is kept here");
        for (_, line) in self.log.lines().iter() {
            for private in ["gmail", "private", self.app.key.as_str()] {
                assert!(!line.contains(private), "{private} is logged: {line}");
            }
        }
        self.front.stop().await;
        self.upstream.shutdown().await;
    }
}

/// A whole task.
fn task() -> Value {
    json!({
        "id": "tsk_01j9z3k5m8n2p4q6r7s8t9v0wx", "workspace": "wsp_01j9z3k5m8n2p4q6r7s8t9v0wx", "source": "upload",
        "state": "failed", "file_name": "private.csv", "rows": 4, "addresses": 3, "duplicates": 1,
        "verification_status": { "valid": 2, "risky": 1, "invalid": 1, "unknown": 0 },
        "job_status": { "queued": 0, "completed": 4, "failed": 0, "cancelled": 0 },
        "credits": { "held": 0, "charged": 3 }, "errors": [{ "line": 3, "code": "unclosed_quote", "detail": "private" }],
        "problem": { "code": "no_address_column", "detail": "private" },
        "created_at": "2026-11-20T14:00:00Z", "started_at": null, "finished_at": null
    })
}

#[test]
fn what_the_upstream_does_not_give_is_null_and_named() {
    run(async {
        let it = Standing::new().await;
        let id = task()["id"].as_str().unwrap().to_owned();
        let path = format!("{TASKS}/{id}");

        it.upstream.behave([], UpstreamManner::json(200, &task()));
        assert_eq!(it.app.get(&path).await.expect(200), task(), "a whole task goes on as it is");
        assert_eq!(it.log.with("verification.unavailable"), Vec::<Value>::new());

        let mut poor = task();
        for name in ["file_name", "state", "started_at"] {
            poor.as_object_mut().unwrap().remove(name);
        }
        poor["rows"] = Value::Null;
        poor["credits"].as_object_mut().unwrap().remove("held");
        poor["errors"][0].as_object_mut().unwrap().remove("line");
        poor["something"] = json!("private");
        it.upstream.behave([], UpstreamManner::json(200, &poor));
        let shown = it.app.get(&path).await.expect(200);
        let mut want = task();
        for place in ["/file_name", "/state", "/rows", "/credits/held", "/errors/0/line"] {
            *want.pointer_mut(place).unwrap() = Value::Null;
        }
        want["errors"][0]["unavailable"] = json!(["/line"]);
        want["unavailable"] = json!(["/credits/held", "/file_name", "/rows", "/started_at", "/state"]);
        assert_eq!(shown, want);
        let told = it.log.with("verification.unavailable");
        let [told] = &told[..] else { panic!("once an answer: {told:?}") };
        assert_eq!(told["fields"], "/credits/held /errors/*/line /file_name /rows /started_at /state");

        // Each row of a list has its own.
        let page = json!({ "data": [poor, task()], "next_cursor": null });
        it.upstream.behave([], UpstreamManner::json(200, &page));
        let listed = it.app.get(TASKS).await.expect(200);
        assert_eq!(listed, json!({ "data": [want, task()], "next_cursor": null }));
        assert_eq!(it.log.with("verification.unavailable").len(), 2);

        // A list is for people.
        let csv = |text: &str| {
            let fields = vec![
                ("content-type", "text/csv; charset=utf-8".to_owned()),
                ("content-disposition", "attachment; filename=\"x.csv\"".to_owned()),
            ];
            UpstreamManner::Says(200, fields, Bytes::from(text.to_owned()))
        };
        let columns = "email_status,email_sub_status,did_you_mean,is_disposable,is_role,is_free,mx_found,mx_host,checked_at";
        it.upstream.behave([], csv(&format!("Email,{columns}\na@b.c,valid,,,,,,,,\n")));
        let list = it.app.get(&format!("{path}/download")).await;
        assert_eq!(list.status, 200, "{}", list.text());
        assert_eq!(list.header("content-disposition"), Some("attachment; filename=\"x.csv\""));
        assert_eq!(
            list.text(),
            format!("Email,{columns},row_error\na@b.c,valid,,,,,,,,,ext api data is not available\n")
        );
        assert_eq!(it.log.with("verification.unavailable").last().unwrap()["fields"], "row_error");
        it.end().await;
    });
}

#[test]
fn a_request_goes_on_with_its_caller_and_nothing_more() {
    run(async {
        let it = Standing::new().await;
        it.upstream.behave([], UpstreamManner::json(202, &task()));
        let request = it.app.request(Method::POST, TASKS).header("idempotency-key", "\"once-0001\"");
        let request = request.header("x-workspace-id", it.app.workspace.to_string());
        let request = request.header("x-correlation-id", "story-0002").header("cookie", "a=private");
        let body = br#"{ "emails" : ["ada@gmail.com"], "unknown": 1 }"#;
        let request = request.header("content-type", "application/json").body(body.to_vec());
        it.app.send(request).await.expect(202);
        let asked = it.upstream.asked();
        let [asked] = &asked[..] else { panic!("{asked:?}") };
        assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", TASKS));
        assert_eq!(asked.body[..], body[..], "the upstream decides what it takes");
        let header = |name: &str| asked.headers.get(name).map(String::as_str);
        assert_eq!(header("x-api-key"), Some(it.app.key.as_str()));
        assert_eq!(header("x-workspace-id"), Some(it.app.workspace.to_string().as_str()));
        assert_eq!(header("idempotency-key"), Some("\"once-0001\""));
        assert_eq!(header("x-correlation-id"), Some("story-0002"));
        assert_eq!(header("via"), Some("1.1 piecework"));
        assert!(header("traceparent").is_some());
        assert_eq!((header("cookie"), header("authorization")), (None, None));

        it.upstream.behave([], UpstreamManner::json(200, &json!({ "data": [], "next_cursor": null })));
        it.app.get(&format!("{TASKS}?limit=7&cursor=theirs%2F1")).await.expect(200);
        assert_eq!(it.upstream.asked()[0].path, format!("{TASKS}?limit=7&cursor=theirs%2F1"));

        // Nobody, somebody of too few scopes, and an id that leads elsewhere are refused here.
        it.upstream.behave([], UpstreamManner::json(200, &task()));
        it.app.send(it.app.anonymous(Method::GET, TASKS)).await.problem(401, "unauthenticated");
        let narrow = it.app.narrowed(&["read"]).await;
        narrow.post(TASKS, &json!({ "emails": ["ada@gmail.com"] })).await.problem(403, "forbidden");
        for id in ["..%2f..%2fv1%2fme", "a%20b", "tsk_1.", "%2e%2e"] {
            assert_eq!(it.app.get(&format!("{TASKS}/{id}")).await.status, 404, "{id}");
        }
        let circle =
            it.app.request(Method::GET, TASKS).header("via", "1.1 piecework, 1.1 piecework,1.1 piecework");
        it.app.send(circle).await.problem(502, "upstream");
        assert_eq!(it.upstream.asked().len(), 0);
        let held = it.app.balance().await["held"];
        assert_eq!(held, 0);

        // A link is handed to the caller and not followed.
        let to = format!("{}/somewhere?sig=1", it.upstream.url());
        let link = UpstreamManner::Says(303, vec![("location", to.clone())], Bytes::new());
        it.upstream.behave([], link);
        let id = task()["id"].as_str().unwrap().to_owned();
        let answer = it.app.get(&format!("{TASKS}/{id}/download")).await;
        assert_eq!((answer.status, answer.header("location")), (303, Some(to.as_str())));
        assert_eq!(it.upstream.asked().len(), 1);
        it.upstream.behave([], UpstreamManner::Says(302, vec![("location", to)], Bytes::new()));
        it.app.get(TASKS).await.problem(502, "upstream");
        assert_eq!(it.upstream.asked().len(), 1);

        // Where a new task is: here, under its path.
        for (to, shown) in [
            (format!("{}{TASKS}/x", it.upstream.url()), Some(format!("{TASKS}/x"))),
            ("https://elsewhere.example/v1/x".to_owned(), None),
        ] {
            let fields = vec![("content-type", "application/json".to_owned()), ("location", to)];
            it.upstream.behave([], UpstreamManner::Says(202, fields, task().to_string().into()));
            let made = it.app.post(TASKS, &json!({ "emails": ["ada@gmail.com"] })).await;
            assert_eq!(made.status, 202);
            assert_eq!(made.header("location"), shown.as_deref());
        }
        it.end().await;
    });
}

#[test]
fn an_upstream_that_fails_is_a_clear_problem_in_bounded_time_and_only_reads_are_repeated() {
    run(async {
        let it = Standing::new().await;
        let read = format!("{TASKS}/tsk_01j9z3k5m8n2p4q6r7s8t9v0wx");
        let write = format!("{read}/cancel");
        let says = |status: u16, media: &str, body: &str| {
            UpstreamManner::Says(
                status,
                vec![("content-type", media.to_owned())],
                Bytes::from(body.to_owned()),
            )
        };
        let problem = |status: u16, kind: &str| {
            let uri = format!("https://piecework.example/problems/{kind}");
            UpstreamManner::json(
                status,
                &json!({ "type": uri, "status": status, "detail": "Their words.", "state": "running", "inside": "private" }),
            )
        };
        let with = |manner: UpstreamManner, after: &str| match manner {
            UpstreamManner::Says(status, mut fields, body) => {
                fields.push(("retry-after", after.to_owned()));
                UpstreamManner::Says(status, fields, body)
            }
            other => other,
        };
        let long = format!("{{\"id\":\"{}\"}}", "x".repeat(10 << 20));
        let mut odd = task();
        odd["rows"] = json!("private");
        // How it behaves, what is answered, how often a read is asked.
        let cases = [
            (UpstreamManner::Closes, 503, "unavailable", 3),
            (says(502, "text/html", "<p>private"), 503, "unavailable", 3),
            (says(503, "text/plain", ""), 503, "unavailable", 3),
            (says(504, "text/plain", ""), 503, "unavailable", 3),
            (with(says(503, "text/plain", ""), "30"), 503, "unavailable", 1),
            (UpstreamManner::Hangs, 503, "unavailable", 1),
            (says(500, "text/plain", "private"), 502, "upstream", 1),
            (says(501, "text/plain", ""), 502, "upstream", 1),
            (says(302, "text/plain", ""), 502, "upstream", 1),
            (says(418, "text/plain", ""), 502, "upstream", 1),
            (says(201, "application/json", &task().to_string()), 502, "upstream", 1),
            (says(200, "text/html", "<p>private"), 502, "upstream", 1),
            (says(200, "application/json", "private"), 502, "upstream", 1),
            (says(200, "application/json", "[]"), 502, "upstream", 1),
            (says(200, "application/json", &odd.to_string()), 502, "upstream", 1),
            (says(200, "application/json", &long), 502, "upstream", 1),
            (problem(402, "insufficient-credits"), 422, "upstream-refused", 1),
            (problem(422, "never-heard-of"), 422, "upstream-refused", 1),
            (problem(422, "idempotency-key-reused"), 422, "idempotency-key-reused", 1),
            (problem(401, "unauthenticated"), 401, "unauthenticated", 1),
            (says(401, "text/plain", "private"), 401, "unauthenticated", 1),
            (problem(403, "forbidden"), 403, "forbidden", 1),
            (says(404, "text/html", "private"), 404, "not-found", 1),
            (problem(409, "wrong-state"), 409, "wrong-state", 1),
            (problem(409, "in-flight"), 409, "in-flight", 1),
            (problem(410, "gone"), 410, "gone", 1),
        ];
        for (manner, status, kind, reads) in cases {
            let named = format!("{manner:?}").chars().take(80).collect::<String>();
            let theirs =
                matches!(&manner, UpstreamManner::Says(s, f, _) if *s < 500 && f[0].1.contains("problem"));
            it.upstream.behave([], manner);
            for (method, path, times) in [(Method::GET, &read, reads), (Method::POST, &write, 1)] {
                let begun = Instant::now();
                let answer = it.app.send(it.app.request(method.clone(), path)).await;
                let took = begun.elapsed();
                println!("{method} {named}: {} in {took:?}", answer.status);
                let told = answer.problem(status, kind);
                assert!(took < BOUND, "{method} {named}: {took:?}");
                assert!(!told.to_string().contains("private"), "{told}");
                assert_eq!(told["detail"] == "Their words.", theirs, "{named}: {told}");
                assert!(told["detail"].as_str().unwrap().len() > 10, "{told}");
                assert_eq!(told["state"] == "running", theirs, "{named}: {told}");
                if !theirs {
                    assert!(told["detail"].as_str().unwrap().contains("verification API"), "{told}");
                }
                assert_eq!(it.upstream.asked().len(), times, "{method} {named}");
                let manner = it.upstream.manner();
                it.upstream.behave([], manner);
            }
        }

        // How long to wait is said on.
        it.upstream.behave([], with(problem(429, "quota-exceeded"), "17"));
        let answer = it.app.get(&read).await;
        let told = answer.expect(429);
        assert_eq!(told["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
        assert_eq!(answer.header("retry-after"), Some("17"));
        it.upstream.behave([], with(says(503, "text/plain", ""), "30"));
        assert_eq!(it.app.get(&read).await.header("retry-after"), Some("30"));

        // A failure that passes is not seen by who reads.
        it.upstream.behave(
            [UpstreamManner::Closes, says(503, "text/plain", "")],
            UpstreamManner::json(200, &task()),
        );
        assert_eq!(it.app.get(&read).await.expect(200), task());
        assert_eq!(it.upstream.asked().len(), 3);
        it.upstream.behave([UpstreamManner::Closes], UpstreamManner::json(200, &task()));
        let answer = it.app.send(it.app.request(Method::POST, &write)).await;
        answer.problem(503, "unavailable");
        assert_eq!(it.upstream.asked().len(), 1);

        // What is longer than a list may be has to be a link.
        it.upstream.behave([], says(200, "text/csv", &"x".repeat((2 << 20) + 1)));
        it.app.get(&format!("{read}/download")).await.problem(502, "upstream");
        it.end().await;
    });
}
