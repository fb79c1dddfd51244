//! API keys: shown once, listed without their secret, revoked at once, and never worth more than their maker (P5).

use account::Scope;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{App, run, until};

/// Every route that asks who calls: method, path, and the scope it needs.
const GUARDED: [(&str, &str, &str); 32] = [
    ("POST", "/v1/verify", "verify"),
    ("POST", "/v1/verification/tasks", "verify"),
    ("POST", "/v1/verification/uploads", "verify"),
    ("POST", "/v1/verification/tasks/{id}/cancel", "verify"),
    ("GET", "/v1/verification/tasks", "read"),
    ("GET", "/v1/verification/tasks/{id}", "read"),
    ("GET", "/v1/verification/tasks/{id}/jobs", "read"),
    ("GET", "/v1/verification/tasks/{id}/events", "read"),
    ("GET", "/v1/verification/tasks/{id}/download", "read"),
    ("GET", "/v1/verification/uploads", "read"),
    ("GET", "/v1/verification/uploads/latest", "read"),
    ("GET", "/v1/usage", "read"),
    ("GET", "/v1/account/credits", "credits"),
    ("GET", "/v1/account/credits/history", "credits"),
    ("GET", "/v1/api-keys", "keys"),
    ("DELETE", "/v1/api-keys/{id}", "keys"),
    ("GET", "/v1/me", "read"),
    ("GET", "/v1/admin/verification/tasks", "admin"),
    ("POST", "/v1/workspaces", "workspaces"),
    ("GET", "/v1/workspaces", "workspaces"),
    ("GET", "/v1/workspaces/{id}", "workspaces"),
    ("PATCH", "/v1/workspaces/{id}", "workspaces"),
    ("DELETE", "/v1/workspaces/{id}", "workspaces"),
    ("GET", "/v1/workspaces/{id}/members", "workspaces"),
    ("PATCH", "/v1/workspaces/{id}/members/{id}", "workspaces"),
    ("DELETE", "/v1/workspaces/{id}/members/{id}", "workspaces"),
    ("POST", "/v1/workspaces/{id}/transfer", "workspaces"),
    ("GET", "/v1/workspaces/{id}/events", "workspaces"),
    ("POST", "/v1/workspaces/{id}/invitations", "workspaces"),
    ("GET", "/v1/workspaces/{id}/invitations", "workspaces"),
    ("DELETE", "/v1/workspaces/{id}/invitations/{id}", "workspaces"),
    ("POST", "/v1/invitations/accept", "workspaces"),
];

/// Sends a request that would succeed with the right key.
async fn knock(app: &App, method: &str, path: &str, task: &str) -> crate::support::Answer {
    let body = match path {
        "/v1/verify" => json!({ "email": "ada@gmail.com" }),
        "/v1/verification/tasks" => json!({ "emails": ["ada@gmail.com"] }),
        _ => json!({ "file_name": "a.csv", "size": 9 }),
    };
    let request = app.request(method.parse().unwrap(), &path.replace("{id}", task));
    app.send(if method == "POST" { request.json(&body) } else { request }).await
}

#[test]
fn every_guarded_route_refuses_who_has_no_key_or_a_bad_one() {
    run(async {
        let app = App::new().await;
        let task = app.task(&["ada@gmail.com"]).await;
        app.finished(&task).await;
        let before = app.belongings().await;
        let last = if app.key.ends_with('0') { '1' } else { '0' };
        let mistyped = format!("{}{last}", &app.key[..app.key.len() - 1]);
        let unknown = Unknown::key();
        for bad in ["", "nonsense", "pwk_", &mistyped, &unknown, &app.key.to_lowercase(), &app.key[..40]] {
            let answer = app.holding(bad).get("/v1/account/credits").await;
            answer.problem(401, "unauthenticated");
            assert!(answer.header("www-authenticate").is_some_and(|h| h.starts_with("ApiKey")), "{answer:?}");
        }
        for (method, path, _) in GUARDED {
            knock(&app.holding(&unknown), method, path, &task).await.problem(401, "unauthenticated");
            let anonymous = app.anonymous(method.parse().unwrap(), &path.replace("{id}", &task));
            app.send(anonymous).await.problem(401, "unauthenticated");
        }
        assert_eq!(app.belongings().await, before, "nothing was made or charged");
    });
}

