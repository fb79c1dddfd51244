//! Every route of the templates against everyone who should not get in.
//!
//! The routes come from the templates, who may call them from `openapi.json`, and their bodies from `events/`. A route with an id in
//! its path, or a cursor or an id among its parameters, must be given somebody else's: [`Belongings`] says which. What a route is
//! not put through is listed in `sweep/uncovered.txt`, which may only get shorter.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use account::Scope;
use billing::{Book, Grant, GrantSource};
use local::identity;
use local_parties::{Issuer, PADDLE_PRICES, Signer, sign_shared, unsigned};
use piecework_core::Currency;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::{
    paddle::Till,
    support::{Answer, App, Operator, root, run, stack},
    tokens::{Person, oidc, somebody},
};

/// Routes for anyone. A new one stands here because somebody decided so.
const PUBLIC: &[&str] = &[
    "GET /docs",
    "GET /openapi.json",
    "GET /v1/auth/sso/{provider}/callback",
    "GET /v1/auth/sso/{provider}/login",
    "GET /v1/docs",
    "GET /v1/health",
    "GET /v1/openapi.json",
    "GET /v1/payments/payfast/cancel",
    "GET /v1/payments/payfast/return",
    "POST /v1/payments/payfast/itn",
    "POST /v1/auth/logout",
    "POST /v1/auth/refresh",
    "POST /v1/webhooks/paddle",
];

/// Members of bodies that look like ids of somebody's and are not: prices are Paddle's.
const NOBODYS: [&str; 1] = ["price_id"];

/// Scopes that somebody who signed in has of their own accord.
const OWN: [&str; 5] = ["verify", "read", "credits", "keys", "personal"];

/// A route of the templates with callers.
struct Route {
    name: String,
    method: Method,
    path: String,
    /// The scope that a key needs for it.
    scope: String,
    /// Its example, if it takes a body.
    body: Option<Value>,
    /// The parameters of its query.
    query: BTreeSet<String>,
    /// Those that it must have, with the first value that they may have.
    required: Vec<String>,
}

impl Route {
    /// A path with the query that the route must have, and more.
    fn asked(&self, path: &str, more: &str) -> String {
        let query: Vec<&str> =
            self.required.iter().map(String::as_str).chain([more]).filter(|part| !part.is_empty()).collect();
        if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
    }
}

/// The routes with callers, and the names of those without.
fn routes() -> (Vec<Route>, BTreeSet<String>) {
    let text = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let description: Value = serde_json::from_str(&text("openapi.json")).unwrap();
    let (mut guarded, mut public) = (Vec::new(), BTreeSet::new());
    for route in stack().model().routes.iter().filter(|r| r.path != "$default") {
        let name = format!("{} {}", route.method, route.path);
        let operation = &description["paths"][&route.path][route.method.to_lowercase()];
        assert!(operation.is_object(), "{name} is not described");
        let security = operation["security"].as_array().unwrap();
        if security.iter().any(|way| way.as_object().unwrap().is_empty()) {
            public.insert(name);
            continue;
        }
        let said = operation["description"].as_str().unwrap();
        let scope = said.rsplit_once("with the scope `").unwrap().1.split('`').next().unwrap().to_owned();
        let event: Value = serde_json::from_str(&text(&format!("events/{}.json", route.function))).unwrap();
        let body = event["body"].as_str().map(|body| serde_json::from_str(body).unwrap());
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let query = parameters.iter().filter(|p| p["in"] == "query");
        // An id is somebody's, and filled in like one in the path.
        let few = |p: &&Value| p["required"] == true && p["name"] != "payment_id";
        let required = query.clone().filter(few).map(|parameter| {
            let schema = &parameter["schema"];
            let name = schema["$ref"].as_str().and_then(|r| r.rsplit('/').next()).unwrap_or_default();
            let values = [&schema["enum"], &description["components"]["schemas"][name]["enum"]];
            let first = values.iter().find_map(|v| v[0].as_str()).unwrap();
            format!("{}={first}", parameter["name"].as_str().unwrap())
        });
        let required = required.collect();
        guarded.push(Route {
            required,
            name,
            method: route.method.parse().unwrap(),
            path: route.path.clone(),
            scope,
            body,
            query: query.map(|p| p["name"].as_str().unwrap().to_owned()).collect(),
        });
    }
    (guarded, public)
}

/// What somebody has, by the beginning of the paths that lead to it.
struct Belongings {
    app: App,
    by_path: BTreeMap<&'static str, String>,
    /// A cursor for each list that has a second page.
    cursors: BTreeMap<String, String>,
}

