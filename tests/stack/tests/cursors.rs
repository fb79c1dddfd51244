//! Cursors open only for the caller, the list and the day that they were made for.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use hmac::{Hmac, KeyInit as _, Mac as _};
use piecework_core::CursorKey;
use serde_json::{Value, json};

use crate::support::{App, run};

/// What functions seal cursors with in `dev`, where no secret is set.
const DEV_KEY: &str = "cursor-key-for-development-only";

/// A cursor with this content, sealed as the reference describes and not by our own code.
fn sealed(tenant: &str, payload: &Value, key: &str) -> String {
    let payload = payload.to_string();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(format!("cur.v1\ntenant={tenant}\n{payload}").as_bytes());
    format!("{}.{}", B64.encode(&payload), B64.encode(&mac.finalize().into_bytes()[..16]))
}

fn content(cursor: &str) -> Value {
    serde_json::from_slice(&B64.decode(cursor.split('.').next().unwrap()).unwrap()).unwrap()
}

async fn first_page(app: &App, list: &str) -> String {
    let page = app.get(&format!("{list}?limit=1")).await.expect(200);
    page["next_cursor"].as_str().unwrap().to_owned()
}

#[test]
fn a_forged_cut_or_foreign_cursor_is_refused_on_every_list() {
    run(async {
        let (app, other) = (App::new().await, App::new().await);
        let mut tasks = Vec::new();
        for customer in [&app, &app, &other, &other] {
            let task = customer.task(&["ada@gmail.com", "bob@gmail.com", "eve@gmail.com"]).await;
            customer.finished(&task).await;
            tasks.push(task);
        }
        app.narrowed(&["read"]).await;
        other.narrowed(&["read"]).await;
        for customer in [&app, &other] {
            for _ in 0..2 {
                customer.link(&json!({ "file_name": "a.csv", "size": 23 })).await;
            }
        }
        let lists = |task: &str| {
            [
                "/v1/verification/tasks".to_owned(),
                "/v1/verification/uploads".to_owned(),
                format!("/v1/verification/tasks/{task}/jobs"),
                format!("/v1/verification/tasks/{task}/events"),
                "/v1/account/credits/history".to_owned(),
                "/v1/api-keys".to_owned(),
            ]
        };
        let (mut mine, mut theirs) = (Vec::new(), Vec::new());
        for (list, other_list) in lists(&tasks[0]).iter().zip(lists(&tasks[2])) {
            mine.push((list.clone(), first_page(&app, list).await));
            theirs.push(first_page(&other, &other_list).await);
        }
        for (at, (list, good)) in mine.iter().enumerate() {
            app.get(&format!("{list}?limit=1&cursor={good}")).await.expect(200);
            let first = app.get(&format!("{list}?limit=1&cursor=")).await.expect(200);
            assert_eq!(
                first["data"],
                app.get(&format!("{list}?limit=1")).await.json()["data"],
                "none is none"
            );
            let mut changed = content(good);
            changed["k"]["pk"] = json!("WSP#somebody else's");
            let payload = B64.encode(changed.to_string());
            let mut bad = vec![
                "nonsense".to_owned(),
                ".".to_owned(),
                good[..good.len() / 2].to_owned(),
                good[..good.len() - 1].to_owned(),
                good.split('.').next().unwrap().to_owned(),
                format!("{good}A"),
                format!("{payload}.{}", good.split('.').nth(1).unwrap()),
                sealed(&app.workspace.to_string(), &changed, "a key that we never had"),
                theirs[at].clone(),
            ];
            // Another list's, of the same caller.
            bad.extend(
                mine.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, (_, c))| c.clone()),
            );
            for cursor in bad {
                let answer = app.get(&format!("{list}?limit=1&cursor={cursor}")).await;
                assert_eq!(answer.status, 400, "{list}: {good} became {cursor}: {}", answer.text());
                answer.problem(400, "invalid-cursor");
            }
        }
        // The same kind of list, of another task.
        for kind in ["jobs", "events"] {
            let cursor = first_page(&app, &format!("/v1/verification/tasks/{}/{kind}", tasks[0])).await;
            let elsewhere = format!("/v1/verification/tasks/{}/{kind}?cursor={cursor}", tasks[1]);
            app.get(&elsewhere).await.problem(400, "invalid-cursor");
        }
    });
}

#[test]
fn a_stale_cursor_is_refused() {
    run(async {
        let app = App::new().await;
        for _ in 0..2 {
            app.task(&["ada@gmail.com"]).await;
        }
        let list = "/v1/verification/tasks";
        let tenant = app.workspace.to_string();
        let mut cursor = content(&first_page(&app, list).await);
        let now = jiff::Timestamp::now().as_second();
        let life = cursor["e"].as_i64().unwrap() - now;
        assert!((86_000..=86_400).contains(&life), "{life} s");
        cursor["e"] = json!(now + 60);
        let fresh = sealed(&tenant, &cursor, DEV_KEY);
        app.get(&format!("{list}?cursor={fresh}")).await.expect(200);
        cursor["e"] = json!(now - 1);
        let stale = sealed(&tenant, &cursor, DEV_KEY);
        app.get(&format!("{list}?cursor={stale}")).await.problem(400, "invalid-cursor");
    });
}

#[test]
fn a_cursor_that_is_ours_cannot_lead_into_another_partition() {
    run(async {
        let (app, other) = (App::new().await, App::new().await);
        other.task(&["ada@gmail.com"]).await;
        app.task(&["ada@gmail.com"]).await;
        // As if our own key had sealed it: what the seal is worth when the key is lost.
        let key = CursorKey::new(DEV_KEY.to_owned().into());
        let start = BTreeMap::from([
            ("pk".to_owned(), format!("WSP#{}", other.workspace)),
            ("sk".to_owned(), "TASK#~".to_owned()),
        ]);
        let cursor = key.seal(&app.workspace.to_string(), &format!("tasks of {}", app.workspace), start);
        let answer = app.get(&format!("/v1/verification/tasks?cursor={cursor}")).await;
        assert!(!answer.text().contains(&other.workspace.to_string()), "{}", answer.text());
    });
}
