//! Signing in: bearer tokens of every kind of issuer, users at first sight, `/v1/me`, administrators (P4, P7, P23).

use std::time::{Duration, Instant};

use account::Scope;
use futures::future::join_all;
use local::{Stack, identity};
use local_parties::{Manner, Signer, sign_shared};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{Answer, App, Operator, cool, run, stack, start};

/// Somebody with a token.
pub struct Person {
    base_url: String,
    pub token: String,
    client: Client,
}

impl Person {
    /// With this token, on the shared stack.
    pub fn with(token: String) -> Self {
        Self::on(stack(), token)
    }

    pub fn on(stack: &Stack, token: String) -> Self {
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { base_url: stack.base_url().to_owned(), token, client }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base_url)).bearer_auth(&self.token)
    }

    pub async fn send(&self, request: RequestBuilder) -> Answer {
        Answer::to(request).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    async fn body(&self, method: Method, path: &str, body: &Value) -> Answer {
        self.send(self.request(method, path).json(body)).await
    }
}

/// A name that nobody had before.
pub fn somebody() -> String {
    format!("user_{}", piecework_core::UserId::new())
}

/// A token of the stand-in as an OpenID Connect issuer, with these claims besides or instead.
pub fn oidc(stack: &Stack, claims: &Value) -> String {
    let now = jiff::Timestamp::now().as_second();
    let url = stack.issuer().url();
    let mut all =
        json!({ "iss": url, "aud": identity::AUDIENCE, "sub": "somebody", "iat": now, "exp": now + 600 });
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    stack.issuer().sign(Signer::Es256, &all)
}

#[test]
fn a_token_of_every_kind_of_issuer_signs_in_and_each_is_a_user_of_their_own() {
    run(async {
        let now = jiff::Timestamp::now().as_second();
        let (issuer, sub) = (stack().issuer(), somebody());
        let firebase = json!({ "iss": format!("https://securetoken.google.com/{}", identity::PROJECT), "aud": identity::PROJECT,
            "sub": sub, "auth_time": now - 5, "iat": now, "exp": now + 3600 });
        let supabase = json!({ "iss": identity::SUPABASE, "aud": "authenticated", "role": "authenticated", "sub": sub,
            "iat": now, "exp": now + 3600 });
        let secret = "super-secret-jwt-token-with-at-least-32-characters-long";
        let legacy = sign_shared(secret.as_bytes(), &json!({ "alg": "HS256", "typ": "JWT" }), &supabase);
        let mut users = Vec::new();
        for token in [
            issuer.sign(Signer::Rs256, &identity::claims(&sub, 60)),
            issuer.sign(Signer::Rs256, &firebase),
            issuer.sign(Signer::Es256, &supabase),
            oidc(stack(), &json!({ "sub": sub })),
        ] {
            let person = Person::with(token);
            let me = person.get("/v1/me").await.expect(200);
            assert_eq!(
                (&me["name"], &me["email"], &me["admin"]),
                (&json!("New user"), &Value::Null, &json!(false))
            );
            assert_eq!(me["scopes"], json!(["verify", "read", "credits", "keys", "workspaces", "personal"]));
            assert_eq!(person.get("/v1/me").await.expect(200), me, "the same the next time");
            let credits = person.get("/v1/account/credits").await.expect(200);
            assert_eq!(credits["balance"]["available"], 10_000);
            users.push(me["id"].clone());
        }
        // The same subject of the same issuer, by its legacy secret.
        assert_eq!(Person::with(legacy).get("/v1/me").await.expect(200)["id"], users[2]);
        users.sort_by_key(ToString::to_string);
        users.dedup();
        assert_eq!(users.len(), 4, "a subject is somebody else with each issuer");
    });
}