impl Belongings {
    async fn new(routes: &[Route]) -> Self {
        let app =
            App::with(&[Scope::Verify, Scope::Read, Scope::Credits, Scope::Keys, Scope::Personal]).await;
        let task = app.task(&["ada@gmail.com", "bob@gmail.com"]).await;
        app.finished(&task).await;
        for _ in 0..2 {
            app.link(&json!({ "file_name": "a.csv", "size": 23 })).await;
        }
        app.task(&["cyd@gmail.com"]).await;
        let key = app.post("/v1/api-keys", &json!({ "name": "spare", "scopes": ["read"] })).await.expect(201);
        let key = key["id"].as_str().unwrap().to_owned();
        let begun = app.post("/v1/payments/payfast/initiate", &json!({ "amount": 1000 })).await.expect(201);
        let payment = begun["payment"]["id"].as_str().unwrap().to_owned();
        let user = app.get("/v1/me").await.expect(200)["id"].as_str().unwrap().parse().unwrap();
        let (operator, wallet) = (Operator::of(stack()), Book::wallet(user, Currency::ZAR, app.workspace));
        for gift in 0..2 {
            let gift = Grant::new(GrantSource::Manual, format!("{user} {gift}"), 1);
            assert!(operator.accounts.billing().grant(&wallet, &gift).await.unwrap());
        }
        // Two purchases, for there to be a second page of them.
        let (paddle, till) = (stack().paddle(), Till::on(stack()).await);
        let mut call = String::new();
        for _ in 0..if routes.is_empty() { 1 } else { 2 } {
            let buyer = json!({ "workspace": app.workspace });
            let transaction = paddle.transaction(&[(PADDLE_PRICES[0].0, 1)], buyer);
            let bought = till.done(&paddle.pay(&transaction)[1], "applied").await;
            call = bought["id"].as_str().unwrap().to_owned();
        }
        let entries = app.all("/v1/account/credits/history", 200).await;
        let held = entries.iter().find(|e| e["kind"] == "hold" && e["reference"] == task).unwrap();
        let by_path = BTreeMap::from([
            ("/v1/account/credits/entries/", held["id"].as_str().unwrap().to_owned()),
            ("/v1/admin/inbound/", call),
            ("/v1/api-keys/", key),
            ("/v1/verification/tasks/", task),
            ("/v1/payments/payfast/status", payment.clone()),
            ("/v1/admin/payments/payfast/", payment),
        ]);
        let mut all = Self { app, by_path, cursors: BTreeMap::new() };
        let support = App::with(&[Scope::Admin]).await;
        for route in routes.iter().filter(|r| r.query.contains("cursor")) {
            let Some(path) = all.fill(&route.path) else { continue };
            let app = if route.scope == "admin" { &support } else { &all.app };
            let page = app.get(&route.asked(&path, "limit=1")).await.expect(200);
            let next = [&page["next_cursor"], &page["transactions"]["next_cursor"]];
            if let Some(cursor) = next.iter().find_map(|next| next.as_str()) {
                all.cursors.insert(route.name.clone(), cursor.to_owned());
            }
        }
        all
    }

    /// The path with its parameters filled in; `None` if nothing is known that fits.
    fn fill(&self, path: &str) -> Option<String> {
        let Some((head, tail)) = path.split_once('{') else {
            // A payment is asked for by its id in the query.
            return Some(
                self.by_path
                    .get(path)
                    .map_or_else(|| path.to_owned(), |id| format!("{path}?payment_id={id}")),
            );
        };
        let (_, tail) = tail.split_once('}')?;
        let id = self.by_path.get(head)?;
        (!tail.contains('{')).then(|| format!("{head}{id}{tail}"))
    }
}

/// Counts what was asked and remembers what could not be.
#[derive(Default)]
struct Sweep {
    requests: usize,
    checks: BTreeSet<&'static str>,
    uncovered: BTreeSet<String>,
}

impl Sweep {
    /// Sends a request and expects this problem.
    async fn expect(
        &mut self,
        check: &'static str,
        route: &Route,
        app: &App,
        request: RequestBuilder,
        status: u16,
        kind: &str,
    ) -> Answer {
        self.requests += 1;
        self.checks.insert(check);
        let answer = app.send(request).await;
        let shown = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, status, "{}, {check}: {shown}", route.name);
        answer.problem(status, kind);
        answer
    }

    fn cannot(&mut self, check: &'static str, route: &Route) {
        self.uncovered.insert(format!("{}: {check}", route.name));
    }
}

fn dressed(route: &Route, request: RequestBuilder) -> RequestBuilder {
    match &route.body {
        Some(body) => request.json(body),
        None => request,
    }
}