struct Unknown;

impl Unknown {
    /// A key of ours in form, checksum and all, that was never made: another stack's would look like it.
    fn key() -> String {
        const ALPHABET: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let body = format!("01j9z3k5m8n2p4q6r7s8t9v0wx{}", "s".repeat(40));
        let mut crc = flate2::Crc::new();
        crc.update(body.as_bytes());
        let mut rest = crc.sum() as usize;
        let mut digits = [0; 6];
        for digit in digits.iter_mut().rev() {
            *digit = ALPHABET[rest % 62];
            rest /= 62;
        }
        format!("pwk_{body}{}", String::from_utf8(digits.to_vec()).unwrap())
    }
}

#[test]
fn each_route_takes_a_key_with_its_scope_and_refuses_one_with_all_others() {
    run(async {
        let app = App::new().await;
        let task = app.task(&["ada@gmail.com"]).await;
        app.finished(&task).await;
        let before = app.belongings().await;
        for scope in ["verify", "read", "credits", "keys", "workspaces", "admin"] {
            let others: Vec<_> =
                ["verify", "read", "credits", "keys"].into_iter().filter(|s| *s != scope).collect();
            let poor = app.narrowed(&others).await;
            for (method, path, needed) in GUARDED.iter().filter(|(_, _, needed)| *needed == scope) {
                let problem = knock(&poor, method, path, &task).await.problem(403, "forbidden");
                assert!(problem["detail"].as_str().unwrap().contains(needed), "{problem}");
            }
        }
        assert_eq!(app.belongings().await, before, "nothing was made or charged");
        for scope in ["verify", "read", "credits", "keys"] {
            let just = app.narrowed(&[scope]).await;
            for (method, path, _) in GUARDED.iter().filter(|(_, _, needed)| *needed == scope) {
                let answer = knock(&just, method, path, &task).await;
                assert!(![401, 403, 500].contains(&answer.status), "{method} {path}: {answer:?}");
            }
        }
    });
}

#[test]
fn a_key_is_shown_once_listed_without_its_secret_and_dead_at_once_when_revoked() {
    run(async {
        let app = App::new().await;
        let answer =
            app.post("/v1/api-keys", &json!({ "name": "nightly", "scopes": ["read", "read"] })).await;
        let made = answer.expect(201);
        let (id, token) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
        assert_eq!(answer.header("location"), Some(format!("/v1/api-keys/{id}").as_str()));
        assert_eq!(made["scopes"], json!(["read"]), "{made}");
        let nightly = app.holding(token);
        nightly.get("/v1/verification/tasks").await.expect(200);

        let listed = app.get("/v1/api-keys").await;
        assert!(!listed.text().contains(token) && !listed.text().contains("hash"), "{}", listed.text());
        let keys = listed.expect(200)["data"].as_array().unwrap().clone();
        let key = keys.iter().find(|k| k["id"] == id).unwrap();
        assert_eq!((&key["name"], &key["revoked_at"]), (&json!("nightly"), &Value::Null));
        let used = key["last_used_at"].clone();
        assert!(used.is_string(), "{key}");
        nightly.get("/v1/verification/tasks").await.expect(200);
        let keys = app.all("/v1/api-keys", 1).await;
        let again = keys.iter().find(|k| k["id"] == id).unwrap();
        assert_eq!(again["last_used_at"], used, "written once an hour at most");

        assert_eq!(app.delete(&format!("/v1/api-keys/{id}")).await.status, 204);
        nightly.get("/v1/verification/tasks").await.problem(401, "unauthenticated");
        assert_eq!(app.delete(&format!("/v1/api-keys/{id}")).await.status, 204, "again changes nothing");
        let keys = app.all("/v1/api-keys", 200).await;
        let revoked = keys.iter().find(|k| k["id"] == id).unwrap();
        assert!(revoked["revoked_at"].is_string(), "{revoked}");
    });
}