#[test]
fn fifty_first_requests_at_once_make_one_user_one_event_and_one_grant() {
    run(async {
        // A name of its own, by which the profiles are counted.
        let name = somebody();
        let token = oidc(stack(), &json!({ "sub": somebody(), "name": name }));
        let paths = ["/v1/me", "/v1/account/credits", "/v1/verification/tasks", "/v1/usage", "/v1/api-keys"];
        let people: Vec<Person> = (0..50).map(|_| Person::with(token.clone())).collect();
        let answers = join_all(people.iter().enumerate().map(|(n, p)| p.get(paths[n % paths.len()]))).await;
        for answer in &answers {
            answer.expect(200);
        }
        let ids: Vec<Value> = answers.iter().step_by(paths.len()).map(|a| a.json()["id"].clone()).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        let me = people[0].get("/v1/me").await.expect(200);
        assert_eq!(me["name"], name);
        let history = people[0].get("/v1/account/credits/history").await.expect(200);
        assert_eq!(history["data"].as_array().unwrap().len(), 1, "{history}");
        let credits = people[0].get("/v1/account/credits").await.expect(200);
        assert_eq!(
            (&credits["balance"]["granted"], credits["grants"].as_array().unwrap().len()),
            (&json!(10_000), 1)
        );
        let operator = Operator::of(stack());
        let user = format!("USER#{}", me["id"].as_str().unwrap());
        let kinds = operator.events(stack().table("AccountTable").unwrap(), &user).await;
        assert_eq!(kinds, ["account.user.created"]);
        assert_eq!(operator.named(stack().table("AccountTable").unwrap(), &name).await, 1, "one profile");
    });
}

#[test]
fn an_address_that_two_issuers_vouch_for_is_two_users() {
    run(async {
        let email = json!({ "email": "shared@corp.example", "email_verified": true });
        let with = |sub: String| {
            let mut claims = email.clone();
            claims["sub"] = sub.into();
            Person::with(oidc(stack(), &claims))
        };
        let (one, other) = (with(somebody()), with(somebody()));
        let (a, b) = (one.get("/v1/me").await.expect(200), other.get("/v1/me").await.expect(200));
        assert_eq!((&a["email"], &b["email"]), (&email["email"], &email["email"]));
        assert!(a["id"] != b["id"] && a["workspace"] != b["workspace"]);
    });
}

#[test]
fn the_address_follows_what_the_issuer_vouches_for_and_nothing_else() {
    run(async {
        let sub = somebody();
        let me = async |claims: Value| {
            let mut all = claims;
            all["sub"] = sub.clone().into();
            Person::with(oidc(stack(), &all)).get("/v1/me").await.expect(200)["email"].clone()
        };
        assert_eq!(me(json!({ "email": "a@corp.example" })).await, Value::Null);
        assert_eq!(me(json!({ "email": "a@corp.example", "email_verified": true })).await, "a@corp.example");
        assert_eq!(me(json!({ "email": "b@corp.example", "email_verified": false })).await, "a@corp.example");
        assert_eq!(me(json!({})).await, "a@corp.example");
        assert_eq!(
            me(json!({ "email": "b@corp.example", "email_verified": "true" })).await,
            "b@corp.example"
        );
    });
}

#[test]
fn a_user_changes_what_they_are_called_and_a_key_sees_it() {
    run(async {
        let person = Person::with(oidc(stack(), &json!({ "sub": somebody() })));
        let changed =
            person.body(Method::PATCH, "/v1/me", &json!({ "name": "  Grace Hopper " })).await.expect(200);
        assert_eq!(changed["name"], "Grace Hopper");
        assert_eq!(person.body(Method::PATCH, "/v1/me", &json!({})).await.expect(200), changed);
        assert_eq!(person.get("/v1/me").await.expect(200), changed);
        for wrong in [
            json!({ "name": "" }),
            json!({ "name": " " }),
            json!({ "name": "x".repeat(101) }),
            json!({ "name": "a\u{0}b" }),
            json!({ "email": "x@y.example" }),
            json!({ "admin": true }),
            json!({ "workspace": "wsp_1" }),
            json!([]),
        ] {
            person.body(Method::PATCH, "/v1/me", &wrong).await.problem(400, "invalid-body");
        }
        let key = person
            .body(Method::POST, "/v1/api-keys", &json!({ "name": "k", "scopes": ["read"] }))
            .await
            .expect(201);
        let app = App::with(&[Scope::Read]).await.holding(key["token"].as_str().unwrap());
        let seen = app.get("/v1/me").await.expect(200);
        assert_eq!(
            (&seen["id"], &seen["name"], &seen["scopes"]),
            (&changed["id"], &changed["name"], &json!(["read"]))
        );
        let denied = app.send(app.request(Method::PATCH, "/v1/me").json(&json!({ "name": "x" }))).await;
        denied.problem(403, "forbidden");
    });
}

