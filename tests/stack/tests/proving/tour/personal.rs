//! A user takes their data along, and ends.

use std::time::Duration;

use local_gate::{Fault, Trigger};
use reqwest::Method;
use serde_json::{Value, json};

use super::{ATTEMPTS, Tour};
use crate::{
    chaos::outcome::settled,
    export::ready,
    support::{App, Operator, until},
};

/// The processors that take part in an erasure.
const ERASERS: [&str; 5] = [
    "account-erase-user",
    "account-erase-workspace",
    "account-record-erasure",
    "billing-erase-workspace",
    "verify-erase-workspace",
];

/// The processors that take part in an export.
const EXPORTERS: [&str; 4] =
    ["account-export-user", "billing-export-workspace", "verify-export-workspace", "account-build-export"];

impl Tour<'_> {
    /// A user with a list and no workspace but their own takes their data along, and ends.
    pub(super) async fn erasure(&mut self) {
        let app = App::person(self.stack, Some("eve@example.com")).await;
        app.finished(&app.task(&["ada@gmail.com"]).await).await;
        settled(&self.app).await;
        let key = async |fresh: bool| match fresh {
            true => app.narrowed(&["personal"]).await,
            false => app.holding(&app.key),
        };
        let request = key(self.fresh_keys).await.request(Method::POST, "/v1/me/export");
        let asked = self.send("POST /v1/me/export", "", request).await;
        let location = asked.header("location").unwrap().to_owned();
        ready(&app, &location).await;
        settled(&self.app).await;
        for function in EXPORTERS {
            self.take(&format!("{function}, a user with one list"), function);
        }
        let request = key(self.fresh_keys).await.request(Method::POST, "/v1/me/export");
        let again = self.send("POST /v1/me/export", "after another", request).await.json();
        ready(&app, &format!("/v1/me/exports/{}", again["id"].as_str().unwrap())).await;
        settled(&self.app).await;
        let request = key(self.fresh_keys).await.request(Method::GET, &location);
        let export = self.send("GET /v1/me/exports/{id}", "", request).await.json();
        let zip = self.app.elsewhere(Method::GET, export["url"].as_str().unwrap());
        assert_eq!(self.app.send(zip).await.status, 200);
        let request = key(self.fresh_keys).await.request(Method::DELETE, "/v1/me");
        let receipt = self.send("DELETE /v1/me", "", request).await.json();
        let path = erased(&app, &receipt).await;
        settled(&self.app).await;
        for function in ERASERS {
            self.take(&format!("{function}, a user with one list"), function);
        }
        let request = self.app.anonymous(Method::GET, &path);
        self.send("GET /v1/erasures/{id}", "", request).await;
    }

    /// What an export or an end needs when others are in the workspace, when something fails, or when both happen at once.
    pub(super) async fn personal_oddities(&self) {
        let (app, operator) = (&self.app, Operator::of(self.stack));
        let rule = |function, nth, times, fault| self.rule(function, nth, times, fault);
        // Two users end who are in somebody's workspace: one with a list that is not split yet, the other while every eraser fails.
        let made = app.post("/v1/workspaces", &json!({ "name": "shared" })).await.expect(201);
        let path = format!("/v1/workspaces/{}/invitations", made["id"].as_str().unwrap());
        for email in ["gus@example.com", "hal@example.com"] {
            let user = App::person(self.stack, Some(email)).await;
            let unsent = rule("account-send-invitation", 1, ATTEMPTS, Fault::Fail);
            let made = app.post(&path, &json!({ "email": email, "role": "member" })).await.expect(201);
            until("the failure", || async { unsent.hit().then_some(()) }).await;
            settled(app).await;
            user.post("/v1/invitations/accept", &json!({ "token": made["token"] })).await.expect(200);
            assert!(operator.grant(&user, email, 5).await);
            let mut failures = Vec::new();
            if email == "gus@example.com" {
                user.finished(&user.upload("one.csv", "email\nada@gmail.com\n").await).await;
                settled(app).await;
                self.paid_in(&user).await;
                rule("verify-split-list", 1, 1, Fault::Delay(Duration::from_secs(8)));
                user.task(&["ada@gmail.com", "bob@a.corp.example"]).await;
            } else {
                // Two receipts come at the same time, and share what fails.
                let times = |function| if function == "account-record-erasure" { 2 } else { 1 } * ATTEMPTS;
                failures.extend(ERASERS.map(|f| rule(f, 1, times(f), Fault::Fail)));
            }
            let receipt = user.delete("/v1/me").await.expect(202);
            erased(&user, &receipt).await;
            assert!(failures.iter().all(Trigger::hit));
            settled(app).await;
        }
        // An export while every exporter fails; three areas have their word at the same time.
        let user = App::person(self.stack, None).await;
        user.finished(&user.upload("one.csv", "email\nada@gmail.com\n").await).await;
        user.link(&json!({ "file_name": "never.csv", "size": 10 })).await;
        settled(app).await;
        let times = |function| if function == "account-build-export" { 3 } else { 1 } * ATTEMPTS;
        let failures = EXPORTERS.map(|f| rule(f, 1, times(f), Fault::Fail));
        let asked = user.post("/v1/me/export", &json!(null)).await;
        ready(&user, asked.header("location").unwrap()).await;
        assert!(failures.iter().all(Trigger::hit));
        settled(app).await;
        // Two whose user is gone: when the first part is about to be written, and when the zip of all three is.
        let (bucket, objects) = (self.stack.bucket("ExportBucket").unwrap(), self.stack.objects());
        for (function, call, parts) in [("account-export-user", 11, 0), ("account-build-export", 16, 3)] {
            let user = App::person(self.stack, None).await;
            let trigger = rule(function, call, 1, Fault::Delay(Duration::from_secs(8)));
            user.post("/v1/me/export", &json!(null)).await.expect(202);
            let own = format!("parts/{}/", user.user);
            until("the delay", || async {
                let written = objects.list(bucket).await.unwrap();
                let written = written.iter().filter(|key| key.starts_with(&own)).count();
                (trigger.hit() && written >= parts).then_some(())
            })
            .await;
            erased(&user, &user.delete("/v1/me").await.expect(202)).await;
            settled(app).await;
        }
    }
}

/// Waits until every area is done with a user; where the receipt is.
async fn erased(app: &App, receipt: &Value) -> String {
    let path = format!("/v1/erasures/{}", receipt["id"].as_str().unwrap());
    until("the end of the erasure", || async {
        let receipt = app.send(app.anonymous(Method::GET, &path)).await.expect(200);
        (receipt["state"] == "completed").then_some(())
    })
    .await;
    path
}
