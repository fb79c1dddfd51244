//! What the sweep gives and takes: somebody's things, for routes that name them.

use std::collections::BTreeMap;

use account::Scope;
use billing::{Book, Grant, GrantSource};
use local_parties::PADDLE_PRICES;
use piecework_core::Currency;
use serde_json::{Value, json};

use super::Route;
use crate::{
    paddle::Till,
    support::{App, Operator, stack},
    tokens::{Person, oidc, somebody},
};

/// What somebody has, by the beginning of the paths that lead to it.
pub(super) struct Belongings {
    pub(super) app: App,
    pub(super) by_path: BTreeMap<&'static str, String>,
    /// Bodies that name something of theirs, and what is said to somebody whose it is not.
    pub(super) bodies: BTreeMap<&'static str, (Value, u16, &'static str)>,
    /// A token of somebody who is a member of their workspace.
    pub(super) member: Person,
    /// The workspace that has two of them.
    pub(super) shared: String,
    /// A cursor for each list that has a second page.
    pub(super) cursors: BTreeMap<String, String>,
}

impl Belongings {
    pub(super) async fn new(routes: &[Route]) -> Self {
        let address = format!("{}@corp.example", somebody());
        let app = App::person(stack(), Some(&address)).await;
        let task = app.task(&["ada@gmail.com", "bob@gmail.com"]).await;
        app.finished(&task).await;
        for _ in 0..2 {
            app.link(&json!({ "file_name": "a.csv", "size": 23 })).await;
        }
        app.task(&["cyd@gmail.com"]).await;
        let text = |made: &Value, name: &str| made[name].as_str().unwrap().to_owned();
        let key = app.post("/v1/api-keys", &json!({ "name": "spare", "scopes": ["read"] })).await.expect(201);

        // A workspace of two, who invite somebody else; and an invitation that they have from elsewhere.
        let shared = text(&app.post("/v1/workspaces", &json!({ "name": "shared" })).await.expect(201), "id");
        let invitations = format!("/v1/workspaces/{shared}/invitations");
        let claims = json!({ "sub": somebody(), "email": format!("{}@corp.example", somebody()), "email_verified": true });
        let member = Person::with(oidc(stack(), &claims));
        let user = text(&member.get("/v1/me").await.expect(200), "id");
        let invite = |email: &Value| json!({ "email": email, "role": "member" });
        let invitation = app.post(&invitations, &invite(&claims["email"])).await.expect(201);
        member.post("/v1/invitations/accept", &json!({ "token": invitation["token"] })).await.expect(200);
        let open = json!(format!("{}@corp.example", somebody()));
        let open = app.post(&invitations, &invite(&open)).await.expect(201);
        let host = App::person(stack(), None).await;
        let hosts = text(&host.post("/v1/workspaces", &json!({ "name": "host" })).await.expect(201), "id");
        let path = format!("/v1/workspaces/{hosts}/invitations");
        let theirs = host.post(&path, &invite(&json!(address))).await.expect(201);

        let export = app.post("/v1/me/export", &Value::Null).await.expect(202);
        let begun = app.post("/v1/payments/payfast/initiate", &json!({ "amount": 1000 })).await.expect(201);
        let payment = begun["payment"]["id"].as_str().unwrap().to_owned();
        let (operator, wallet) =
            (Operator::of(stack()), Book::wallet(app.user, Currency::ZAR, app.workspace));
        for gift in 0..2 {
            let gift = Grant::new(GrantSource::Manual, format!("{} {gift}", app.user), 1);
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
            ("/v1/payments/payfast/status", payment.clone()),
            ("/v1/admin/payments/payfast/", payment),
            ("/v1/me/exports/", text(&export, "id")),
            ("/v1/verification/tasks/", task),
            ("/v1/api-keys/", text(&key, "id")),
            ("/v1/workspaces/", shared.clone()),
            ("/v1/workspaces/{id}/members/", user.clone()),
            ("/v1/workspaces/{id}/invitations/", text(&open, "id")),
        ]);
        let bodies = BTreeMap::from([
            ("POST /v1/workspaces/{id}/transfer", (json!({ "to": user }), 404, "not-found")),
            ("POST /v1/invitations/accept", (json!({ "token": theirs["token"] }), 403, "forbidden")),
        ]);
        let mut all = Self { app, by_path, bodies, member, shared, cursors: BTreeMap::new() };
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
    pub(super) fn fill(&self, path: &str) -> Option<String> {
        self.fill_with(path, |_| self)
    }

    /// The same, each parameter from whom `whose` says by the parameters before it.
    pub(super) fn fill_with<'a>(&'a self, path: &str, whose: impl Fn(usize) -> &'a Self) -> Option<String> {
        if let Some(id) = whose(0).by_path.get(path) {
            // A payment is asked for by its id in the query.
            return Some(format!("{path}?payment_id={id}"));
        }
        let (mut filled, mut seen, mut rest) = (String::new(), 0, path);
        let mut before = 0;
        while let Some((head, tail)) = rest.split_once('{') {
            seen += head.len();
            let id = whose(before).by_path.get(&path[..seen])?;
            let (name, tail) = tail.split_once('}')?;
            (filled, before) = (filled + head + id, before + 1);
            (seen, rest) = (seen + name.len() + 2, tail);
        }
        Some(filled + rest)
    }

    /// Whatever a stranger might have changed.
    pub(super) async fn all(&self) -> Vec<Value> {
        let mut all = vec![json!(self.app.belongings().await)];
        let of = |what: &str| format!("/v1/workspaces/{}/{what}", self.shared);
        for list in ["/v1/api-keys", "/v1/workspaces", &of("members"), &of("invitations"), &of("events")] {
            all.extend(self.app.all(list, 200).await);
        }
        all
    }
}