#[test]
fn an_administrator_is_one_while_the_issuer_or_the_settings_say_so() {
    run(async {
        let stack = start(|options| {
            options.env.insert("ADMIN_EMAILS".into(), "root@corp.example".into());
        })
        .await;
        let sub = somebody();
        let ask = async |claims: Value| {
            let mut all = claims;
            all["sub"] = sub.clone().into();
            Person::on(&stack, oidc(&stack, &all)).get("/v1/admin/verification/tasks").await
        };
        ask(json!({})).await.problem(403, "forbidden");
        ask(json!({ "email": "root@corp.example" })).await.problem(403, "forbidden");
        ask(json!({ "email": "r\u{43e}\u{43e}t@corp.example", "email_verified": true }))
            .await
            .problem(403, "forbidden");
        ask(json!({ "email": "Root@corp.example", "email_verified": true })).await.expect(200);
        ask(json!({})).await.problem(403, "forbidden");
        let mut claims = identity::claims(&sub, 60);
        let token = |claims: &Value| stack.issuer().sign(Signer::Rs256, claims);
        Person::on(&stack, token(&claims))
            .get("/v1/admin/verification/tasks")
            .await
            .problem(403, "forbidden");
        claims["metadata"] = json!({ "role": "admin" });
        Person::on(&stack, token(&claims)).get("/v1/admin/verification/tasks").await.expect(200);
        stack.stop().await;
    });
}

#[test]
fn bad_tokens_and_an_issuer_that_hangs_are_refused_in_bounded_time() {
    run(async {
        let stack = start(|_| {}).await;
        let person = |token: String| Person::on(&stack, token);
        let now = jiff::Timestamp::now().as_second();
        let refused = async |token: String, why: &str| {
            let begun = Instant::now();
            let problem = person(token).get("/v1/account/credits").await.problem(401, "unauthenticated");
            assert!(problem["detail"].as_str().unwrap().contains(why), "{why}: {problem}");
            assert!(begun.elapsed() < Duration::from_secs(8), "{why} took {:?}", begun.elapsed());
        };
        let claims = |more: Value| {
            let mut all = json!({ "sub": "user_1" });
            for (name, value) in more.as_object().unwrap() {
                all[name] = value.clone();
            }
            all
        };
        // The issuer does not answer, or at too great length.
        for manner in [
            Manner::Hangs,
            Manner::Drips(Duration::from_millis(300)),
            Manner::Long(10_000_000),
            Manner::Fails(500),
        ] {
            stack.issuer().behave(manner.clone());
            cool(&stack);
            refused(oidc(&stack, &claims(json!({}))), "cannot be fetched").await;
        }
        stack.issuer().behave(Manner::Normal);
        cool(&stack);
        person(oidc(&stack, &claims(json!({})))).get("/v1/account/credits").await.expect(200);
        // Clocks ten minutes off, either way.
        refused(oidc(&stack, &claims(json!({ "iat": now + 600, "exp": now + 1200 }))), "not valid yet").await;
        refused(oidc(&stack, &claims(json!({ "nbf": now + 600 }))), "not valid yet").await;
        refused(oidc(&stack, &claims(json!({ "iat": now - 1200, "exp": now - 600 }))), "expired").await;
        // The longest token that the gateway lets through, and one that is taken.
        refused(oidc(&stack, &claims(json!({ "more": "x".repeat(6300) }))), "too long").await;
        let long = oidc(&stack, &claims(json!({ "more": "x".repeat(5700) })));
        assert!((7_800..8_192).contains(&long.len()), "{}", long.len());
        person(long).get("/v1/account/credits").await.expect(200);
        // A thousand invented keys.
        let before = stack.issuer().asked();
        let begun = Instant::now();
        for n in 0..1000 {
            let header = json!({ "alg": "ES256", "kid": format!("invented-{n}"), "typ": "JWT" });
            let body = json!({ "iss": stack.issuer().url(), "aud": identity::AUDIENCE, "sub": "x", "exp": now + 600 });
            let answer = person(stack.issuer().sign_as(Signer::Es256, &header, &body))
                .get("/v1/account/credits")
                .await;
            answer.problem(401, "unauthenticated");
        }
        // Twice a minute at most for each sandbox, of which one serves requests that come one after the other.
        let allowed = 1 + usize::try_from(begun.elapsed().as_secs() / 30).unwrap();
        let asked = stack.issuer().asked().keys - before.keys;
        assert!(asked <= allowed, "{asked} fetches for a thousand invented keys");
        // Odd headers.
        let app = App::on(&stack, &[Scope::Credits]).await;
        for text in [
            "",
            "Bearer",
            "Bearer ",
            "bearer  ",
            "Basic dTpw",
            "Token x",
            "Bearer a b",
            "Bearer \u{e9}",
            "Bearer null",
        ] {
            let value = reqwest::header::HeaderValue::from_bytes(text.as_bytes()).unwrap();
            let request = app.anonymous(Method::GET, "/v1/account/credits").header("authorization", value);
            app.send(request).await.problem(401, "unauthenticated");
        }
        let twice = app.anonymous(Method::GET, "/v1/account/credits");
        let twice = twice.bearer_auth(oidc(&stack, &claims(json!({})))).header("authorization", "Bearer x");
        app.send(twice).await.problem(401, "unauthenticated");
        stack.stop().await;
    });
}

