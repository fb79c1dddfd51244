//! The account area: keys, who they are, signing in, workspaces.

use ::account::Scope;
use reqwest::Method;
use serde_json::{Value, json};

use super::Tour;
use crate::{
    support::App,
    tokens::{oidc, somebody},
};

impl Tour<'_> {
    pub(super) async fn keys_and_credits(&mut self) {
        let request = self.request(Method::POST, "/v1/api-keys").await;
        let request = request.json(&json!({ "name": "spare", "scopes": ["read"] }));
        let spare = self.send("POST /v1/api-keys", "", request).await.json();
        self.get("GET /v1/api-keys", "/v1/api-keys").await;
        let path = format!("/v1/api-keys/{}", spare["id"].as_str().unwrap());
        let request = self.request(Method::POST, &format!("{path}/roll")).await.json(&json!({}));
        self.send("POST /v1/api-keys/{id}/roll", "", request).await;
        let request = self.request(Method::DELETE, &path).await;
        self.send("DELETE /v1/api-keys/{id}", "", request).await;
        self.get("GET /v1/account/credits", "/v1/account/credits").await;
        self.get("GET /v1/account/credits/history", "/v1/account/credits/history").await;
    }

    pub(super) async fn me(&mut self) {
        let token = |claims: &Value| oidc(self.stack, claims);
        let sub = somebody();
        let known = json!({ "sub": sub, "email": "one@corp.example", "email_verified": true });
        let moved = json!({ "sub": sub, "email": "two@corp.example", "email_verified": true });
        let tokens = [token(&known), token(&known), token(&moved)];
        for (note, token) in
            ["with a token, at first sight", "with a token", "with a token that has another address"]
                .iter()
                .zip(tokens)
        {
            let request = self.app.anonymous(Method::GET, "/v1/me").bearer_auth(token);
            self.send("GET /v1/me", note, request).await;
        }
        self.get("GET /v1/me", "/v1/me").await;
        let request = self.request(Method::PATCH, "/v1/me").await.json(&json!({ "name": "Somebody" }));
        self.send("PATCH /v1/me", "", request).await;
    }

    /// Signs in by the provider, twice: as somebody new, and as somebody else under the same address.
    pub(super) async fn sso(&mut self) {
        let first = somebody();
        for (note, sub, email) in [
            ("somebody new", first.clone(), "tour@corp.example"),
            ("a new identity under a known address", somebody(), "tour@corp.example"),
            ("a known identity", first.clone(), "tour@corp.example"),
            ("a known identity, with another address", first.clone(), "tour.too@corp.example"),
        ] {
            let person = json!({ "sub": sub, "email": email, "email_verified": true });
            self.stack.issuer().person(person);
            let login = "/v1/auth/sso/local/login";
            let request = self.app.anonymous(Method::GET, login);
            let away = self.send("GET /v1/auth/sso/{provider}/login", note, request).await;
            let cookie = away.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
            let there = self.app.elsewhere(Method::GET, away.header("location").unwrap());
            let back = self.app.send(there).await.header("location").unwrap().to_owned();
            let request = self.app.elsewhere(Method::GET, &back).header("cookie", cookie);
            let signed_in = self.send("GET /v1/auth/sso/{provider}/callback", note, request).await.json();
            if note == "a known identity" {
                let body = json!({ "refresh_token": signed_in["refresh_token"] });
                let request = self.app.anonymous(Method::POST, "/v1/auth/refresh").json(&body);
                let refreshed = self.send("POST /v1/auth/refresh", "", request).await.json();
                let body = json!({ "refresh_token": refreshed["refresh_token"] });
                let request = self.app.anonymous(Method::POST, "/v1/auth/logout").json(&body);
                self.send("POST /v1/auth/logout", "", request).await;
            }
        }
    }

    /// Somebody new on every route: whatever comes of the request, they are a user then.
    pub async fn first_sights(&self) {
        for route in self.stack.model().routes.iter().filter(|r| r.path != "$default") {
            if route.path.starts_with("/v1/auth/") || route.path.starts_with("/v1/webhooks/") {
                continue;
            }
            let path = route.path.replace("{id}", "nothing");
            let token = oidc(self.stack, &json!({ "sub": somebody() }));
            let request = self.app.anonymous(route.method.parse().unwrap(), &path).bearer_auth(token);
            let answer = self.app.send(request).await;
            assert!(
                answer.status < 500 && answer.status != 401,
                "{} {}: {answer:?}",
                route.method,
                route.path
            );
        }
    }

    /// A workspace from its beginning to its end, with somebody who comes, is promoted, takes over and lets go.
    pub(super) async fn workspaces(&mut self) {
        let body = json!({ "name": "Tour" });
        let request = self.request(Method::POST, "/v1/workspaces").await.json(&body);
        let made = self.send("POST /v1/workspaces", "", request).await.json();
        let path = format!("/v1/workspaces/{}", made["id"].as_str().unwrap());
        for note in ["with an idempotency key", "a repeat of that"] {
            let request = self.request(Method::POST, "/v1/workspaces").await.json(&body);
            let request = request.header("idempotency-key", "a-workspace-of-the-tour");
            self.send("POST /v1/workspaces", note, request).await;
        }
        self.get("GET /v1/workspaces", "/v1/workspaces").await;
        let route = "/v1/workspaces/{id}";
        self.get(&format!("GET {route}"), &path).await;
        let request = self.request(Method::PATCH, &path).await.json(&json!({ "name": "Tour, renamed" }));
        self.send(&format!("PATCH {route}"), "", request).await;

        let invitations = format!("{path}/invitations");
        let bob = App::person(self.stack, Some("bob@example.com")).await;
        bob.get("/v1/account/credits").await.expect(200);
        let (mut token, before) = (String::new(), self.stack.gate().calls().len());
        for email in ["cyd@example.com", "bob@example.com"] {
            let body = json!({ "email": email, "role": "member" });
            let request = self.request(Method::POST, &invitations).await.json(&body);
            let request = match email {
                "cyd@example.com" => request,
                _ => request.header("idempotency-key", "an-invitation-of-the-tour"),
            };
            let note = if email == "cyd@example.com" { "" } else { "with an idempotency key" };
            let repeated = request.try_clone().unwrap();
            let made = self.send(&format!("POST {route}/invitations"), note, request).await.json();
            token = made["token"].as_str().unwrap().to_owned();
            if note.is_empty() {
                let one = format!("{invitations}/{}", made["id"].as_str().unwrap());
                let request = self.request(Method::DELETE, &one).await;
                self.send(&format!("DELETE {route}/invitations/{{invitation}}"), "", request).await;
            } else {
                self.send(&format!("POST {route}/invitations"), "a repeat of that", repeated).await;
            }
        }
        self.worked(before, "account-send-invitation", "BatchGetItem", 2).await;
        self.forget();
        let body = json!({ "email": "dan@example.com", "role": "member" });
        self.app.post(&invitations, &body).await.expect(201);
        self.worked(self.seen, "account-send-invitation", "UpdateItem", 1).await;
        self.take("account-send-invitation, an invitation", "account-send-invitation");
        self.get(&format!("GET {route}/invitations"), &invitations).await;
        let bobs = match self.fresh_keys {
            true => bob.narrowed(&["workspaces"]).await,
            false => bob.holding(&bob.key),
        };
        let request = bobs.request(Method::POST, "/v1/invitations/accept").json(&json!({ "token": token }));
        self.send("POST /v1/invitations/accept", "", request).await;
        self.get(&format!("GET {route}/members"), &format!("{path}/members")).await;
        self.get(&format!("GET {route}/events"), &format!("{path}/events")).await;

        let member = format!("{path}/members/{}", bob.user);
        let workspace = made["id"].as_str().unwrap();
        for role in ["owner", "member"] {
            // With a key that only an owner can have, and that goes with the role.
            if role == "member" {
                bob.inside(self.stack, workspace, &[Scope::Keys]).await;
            }
            let request = self.request(Method::PATCH, &member).await.json(&json!({ "role": role }));
            self.send(&format!("PATCH {route}/members/{{user}}"), &format!("to {role}"), request).await;
        }
        bob.inside(self.stack, workspace, &[Scope::Read]).await;
        self.app.inside(self.stack, workspace, &[Scope::Keys]).await;
        let request = self.request(Method::POST, &format!("{path}/transfer")).await;
        let request = request.json(&json!({ "to": bob.user }));
        self.send(&format!("POST {route}/transfer"), "", request).await;
        bob.patch(&format!("{path}/members/{}", self.app.user), &json!({ "role": "owner" }))
            .await
            .expect(204);
        // To somebody who owns it too.
        let request = self.request(Method::POST, &format!("{path}/transfer")).await;
        let request = request.json(&json!({ "to": bob.user }));
        self.send(&format!("POST {route}/transfer"), "to an owner", request).await;
        bob.patch(&format!("{path}/members/{}", self.app.user), &json!({ "role": "owner" }))
            .await
            .expect(204);
        let request = self.request(Method::DELETE, &member).await;
        self.send(&format!("DELETE {route}/members/{{user}}"), "with one key", request).await;
        self.app.inside(self.stack, workspace, &[Scope::Read]).await;
        let request = self.request(Method::DELETE, &path).await;
        self.send(&format!("DELETE {route}"), "with one key", request).await;
    }
}
