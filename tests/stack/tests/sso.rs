//! Single sign-on: a browser goes to the provider and comes back; every mismatch, replay and delay is refused (P6).

use std::collections::BTreeMap;

use local::Stack;
use local_parties::{CLIENT, Issuer, Manner};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::{
    support::{Answer, Operator, cool, run, start, until},
    tokens::{Person, oidc, somebody},
};

/// A browser: it keeps cookies by their names, and goes nowhere by itself.
struct Browser {
    base_url: String,
    client: Client,
    cookies: BTreeMap<String, String>,
}

/// Where a login goes and comes from: the query of the callback.
type Back = BTreeMap<String, String>;

impl Browser {
    fn of(stack: &Stack) -> Self {
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { base_url: stack.base_url().to_owned(), client, cookies: BTreeMap::new() }
    }

    async fn send(&mut self, method: Method, url: &str, body: Option<Value>) -> Answer {
        let url = if url.starts_with('/') { format!("{}{url}", self.base_url) } else { url.to_owned() };
        let cookies: Vec<String> = self.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let mut request = self.client.request(method, url);
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        for cookie in headers.get_all("set-cookie") {
            let text = cookie.to_str().unwrap();
            assert!(text.contains("; HttpOnly; Secure; SameSite="), "{text}");
            let (name, rest) = text.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            match rest.contains("Max-Age=0") {
                true => drop(self.cookies.remove(name)),
                false => drop(self.cookies.insert(name.to_owned(), value.to_owned())),
            }
        }
        Answer { status, headers, body: response.bytes().await.unwrap() }
    }

    async fn get(&mut self, url: &str) -> Answer {
        self.send(Method::GET, url, None).await
    }

    /// To the provider, and what it sends back.
    async fn depart(&mut self, query: &str) -> Back {
        let away = self.get(&format!("/v1/auth/sso/local/login{query}")).await;
        assert_eq!(away.status, 303, "{away:?}");
        let at_provider = self.get(away.header("location").unwrap()).await;
        assert_eq!(at_provider.status, 302, "{at_provider:?}");
        let back = reqwest::Url::parse(at_provider.header("location").unwrap()).unwrap();
        assert_eq!(back.path(), "/v1/auth/sso/local/callback");
        back.query_pairs().into_owned().collect()
    }

    async fn arrive(&mut self, back: &Back) -> Answer {
        let query: Vec<String> = back.iter().map(|(n, v)| format!("{n}={v}")).collect();
        self.get(&format!("/v1/auth/sso/local/callback?{}", query.join("&"))).await
    }