/// Tokens that are good but for one thing, by what that is.
fn bad_tokens(stranger: &Issuer) -> Vec<(&'static str, String)> {
    let (stack, now) = (stack(), jiff::Timestamp::now().as_second());
    let issuer = stack.issuer();
    let claims = json!({ "iss": issuer.url(), "aud": identity::AUDIENCE, "sub": "eve", "exp": now + 600 });
    let with = |more: Value| oidc(stack, &more);
    let good = with(json!({}));
    let (signed, _) = good.rsplit_once('.').unwrap();
    let keys = issuer.key_set();
    let header = json!({ "alg": "HS256", "typ": "JWT", "kid": "rsa-0" });
    let supabase = json!({ "iss": identity::SUPABASE, "aud": "authenticated", "role": "authenticated", "sub": "eve", "exp": now + 600 });
    let service = json!({ "iss": "supabase", "role": "service_role", "exp": now + 600 });
    let mut foreign = claims.clone();
    foreign["iss"] = stranger.url().into();
    let mut party = identity::claims("eve", 600);
    party["azp"] = "https://evil.example".into();
    let key = keys["keys"][0].to_string();
    let es = json!({ "alg": "ES256", "kid": "ec-0", "typ": "JWT" });
    let mut critical = es.clone();
    critical["crit"] = json!(["exp"]);
    vec![
        ("a malformed token", "nonsense".to_owned()),
        ("an empty token", "e30.e30.".to_owned()),
        ("an expired token", with(json!({ "iat": now - 900, "exp": now - 300 }))),
        ("a token for later", with(json!({ "nbf": now + 300 }))),
        ("another issuer", stranger.sign(Signer::Es256, &foreign)),
        ("another's signature", stranger.sign_as(Signer::Es256, &es, &claims)),
        ("no signature", format!("{signed}.")),
        ("another audience", with(json!({ "aud": "another" }))),
        ("another party", issuer.sign(Signer::Rs256, &party)),
        ("alg=none", unsigned(&json!({ "alg": "none", "typ": "JWT" }), &claims)),
        ("key confusion", sign_shared(key.as_bytes(), &header, &claims)),
        ("key confusion where HS256 is taken", sign_shared(key.as_bytes(), &header, &supabase)),
        (
            "a project's public key",
            sign_shared(b"super-secret-jwt-token-with-at-least-32-characters-long", &header, &service),
        ),
        ("a critical header", issuer.sign_as(Signer::Es256, &critical, &claims)),
        ("a forged session", "pws_e30.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned()),
        ("no subject", with(json!({ "sub": "" }))),
    ]
}

#[test]
fn nobody_gets_in_anywhere_who_should_not() {
    run(async {
        let (routes, public) = routes();
        assert_eq!(public, PUBLIC.iter().map(|r| (*r).to_owned()).collect(), "the routes for anyone");
        let theirs = Belongings::new(&routes).await;
        let mine = Belongings::new(&routes).await;
        let before = (theirs.app.belongings().await, theirs.app.all("/v1/api-keys", 200).await);
        let stranger = Issuer::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let tokens = bad_tokens(&stranger);
        let revoked = mine.app.narrowed(&["verify", "read", "credits", "keys", "personal"]).await;
        let own = mine.app.all("/v1/api-keys", 200).await;
        let id = own.iter().rfind(|k| k["name"] == "narrowed").unwrap()["id"].as_str().unwrap().to_owned();
        assert_eq!(mine.app.delete(&format!("/v1/api-keys/{id}")).await.status, 204);
        let admin = App::with(&[Scope::Admin]).await;
        let outsider = Person::with(oidc(stack(), &json!({ "sub": somebody() })));
        outsider.get("/v1/me").await.expect(200);
        let mut sweep = Sweep::default();
        let (app, unauthenticated) = (&mine.app, "unauthenticated");

        for route in &routes {
            // With their owner's ids, so that only the credentials are wrong.
            let Some(path) = mine.fill(&route.path) else {
                sweep.cannot("everything", route);
                continue;
            };
            let anonymous = |path: &str| dressed(route, app.anonymous(route.method.clone(), path));
            let answer =
                sweep.expect("no credentials", route, app, anonymous(&path), 401, unauthenticated).await;
            assert!(answer.header("www-authenticate").is_some(), "{}", route.name);
            let request = anonymous(&path).basic_auth("u", Some("p"));
            sweep.expect("another scheme", route, app, request, 401, unauthenticated).await;
            for (check, token) in &tokens {
                let request = anonymous(&path).bearer_auth(token);
                sweep.expect(check, route, app, request, 401, unauthenticated).await;
            }
            let truncated = &app.key[..app.key.len() - 1];
            for (check, key) in [
                ("a malformed key", "nonsense"),
                ("a truncated key", truncated),
                ("a revoked key", &revoked.key),
            ] {
                let request = anonymous(&path).header("x-api-key", key);
                sweep.expect(check, route, app, request, 401, unauthenticated).await;
                let request = anonymous(&path).bearer_auth(key);
                sweep.expect(check, route, app, request, 401, unauthenticated).await;
            }
            // A bad key is not made good by a good token beside it.
            let request = anonymous(&path).header("x-api-key", &revoked.key).bearer_auth(&outsider.token);
            sweep.expect("a revoked key beside a token", route, app, request, 401, unauthenticated).await;

            // A key with every scope but the right one.
            let others: Vec<&str> = OWN.into_iter().filter(|scope| *scope != route.scope).collect();
            let poor = app.narrowed(&others).await;
            let request = anonymous(&path).header("x-api-key", &poor.key);
            sweep.expect("the wrong scope", route, app, request, 403, "forbidden").await;
            // A role of somebody else: support acts for nobody, and nobody else is support.
            let wrong = match route.scope.as_str() {
                "admin" => anonymous(&path).bearer_auth(&outsider.token),
                _ => anonymous(&path).header("x-api-key", &admin.key),
            };
            sweep.expect("the wrong role", route, app, wrong, 403, "forbidden").await;

            // Another's things, with good credentials of one's own: by key and by token.
            // What support looks at is everybody's.
            if (route.path.contains('{') || route.query.contains("payment_id")) && route.scope != "admin" {
                let foreign = theirs.fill(&route.path).unwrap();
                for check in [
                    "another's id in the path or query, by key",
                    "another's id in the path or query, by token",
                ] {
                    let request = anonymous(&foreign);
                    let request = match check.ends_with("key") {
                        true => request.header("x-api-key", &app.key),
                        false => request.bearer_auth(&outsider.token),
                    };
                    sweep.expect(check, route, app, request, 404, "not-found").await;
                }
            }
            if route.query.contains("workspace") {
                let path = format!("{path}?workspace={}", theirs.app.workspace);
                let request = anonymous(&path).bearer_auth(&outsider.token);
                sweep.expect("another's workspace", route, app, request, 403, "forbidden").await;
            }
            if route.query.contains("cursor") {
                let key = if route.scope == "admin" { &admin.key } else { &app.key };
                match theirs.cursors.get(&route.name) {
                    Some(cursor) => {
                        let path = route.asked(&path, &format!("cursor={cursor}"));
                        let request = anonymous(&path).header("x-api-key", key);
                        sweep.expect("another's cursor", route, app, request, 400, "invalid-cursor").await;
                    }
                    None => sweep.cannot("another's cursor", route),
                }
            }
            // An id in the body would be another's too: every name in a body that could hold one is known to hold none.
            let ids = route.body.iter().flat_map(|b| b.as_object()).flatten();
            for (name, value) in ids {
                let is_id = value
                    .as_str()
                    .is_some_and(|v| v.split_once('_').is_some_and(|(_, rest)| rest.len() == 26));
                if NOBODYS.contains(&name.as_str()) {
                    continue;
                }
                if is_id || name.ends_with("_id") || name.ends_with("_ids") {
                    sweep.cannot("another's id in the body", route);
                }
            }
        }

        assert_eq!(
            (theirs.app.belongings().await, theirs.app.all("/v1/api-keys", 200).await),
            before,
            "nothing happened to them"
        );

        // The same requests with the right credentials get in: what was refused was refused for who asked.
        for route in &routes {
            let owner = Belongings::new(&[]).await;
            let Some(path) = owner.fill(&route.path) else { continue };
            let key = if route.scope == "admin" { &admin.key } else { &owner.app.key };
            let path = route.asked(&path, "");
            let request = dressed(route, app.anonymous(route.method.clone(), &path)).header("x-api-key", key);
            let answer = app.send(request).await;
            assert!(answer.status < 400 || [409, 410].contains(&answer.status), "{}: {answer:?}", route.name);
            sweep.requests += 1;
        }

        let list = fs::read_to_string(root().join("tests/stack/tests/sweep/uncovered.txt")).unwrap();
        let stated: BTreeSet<String> =
            list.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).map(str::to_owned).collect();
        assert_eq!(sweep.uncovered, stated, "tests/stack/tests/sweep/uncovered.txt");
        println!(
            "the sweep: {} routes, {} public, {} checks, {} requests, {} uncovered",
            routes.len(),
            public.len(),
            sweep.checks.len(),
            sweep.requests,
            sweep.uncovered.len()
        );
    });
}