#[test]
fn a_key_can_end_its_own_life() {
    run(async {
        let app = App::new().await;
        let own = app.all("/v1/api-keys", 200).await[0]["id"].as_str().unwrap().to_owned();
        assert_eq!(app.delete(&format!("/v1/api-keys/{own}")).await.status, 204);
        app.get("/v1/account/credits").await.problem(401, "unauthenticated");
    });
}

#[test]
fn a_key_stops_working_when_it_expires() {
    run(async {
        let app = App::new().await;
        let end = jiff::Timestamp::now() + jiff::SignedDuration::from_millis(1500);
        let body = json!({ "name": "short", "scopes": ["read"], "expires_at": end.to_string() });
        let made = app.post("/v1/api-keys", &body).await.expect(201);
        let short = app.holding(made["token"].as_str().unwrap());
        short.get("/v1/verification/tasks").await.expect(200);
        until("the end of the key", || async {
            let answer = short.get("/v1/verification/tasks").await;
            (answer.status != 200).then(|| answer.problem(401, "unauthenticated"))
        })
        .await;
        assert!(jiff::Timestamp::now() >= end, "not before its time");
    });
}

#[test]
fn a_key_cannot_give_what_it_does_not_have() {
    run(async {
        let keeper = App::with(&[Scope::Keys, Scope::Read]).await;
        for scopes in [json!(["admin"]), json!(["verify"]), json!(["read", "credits"])] {
            let body = json!({ "name": "more", "scopes": scopes });
            keeper.post("/v1/api-keys", &body).await.problem(403, "forbidden");
        }
        assert_eq!(keeper.all("/v1/api-keys", 200).await.len(), 1, "no key was made");
        let child = keeper.narrowed(&["keys"]).await;
        let body = json!({ "name": "back", "scopes": ["read"] });
        child.post("/v1/api-keys", &body).await.problem(403, "forbidden");
    });
}

#[test]
fn a_key_needs_a_name_a_scope_and_an_end_that_is_to_come() {
    run(async {
        let app = App::new().await;
        let good = json!({ "name": "n", "scopes": ["read"] });
        let with = |name: &str, value: Value| {
            let mut body = good.clone();
            body[name] = value;
            body
        };
        for (body, pointer) in [
            (with("name", json!("")), "#/name"),
            (with("name", json!("n".repeat(101))), "#/name"),
            (with("name", json!("a\u{7}b")), "#/name"),
            (with("scopes", json!([])), "#/scopes"),
            (with("scopes", json!(["read", "everything"])), "#/scopes/1"),
            (with("scopes", json!("read")), "#/scopes"),
            (with("expires_at", json!("2020-01-01T00:00:00Z")), "#/expires_at"),
            (with("expires_at", json!("tomorrow")), "#/expires_at"),
        ] {
            let problem = app.post("/v1/api-keys", &body).await.problem(400, "invalid-body");
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
        }
        assert_eq!(app.all("/v1/api-keys", 200).await.len(), 1, "no key was made");
    });
}

#[test]
fn a_bearer_token_is_as_good_as_the_header() {
    run(async {
        let app = App::new().await;
        for scheme in ["Bearer", "bearer"] {
            let request = app.anonymous(Method::GET, "/v1/account/credits");
            let request = request.header("authorization", format!("{scheme} {}", app.key));
            app.send(request).await.expect(200);
        }
        let request = app.anonymous(Method::GET, "/v1/account/credits");
        let request = request.header("authorization", format!("Basic {}", app.key));
        app.send(request).await.problem(401, "unauthenticated");
    });
}