#[test]
fn a_rotated_key_is_found_and_the_retired_one_ends() {
    run(async {
        let stack = start(|_| {}).await;
        let sub = somebody();
        let old = oidc(&stack, &json!({ "sub": sub }));
        let me = Person::on(&stack, old.clone()).get("/v1/me").await.expect(200);
        stack.issuer().rotate(false).unwrap();
        let new = Person::on(&stack, oidc(&stack, &json!({ "sub": sub })));
        // A sandbox that has not asked yet knows the new keys alone.
        cool(&stack);
        assert_eq!(new.get("/v1/me").await.expect(200), me);
        Person::on(&stack, old).get("/v1/me").await.problem(401, "unauthenticated");
        stack.stop().await;
    });
}

#[test]
fn who_signed_in_acts_in_the_workspace_they_name_as_what_they_are_there() {
    run(async {
        let owner = App::person(stack(), None).await;
        let made = owner.post("/v1/workspaces", &json!({ "name": "Team" })).await.expect(201);
        let id = made["id"].as_str().unwrap();
        let team = owner.inside(stack(), id, &[Scope::Read]).await;
        assert!(Operator::of(stack()).grant(&team, &somebody(), 100).await);
        let email = format!("{}@corp.example", somebody());
        let member = Person::with(oidc(
            stack(),
            &json!({ "sub": somebody(), "email": email, "email_verified": true }),
        ));
        let invitations = format!("/v1/workspaces/{id}/invitations");
        let invited =
            owner.post(&invitations, &json!({ "email": email, "role": "member" })).await.expect(201);
        let within = |method: Method, path: &str| member.request(method, path).header("x-workspace-id", id);
        let credits = "/v1/account/credits";
        member.send(within(Method::GET, credits)).await.problem(404, "not-found");
        let joined = member.post("/v1/invitations/accept", &json!({ "token": invited["token"] })).await;
        joined.expect(200);

        assert_eq!(member.send(within(Method::GET, credits)).await.expect(200)["balance"]["available"], 100);
        assert_eq!(member.get(credits).await.expect(200)["balance"]["available"], 10_000);
        let list = json!({ "emails": ["ada@gmail.com"] });
        let task = within(Method::POST, "/v1/verification/tasks").json(&list);
        let task = member.send(task).await.expect(202);
        let path = format!("/v1/verification/tasks/{}", task["id"].as_str().unwrap());
        team.get(&path).await.expect(200);
        member.get(&path).await.problem(404, "not-found");
        // Keys are for owners.
        member.send(within(Method::GET, "/v1/api-keys")).await.problem(403, "forbidden");
        // A key is one workspace's, whatever its user belongs to.
        let with = |workspace: &str| owner.request(Method::GET, credits).header("x-workspace-id", workspace);
        owner.send(with(id)).await.problem(404, "not-found");
        owner.send(with("team")).await.problem(404, "not-found");
        owner.send(with(&owner.workspace.to_string())).await.expect(200);

        let me = member.get("/v1/me").await.expect(200);
        let left = owner.delete(&format!("/v1/workspaces/{id}/members/{}", me["id"].as_str().unwrap())).await;
        assert_eq!(left.status, 204);
        member.send(within(Method::GET, credits)).await.problem(404, "not-found");
        assert_eq!(owner.delete(&format!("/v1/workspaces/{id}")).await.status, 204);
        let owner = Person::with(oidc(stack(), &json!({ "sub": somebody() })));
        let request = owner.request(Method::GET, credits).header("x-workspace-id", id);
        owner.send(request).await.problem(404, "not-found");
    });
}