    async fn sign_in(&mut self) -> Answer {
        let back = self.depart("").await;
        self.arrive(&back).await
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

async fn me(stack: &Stack, signed_in: &Value) -> Value {
    Person::on(stack, text(&signed_in["access_token"])).get("/v1/me").await.expect(200)
}

#[test]
fn a_browser_signs_in_refreshes_and_signs_out() {
    run(async {
        let stack = start(|_| {}).await;
        let mut browser = Browser::of(&stack);
        let answer = browser.sign_in().await;
        let first = answer.expect(200);
        assert_eq!((&first["token_type"], &first["expires_in"]), (&json!("Bearer"), &json!(600)));
        let who = me(&stack, &first).await;
        assert_eq!(who["email"], "somebody@corp.example");
        let person = Person::on(&stack, text(&first["access_token"]));
        assert_eq!(person.get("/v1/account/credits").await.expect(200)["balance"]["available"], 10_000);
        assert_eq!(
            browser.cookies.keys().collect::<Vec<_>>(),
            ["__Secure-piecework-refresh"],
            "the login's is gone"
        );

        // By the cookie, and by the body; each once.
        let second = browser.send(Method::POST, "/v1/auth/refresh", Some(json!({}))).await.expect(200);
        assert!(second["refresh_token"] != first["refresh_token"]);
        assert_eq!(me(&stack, &second).await, who);
        let mut elsewhere = Browser::of(&stack);
        let third = json!({ "refresh_token": second["refresh_token"] });
        let third = elsewhere.send(Method::POST, "/v1/auth/refresh", Some(third)).await.expect(200);
        assert_eq!(me(&stack, &third).await, who);

        let out = json!({ "refresh_token": third["refresh_token"] });
        for _ in 0..2 {
            assert_eq!(elsewhere.send(Method::POST, "/v1/auth/logout", Some(out.clone())).await.status, 204);
        }
        let refused = elsewhere.send(Method::POST, "/v1/auth/refresh", Some(out)).await;
        refused.problem(401, "unauthenticated");
        // The same person again is the same user.
        let again = browser.sign_in().await.expect(200);
        assert_eq!(me(&stack, &again).await, who);

        // An ended session's access token is refused too; and of none is anything left when its user goes.
        let ended = Person::on(&stack, text(&third["access_token"]));
        ended.get("/v1/me").await.problem(401, "unauthenticated");
        let person = Person::on(&stack, text(&again["access_token"]));
        let receipt = person.send(person.request(Method::DELETE, "/v1/me")).await.expect(202);
        let path = format!("/v1/erasures/{}", receipt["id"].as_str().unwrap());
        until("the end of the erasure", || async {
            (person.get(&path).await.expect(200)["state"] == "completed").then_some(())
        })
        .await;
        let user = who["id"].as_str().unwrap();
        for item in Operator::of(&stack).items("AccountTable").await {
            let passing = item["sk"].as_s().unwrap().starts_with("EVENT#") && item.contains_key("expires_at");
            assert!(passing || !format!("{item:?}").contains(user), "{item:?}");
        }
        stack.stop().await;
    });
}

#[test]
fn a_refresh_token_that_comes_again_ends_its_session_and_a_race_does_not() {
    run(async {
        let stack = start(|_| {}).await;
        let operator = Operator::of(&stack);
        let table = stack.table("AccountTable").unwrap();
        let mut browser = Browser::of(&stack);
        let refresh = async |token: &Value| {
            let body = json!({ "refresh_token": token });
            Browser::of(&stack).send(Method::POST, "/v1/auth/refresh", Some(body)).await
        };
        let first = browser.sign_in().await.expect(200)["refresh_token"].clone();
        // Ten tabs at once: one gets tokens, and the session lives on.
        let tabs = futures::future::join_all((0..10).map(|_| refresh(&first))).await;
        let won: Vec<_> = tabs.iter().filter(|t| t.status == 200).collect();
        assert_eq!(won.len(), 1, "{tabs:?}");
        for lost in tabs.iter().filter(|t| t.status != 200) {
            lost.problem(409, "wrong-state");
        }
        let second = won[0].json()["refresh_token"].clone();
        let third = refresh(&second).await.expect(200)["refresh_token"].clone();
        // Long before the last: a copy.
        refresh(&first).await.problem(401, "unauthenticated");
        refresh(&third).await.problem(401, "unauthenticated");

        // The one before the last, but not a moment ago.
        let first = browser.sign_in().await.expect(200)["refresh_token"].clone();
        let second = refresh(&first).await.expect(200)["refresh_token"].clone();
        operator.age_sessions(table).await;
        refresh(&first).await.problem(401, "unauthenticated");
        refresh(&second).await.problem(401, "unauthenticated");

        // Forged, changed, somebody else's form, too old.
        let good = text(&browser.sign_in().await.expect(200)["refresh_token"]);
        let (head, tag) = good.rsplit_once('.').unwrap();
        let (session, _) = head.rsplit_once('.').unwrap();
        for wrong in [
            "",
            "pwr_",
            "nonsense",
            &format!("{session}.2.{tag}"),
            &format!("{head}."),
            &good[..good.len() - 2],
        ] {
            refresh(&json!(wrong)).await.problem(401, "unauthenticated");
        }
        operator.end_sessions(table).await;
        refresh(&json!(good)).await.problem(401, "unauthenticated");
        stack.stop().await;
    });
}

#[test]
fn an_access_token_of_a_session_is_ours_alone() {
    run(async {
        let stack = start(|_| {}).await;
        let signed_in = Browser::of(&stack).sign_in().await.expect(200);
        let token = text(&signed_in["access_token"]);
        let (payload, tag) = token.strip_prefix("pws_").unwrap().rsplit_once('.').unwrap();
        let (session, expires) = payload.split_once('.').unwrap();
        let later = expires.parse::<u64>().unwrap() + 1;
        let refresh = text(&signed_in["refresh_token"]);
        let swapped = format!("pws_{}", refresh.strip_prefix("pwr_").unwrap());
        for wrong in [
            format!("pws_{payload}"),
            format!("pws_{payload}."),
            format!("pws_{payload}.{tag}x"),
            format!("pws_x{payload}.{tag}"),
            format!("pws_{session}.{later}.{tag}"),
            swapped,
            refresh,
        ] {
            Person::on(&stack, wrong).get("/v1/me").await.problem(401, "unauthenticated");
        }
        Person::on(&stack, token).get("/v1/me").await.expect(200);
        stack.stop().await;
    });
}

#[test]
fn a_login_is_bound_to_its_browser_its_time_and_its_provider_and_ends_once() {
    run(async {
        let stack = start(|_| {}).await;
        let mut browser = Browser::of(&stack);
        let refused = |answer: Answer, why: &str| {
            let problem = answer.problem(400, "invalid-query");
            assert!(problem["detail"].as_str().unwrap().contains(why), "{why}: {problem}");
        };
        // Once.
        let back = browser.depart("").await;
        let mut twin = Browser::of(&stack);
        twin.cookies = browser.cookies.clone();
        browser.arrive(&back).await.expect(200);
        refused(twin.arrive(&back).await, "over");
        refused(browser.arrive(&back).await, "over");
        // By another browser: an attacker's login in a victim's browser, or the other way round.
        let back = browser.depart("").await;
        refused(Browser::of(&stack).arrive(&back).await, "another browser");
        refused(browser.arrive(&back).await, "over");
        // With another login's cookie under its own name.
        let (one, cookies) = (browser.depart("").await, browser.cookies.clone());
        let mut other = Browser::of(&stack);
        other.depart("").await;
        let mine = cookies.keys().find(|n| n.starts_with("__Host-")).unwrap().clone();
        let value = other.cookies.values().next().unwrap().clone();
        other.cookies = BTreeMap::from([(mine, value)]);
        refused(other.arrive(&one).await, "another browser");
        // Two tabs of one browser.
        let mut browser = Browser::of(&stack);
        let (first, second) = (browser.depart("").await, browser.depart("").await);
        browser.arrive(&first).await.expect(200);
        browser.arrive(&second).await.expect(200);
        // State forged, missing, long.
        let mut back = browser.depart("").await;
        for state in ["", "x", &"x".repeat(5000)] {
            back.insert("state".into(), state.into());
            refused(browser.arrive(&back).await, "over");
        }
        back.remove("state");
        refused(browser.arrive(&back).await, "over");
        // Too late.
        let back = browser.depart("").await;
        Operator::of(&stack).end_logins(stack.table("AccountTable").unwrap()).await;
        refused(browser.arrive(&back).await, "over");
        // The provider says no, or another answers in its place (RFC 9207).
        for (error, shown) in [("access_denied", "access_denied"), ("<script>", "not known here")] {
            let mut back = browser.depart("").await;
            back.remove("code");
            back.insert("error".into(), error.into());
            refused(browser.arrive(&back).await, shown);
        }
        let mut back = browser.depart("").await;
        back.insert("iss".into(), "https://evil.example".into());
        refused(browser.arrive(&back).await, "another issuer");
        let mut back = browser.depart("").await;
        back.remove("code");
        refused(browser.arrive(&back).await, "no code");
        let mut back = browser.depart("").await;
        back.insert("code".into(), "code-of-somebody-else".into());
        refused(browser.arrive(&back).await, "does not take the code");
        // A code of another login: the verifier does not fit.
        let (one, mut two) = (browser.depart("").await, browser.depart("").await);
        two.insert("code".into(), one["code"].clone());
        refused(browser.arrive(&two).await, "does not take the code");
        for path in [
            "/v1/auth/sso/nobody/login",
            "/v1/auth/sso/nobody/callback?state=x&code=y",
            "/v1/auth/sso/LOCAL/login",
        ] {
            browser.get(path).await.problem(404, "not-found");
        }
        stack.stop().await;
    });
}

#[test]
fn an_id_token_that_does_not_fit_its_login_signs_nobody_in() {
    run(async {
        let stack = start(|_| {}).await;
        let now = jiff::Timestamp::now().as_second();
        let mut browser = Browser::of(&stack);
        for (twist, why) in [
            (json!({ "nonce": "another" }), "nonce"),
            (json!({ "nonce": null }), "nonce"),
            (json!({ "aud": "another-client" }), "audience"),
            (json!({ "aud": [CLIENT, "another-client"] }), "party"),
            (json!({ "aud": [CLIENT, "another-client"], "azp": "another-client" }), "party"),
            (json!({ "iss": "https://evil.example" }), "issuer"),
            (json!({ "exp": now - 600 }), "expired"),
            (json!({ "iat": now - 900 }), "iat"),
            (json!({ "iat": now + 900 }), "not valid yet"),
            (json!({ "iat": null }), "iat"),
            (json!({ "sub": null }), "sub"),
            (json!({ "at_hash": "AAAAAAAAAAAAAAAAAAAAAA" }), "at_hash"),
        ] {
            stack.issuer().twist(twist.clone());
            let problem = browser.sign_in().await.problem(401, "unauthenticated");
            assert!(problem["detail"].as_str().unwrap().contains(why), "{twist}: {problem}");
            assert!(!browser.cookies.contains_key("__Secure-piecework-refresh"));
        }
        stack.issuer().twist(json!({ "aud": [CLIENT], "at_hash": null }));
        browser.sign_in().await.expect(200);
        // The provider fails between the departure and the arrival: nobody is signed in, and the login is over.
        let back = browser.depart("").await;
        stack.issuer().behave(Manner::Fails(500));
        cool(&stack);
        browser.arrive(&back).await.problem(503, "unavailable");
        browser.get("/v1/auth/sso/local/login").await.problem(503, "unavailable");
        stack.issuer().behave(Manner::NamesAnother);
        browser.get("/v1/auth/sso/local/login").await.problem(503, "unavailable");
        stack.issuer().behave(Manner::Normal);
        browser.arrive(&back).await.problem(400, "invalid-query");
        browser.sign_in().await.expect(200);
        stack.stop().await;
    });
}

#[test]
fn a_browser_goes_on_to_a_path_of_this_origin_and_nowhere_else() {
    run(async {
        let stack = start(|_| {}).await;
        let mut browser = Browser::of(&stack);
        let back = browser.depart("?return_to=%2Fapp%3Fx%3D1").await;
        let answer = browser.arrive(&back).await;
        assert_eq!((answer.status, answer.header("location"), answer.body.len()), (303, Some("/app?x=1"), 0));
        browser.send(Method::POST, "/v1/auth/refresh", Some(json!({}))).await.expect(200);
        for wrong in [
            "https%3A%2F%2Fevil.example",
            "%2F%2Fevil.example",
            "%2F%5Cevil.example",
            "app",
            "%2Fa%0d%0ax",
            "",
        ] {
            let answer = browser.get(&format!("/v1/auth/sso/local/login?return_to={wrong}")).await;
            answer.problem(400, "invalid-query");
        }
        stack.stop().await;
    });
}

#[test]
fn a_verified_address_links_identities_of_providers_that_may_and_of_nobody_else() {
    run(async {
        let second = Issuer::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let third = Issuer::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let (two, three) = (second.url().to_owned(), third.url().to_owned());
        let one = Issuer::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let first = one.url().to_owned();
        let stack = start(move |options| {
            let provider = |name: &str, issuer: &str, link: bool| {
                json!({ "name": name, "issuer": issuer, "client_id": CLIENT, "link": link, "algorithms": ["ES256"] })
            };
            let all = json!([provider("local", &first, true), provider("two", &two, true), provider("three", &three, false)]);
            options.env.insert("SSO_PROVIDERS".into(), all.to_string());
            let secret = local_parties::CLIENT_SECRET;
            options.env.insert("SSO_SECRETS".into(), json!({ "local": secret, "two": secret, "three": secret }).to_string());
        })
        .await;
        let sign_in = async |issuer: &Issuer, name: &str, claims: Value| {
            issuer.person(claims);
            let mut browser = Browser::of(&stack);
            let away = browser.get(&format!("/v1/auth/sso/{name}/login")).await;
            let back = browser.get(away.header("location").unwrap()).await;
            let back = back.header("location").unwrap().to_owned();
            let signed_in = browser.get(&back).await.expect(200);
            me(&stack, &signed_in).await
        };
        let claims = |sub: &str, email: &str, verified: Value| json!({ "sub": sub, "email": email, "email_verified": verified });
        let (a, b) = (somebody(), somebody());
        let ada = sign_in(&one, "local", claims(&a, "Ada@corp.example", json!(true))).await;
        assert_eq!(
            sign_in(&second, "two", claims(&b, "ada@corp.example", json!("true"))).await["id"],
            ada["id"],
            "linked"
        );
        assert_eq!(
            sign_in(&second, "two", claims(&b, "ada@corp.example", json!(false))).await["id"],
            ada["id"],
            "for good"
        );
        for (issuer, name, email, verified) in [
            (&second, "two", "ada@corp.example", json!(false)),
            (&second, "two", "ada@corp.example", Value::Null),
            (&second, "two", "\u{430}da@corp.example", json!(true)),
            (&second, "two", "ada@corp.example.", json!(true)),
            (&third, "three", "ada@corp.example", json!(true)),
        ] {
            let other = sign_in(issuer, name, claims(&somebody(), email, verified.clone())).await;
            assert_ne!(other["id"], ada["id"], "{name} {email} {verified}");
        }
        // The address that links follows its user: the one before is somebody else's when it comes again.
        let moved = sign_in(&one, "local", claims(&a, "ada.new@corp.example", json!(true))).await;
        assert_eq!((&moved["id"], &moved["email"]), (&ada["id"], &json!("ada.new@corp.example")));
        let adam = sign_in(&second, "two", claims(&somebody(), "ada@corp.example", json!(true))).await;
        assert_ne!(adam["id"], ada["id"]);
        let again = sign_in(&second, "two", claims(&somebody(), "Ada.New@corp.example", json!(true))).await;
        assert_eq!(again["id"], ada["id"]);
        // Many first sign-ins at once under one address, by several identities: one user.
        let email = "crowd@corp.example";
        let mut backs = Vec::new();
        for _ in 0..8 {
            one.person(claims(&somebody(), email, json!(true)));
            let mut browser = Browser::of(&stack);
            let back = browser.depart("").await;
            backs.push((browser, back));
        }
        let answers =
            futures::future::join_all(backs.iter_mut().map(|(browser, back)| browser.arrive(back))).await;
        let mut users = Vec::new();
        for answer in answers {
            users.push(me(&stack, &answer.expect(200)).await["id"].clone());
        }
        assert!(users.iter().all(|user| *user == users[0]), "{users:?}");
        stack.stop().await;
    });
}

#[test]
fn an_erased_user_is_out_at_once_and_comes_back_as_somebody_new_without_another_grant() {
    run(async {
        let stack = start(|_| {}).await;
        let (sub, now) = (somebody(), jiff::Timestamp::now().as_second());
        let person = json!({ "sub": sub, "email": "leaves@corp.example", "email_verified": true });
        stack.issuer().person(person);
        let mut browser = Browser::of(&stack);
        let signed_in = browser.sign_in().await.expect(200);
        let session = Person::on(&stack, text(&signed_in["access_token"]));
        let token = |issued: i64| Person::on(&stack, oidc(&stack, &json!({ "sub": sub, "iat": issued })));
        let before = token(now);
        let who = before.get("/v1/me").await.expect(200);
        assert_eq!(session.get("/v1/me").await.expect(200)["id"], who["id"]);

        before.send(before.request(Method::DELETE, "/v1/me")).await.expect(202);
        for out in [&session, &before] {
            out.get("/v1/me").await.problem(401, "unauthenticated");
            out.get("/v1/account/credits").await.problem(401, "unauthenticated");
        }
        let refreshed = browser.send(Method::POST, "/v1/auth/refresh", Some(json!({}))).await;
        refreshed.problem(401, "unauthenticated");

        // Made after it: within the skew that an issuer's clock is allowed.
        let back = token(jiff::Timestamp::now().as_second() + 5);
        let new = back.get("/v1/me").await.expect(200);
        assert!(new["id"] != who["id"] && new["workspace"] != who["workspace"], "{new}");
        assert_eq!(back.get("/v1/account/credits").await.expect(200)["balance"]["available"], 0);
        let signed_in = browser.sign_in().await.expect(200);
        assert_eq!(me(&stack, &signed_in).await["id"], new["id"]);
        stack.stop().await;
    });
}