#[test]
fn a_rolled_key_works_on_for_its_grace_and_the_new_one_from_now() {
    run(async {
        let app = App::new().await;
        let body = json!({ "name": "nightly", "scopes": ["read", "credits"] });
        let old = app.post("/v1/api-keys", &body).await.expect(201);
        let (id, token) = (old["id"].as_str().unwrap(), old["token"].as_str().unwrap());
        let path = format!("/v1/api-keys/{id}/roll");
        let begun = jiff::Timestamp::now();
        let answer = app.post(&path, &json!({ "grace_seconds": 2 })).await;
        let new = answer.expect(201);
        let location = format!("/v1/api-keys/{}", new["id"].as_str().unwrap());
        assert_eq!(answer.header("location"), Some(location.as_str()));
        assert_eq!((&new["name"], &new["scopes"]), (&old["name"], &old["scopes"]));
        assert!(
            new["id"] != old["id"] && new["token"] != old["token"] && new["expires_at"].is_null(),
            "{new}"
        );
        app.holding(new["token"].as_str().unwrap()).get("/v1/account/credits").await.expect(200);
        let keys = app.all("/v1/api-keys", 200).await;
        let listed = keys.iter().find(|k| k["id"] == id).unwrap();
        assert_eq!(listed["rolled_to"], new["id"], "{listed}");
        app.post(&path, &json!({})).await.problem(409, "wrong-state");
        let old = app.holding(token);
        until("the end of the grace", || async {
            let answer = old.get("/v1/account/credits").await;
            (answer.status != 200).then(|| answer.problem(401, "unauthenticated"))
        })
        .await;
        assert!(jiff::Timestamp::now() >= begun + jiff::SignedDuration::from_secs(2), "not before its time");
    });
}

#[test]
fn a_key_is_rolled_once_however_many_ask_and_never_beyond_its_own_end() {
    run(async {
        let app = App::new().await;
        let end = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(3600);
        let body = json!({ "name": "ends", "scopes": ["read"], "expires_at": end.to_string() });
        let made = app.post("/v1/api-keys", &body).await.expect(201);
        let path = format!("/v1/api-keys/{}/roll", made["id"].as_str().unwrap());
        let roll = json!({ "grace_seconds": 2_592_000 });
        let answers = futures::future::join_all((0..5).map(|_| app.post(&path, &roll))).await;
        let made_keys = answers.iter().filter(|a| a.status == 201).count();
        assert_eq!(made_keys, 1, "{answers:?}");
        for answer in answers.iter().filter(|a| a.status != 201) {
            answer.problem(409, "wrong-state");
        }
        let keys = app.all("/v1/api-keys", 200).await;
        assert_eq!(keys.len(), 3, "the app's own, the old and the new");
        let old = keys.iter().find(|k| k["id"] == made["id"]).unwrap();
        assert_eq!(old["expires_at"], made["expires_at"], "{old}");
    });
}

#[test]
fn a_key_is_rolled_only_by_who_has_all_that_it_has_and_only_while_it_lives() {
    run(async {
        let (app, other) = (App::new().await, App::new().await);
        let spare = async |scopes: Value| {
            let made =
                app.post("/v1/api-keys", &json!({ "name": "spare", "scopes": scopes })).await.expect(201);
            format!("/v1/api-keys/{}", made["id"].as_str().unwrap())
        };
        let rich = spare(json!(["read", "verify"])).await;
        let keeper = app.narrowed(&["keys", "read"]).await;
        keeper.post(&format!("{rich}/roll"), &json!({})).await.problem(403, "forbidden");
        other.post(&format!("{rich}/roll"), &json!({})).await.problem(404, "not-found");
        app.narrowed(&["read", "verify"])
            .await
            .post(&format!("{rich}/roll"), &json!({}))
            .await
            .problem(403, "forbidden");
        for wrong in [
            json!({ "grace_seconds": 2_592_001 }),
            json!({ "grace_seconds": -1 }),
            json!({ "expires_at": "2020-01-01T00:00:00Z" }),
            json!({ "scopes": ["admin"] }),
        ] {
            app.post(&format!("{rich}/roll"), &wrong).await.problem(400, "invalid-body");
        }
        assert_eq!(app.delete(&rich).await.status, 204);
        app.post(&format!("{rich}/roll"), &json!({})).await.problem(409, "wrong-state");
        app.post("/v1/api-keys/key_01j9z3k5m8n2p4q6r7s8t9v0wx/roll", &json!({}))
            .await
            .problem(404, "not-found");
    });
}
