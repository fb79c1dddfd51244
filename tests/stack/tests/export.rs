//! The export of a user's data: all that is theirs from every area, nothing of anybody else, by a link that ends (P19).

use std::{
    collections::BTreeMap,
    io::{Cursor, Read as _},
    time::Duration,
};

use account::Scope;
use local::Stack;
use local_gate::{Fault, Rule};
use rand::RngExt as _;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    chaos::outcome::settled,
    erasure::{EMAIL, LISTED, NAME, ada, completed, leave_traces},
    support::{Answer, App, run, stack, start, until},
};

/// Peak memory of a processor (docs/benchmarks.md).
const BUDGET: u64 = 128 << 20;

/// The files of a zip. The reader checks every CRC-32.
pub fn unpacked(zip: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut zip = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
    (0..zip.len())
        .map(|at| {
            let mut file = zip.by_index(at).unwrap();
            let mut octets = Vec::new();
            file.read_to_end(&mut octets).unwrap();
            (file.name().unwrap().into_owned(), octets)
        })
        .collect()
}

/// The export at this address, once it is ready.
pub async fn ready(app: &App, location: &str) -> Value {
    until("the export", || async {
        let export = app.get(location).await;
        // A sandbox that died in the middle of this request.
        (export.status < 500 && export.expect(200)["state"] == "ready").then(|| export.json())
    })
    .await
}

async fn fetch(app: &App, export: &Value) -> Answer {
    app.send(app.elsewhere(Method::GET, export["url"].as_str().unwrap())).await
}

/// Asks for an export, and opens it.
async fn exported(app: &App) -> (Value, BTreeMap<String, Vec<u8>>) {
    let asked = app.post("/v1/me/export", &Value::Null).await;
    assert_eq!(asked.expect(202)["state"], "collecting");
    let export = ready(app, asked.header("location").unwrap()).await;
    let zip = fetch(app, &export).await;
    assert_eq!(zip.status, 200);
    assert_eq!(zip.body.len() as u64, export["bytes"]);
    let files = unpacked(&zip.body);
    assert_eq!(files.len() as u64, export["files"]);
    (export, files)
}

fn json(files: &BTreeMap<String, Vec<u8>>, name: &str) -> Value {
    let octets = files.get(name).unwrap_or_else(|| panic!("{name} is not among {:?}", files.keys()));
    serde_json::from_slice(octets).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn rows(files: &BTreeMap<String, Vec<u8>>, name: &str) -> Vec<Value> {
    json(files, name).as_array().unwrap().clone()
}

/// What lies in the bucket of exports.
async fn objects(stack: &Stack) -> Vec<String> {
    stack.objects().list(stack.bucket("ExportBucket").unwrap()).await.unwrap()
}

#[test]
fn an_export_has_all_that_is_the_users_and_nothing_of_anybody_else() {
    run(async {
        let stack = start(|_| {}).await;
        let (app, other) = (ada(&stack).await, App::person(&stack, Some("other@example.com")).await);
        let team = leave_traces(&app, &stack).await;
        let made = other.post("/v1/workspaces", &json!({ "name": "Shared" })).await.expect(201);
        let shared = made["id"].as_str().unwrap();
        let body = json!({ "email": EMAIL, "role": "member" });
        let made = other.post(&format!("/v1/workspaces/{shared}/invitations"), &body).await.expect(201);
        app.post("/v1/invitations/accept", &json!({ "token": made["token"] })).await.expect(200);
        other.finished(&other.task(&["eve@gmail.com"]).await).await;
        let inside = other.inside(&stack, shared, &[Scope::Verify, Scope::Read, Scope::Keys]).await;
        inside.link(&json!({ "file_name": "theirs.csv", "size": 10 })).await;
        settled(&app).await;
        settled(&other).await;

        let (export, files) = exported(&app).await;
        let profile = json(&files, "account/profile.json");
        assert_eq!((&profile["name"], &profile["email"]), (&json!(NAME), &json!(EMAIL)));
        assert_eq!(profile["id"], app.user.to_string());
        let names: Vec<Value> = rows(&files, "account/keys.json").iter().map(|k| k["name"].clone()).collect();
        let keys = app.all("/v1/api-keys", 200).await;
        assert!(keys.iter().all(|key| names.contains(&key["name"])), "{names:?}");
        assert!(names.contains(&json!("inside")) && names.contains(&json!("unforgettable key")), "{names:?}");
        let mut workspaces: Vec<_> = rows(&files, "account/workspaces.json")
            .iter()
            .map(|w| (w["name"].as_str().unwrap().to_owned(), w["exported"] == true))
            .collect();
        workspaces.sort();
        let expected = [(NAME.to_owned(), true), ("Shared".to_owned(), false)];
        assert_eq!(workspaces[..2], expected);
        assert_eq!(workspaces[2], ("unforgettable team".to_owned(), true));
        assert!(!rows(&files, "account/events.json").is_empty());
        for list in ["identities", "sessions"] {
            rows(&files, &format!("account/{list}.json"));
        }

        let own = app.workspace.to_string();
        let mut ledger = rows(&files, &format!("billing/{own}/ledger.json"));
        let lines = String::from_utf8(files[&format!("billing/{own}/ledger.csv")].clone()).unwrap();
        assert_eq!(lines.lines().count(), ledger.len() + 1);
        assert_eq!(lines.lines().next(), Some("id,at,kind,from,to,amount,reference"));
        assert!(lines.lines().nth(1).unwrap().contains(",grant,granted,available,10000,"), "{lines}");
        ledger.reverse();
        assert_eq!(ledger, app.all("/v1/account/credits/history", 200).await);
        let credits = json(&files, &format!("billing/{own}/credits.json"));
        assert_eq!(credits, app.get("/v1/account/credits").await.expect(200));
        rows(&files, &format!("billing/{team}/ledger.json"));

        let mut tasks = rows(&files, &format!("verification/{own}/tasks.json"));
        tasks.reverse();
        assert_eq!(tasks, app.all("/v1/verification/tasks", 200).await);
        assert_eq!(tasks.len(), 3);
        for task in &tasks {
            let id = task["id"].as_str().unwrap();
            let folder = format!("verification/{own}/{id}");
            let events = app.all(&format!("/v1/verification/tasks/{id}/events"), 200).await;
            assert_eq!(rows(&files, &format!("{folder}/events.json")), events);
            match (task["source"].as_str().unwrap(), task["state"].as_str().unwrap()) {
                ("upload", "completed") => {
                    let list = String::from_utf8(files[&format!("{folder}/list.csv")].clone()).unwrap();
                    assert_eq!(list, format!("name,email\n{NAME},{LISTED}\n"));
                }
                ("list", _) => {
                    assert!(json(&files, &format!("{folder}/list.json")).to_string().contains(LISTED))
                }
                // Nothing came of that link.
                _ => assert!(!files.keys().any(|name| name.starts_with(&format!("{folder}/list")))),
            }
            if task["state"] == "completed" {
                let results = String::from_utf8(files[&format!("{folder}/results.csv")].clone()).unwrap();
                assert_eq!(results, app.download(id).await);
            }
        }
        let days = rows(&files, &format!("verification/{own}/usage.json"));
        assert!(days.iter().any(|day| day["period"].as_str().unwrap().starts_with("USAGE#D#")), "{days:?}");

        // The manifest says of every other file what it is.
        let manifest = json(&files, "manifest.json");
        let listed = manifest["files"].as_array().unwrap();
        assert_eq!(listed.len(), files.len() - 2);
        for file in listed {
            let octets = &files[file["name"].as_str().unwrap()];
            assert_eq!(file["octets"], octets.len());
            if let Some(records) = file["records"].as_u64() {
                let list: Vec<Value> = serde_json::from_slice(octets).unwrap();
                assert_eq!(list.len() as u64, records, "{file}");
            }
        }
        let area = |name: &str| manifest["areas"][name]["files"].as_u64().unwrap();
        assert_eq!(area("account") + area("billing") + area("verification"), listed.len() as u64);
        assert!(["account", "billing", "verification"].iter().all(|name| area(name) > 0), "{manifest}");
        let readme = String::from_utf8(files["README.txt"].clone()).unwrap();
        assert!(readme.contains("verification/") && readme.contains("membership"), "{readme}");

        let secret = app.key.trim_start_matches("pwk_").to_owned();
        for (name, octets) in &files {
            let text = String::from_utf8_lossy(octets);
            // Their workspace's name and id, and that the user is a member of it, is the user's to know.
            let theirs =
                [&other.user.to_string(), &other.workspace.to_string(), "eve@gmail.com", "theirs.csv"];
            for what in theirs.into_iter().chain(["pwk_", "\"hash\"", &secret]) {
                assert!(!text.contains(what), "{what} in {name}");
            }
            assert!(!text.contains(shared) || name == "account/workspaces.json", "{name}");
        }
        // What it was made of has gone.
        let id = export["id"].as_str().unwrap();
        until("the end of the parts", || async {
            let left = objects(&stack).await;
            assert!(left.contains(&format!("exports/{}/{id}.zip", app.user)), "{left:?}");
            (!left.iter().any(|key| key.starts_with("parts/"))).then_some(())
        })
        .await;
        // It is the user's own.
        let path = format!("/v1/me/exports/{id}");
        other.get(&path).await.problem(404, "not-found");
        app.narrowed(&["read"]).await.get(&path).await.problem(403, "forbidden");
        app.narrowed(&["read"]).await.post("/v1/me/export", &Value::Null).await.problem(403, "forbidden");
        assert!(app.get(&path).await.expect(200)["kept_until"].is_string());
        stack.stop().await;
    });
}

#[test]
fn a_user_has_one_export_under_way_and_then_another() {
    run(async {
        let stack = start(|_| {}).await;
        let app = ada(&stack).await;
        let rule = Rule {
            function: "account-export-user".to_owned(),
            nth: 1,
            times: 1,
            fault: Fault::Delay(Duration::from_secs(2)),
        };
        stack.gate().arm(rule);
        let first = app.post("/v1/me/export", &Value::Null).await;
        let again = app.post("/v1/me/export", &Value::Null).await;
        assert_eq!(again.expect(202)["id"], first.expect(202)["id"]);
        assert_eq!(again.header("location"), first.header("location"));
        let export = ready(&app, first.header("location").unwrap()).await;
        let next = app.post("/v1/me/export", &Value::Null).await.expect(202);
        assert_ne!(next["id"], export["id"]);
        ready(&app, &format!("/v1/me/exports/{}", next["id"].as_str().unwrap())).await;
        for nobodys in ["xpt_01j9z3k5m8n2p4q6r7s8t9v0wx", "xpt_", "x"] {
            app.get(&format!("/v1/me/exports/{nobodys}")).await.problem(404, "not-found");
        }
        settled(&app).await;
        stack.stop().await;
    });
}

#[test]
fn a_link_to_an_export_ends_and_another_is_to_be_had() {
    run(async {
        let stack = start(|options| {
            options.env.insert("EXPORT_LINK_SECONDS".to_owned(), "1".to_owned());
        })
        .await;
        let app = ada(&stack).await;
        let asked = app.post("/v1/me/export", &Value::Null).await;
        let export = ready(&app, asked.header("location").unwrap()).await;
        let ends: jiff::Timestamp = export["url_expires_at"].as_str().unwrap().parse().unwrap();
        until("the end of the link", || async {
            let answer = fetch(&app, &export).await;
            (answer.status == 403).then_some(())
        })
        .await;
        assert!(jiff::Timestamp::now() >= ends, "it ended before its time");
        assert_eq!(fetch(&app, &ready(&app, asked.header("location").unwrap()).await).await.status, 200);
        stack.stop().await;
    });
}

#[test]
fn an_export_under_way_ends_with_its_user() {
    run(async {
        let stack = start(|options| options.visibility_cap = Some(Duration::from_secs(1))).await;
        let watcher = App::person(&stack, None).await;
        let slow = ["account-export-user", "billing-export-workspace", "account-build-export"];
        for (function, nth) in slow.iter().flat_map(|function| [(function, 1), (function, 3), (function, 6)])
        {
            let app = ada(&stack).await;
            app.finished(&app.task(&[LISTED]).await).await;
            settled(&app).await;
            let rule = Rule {
                function: (*function).to_owned(),
                nth,
                times: 1,
                fault: Fault::Delay(Duration::from_secs(3)),
            };
            stack.gate().disarm();
            let trigger = stack.gate().arm(rule);
            app.post("/v1/me/export", &Value::Null).await.expect(202);
            until("the delay", || async { trigger.hit().then_some(()) }).await;
            let receipt = app.delete("/v1/me").await.expect(202);
            completed(&watcher, &receipt).await;
            settled(&watcher).await;
            until(&format!("the end of all objects, {function} late at call {nth}"), || async {
                objects(&stack).await.is_empty().then_some(())
            })
            .await;
        }
        stack.stop().await;
    });
}

#[test]
fn memory_does_not_grow_with_an_export() {
    run(async {
        let stack = start(|_| {}).await;
        let app = App::person(&stack, None).await;
        // Not a list, and so not read: the files of an export are what they are. Nothing packs them.
        let mut file = vec![0; 160 << 20];
        rand::rng().fill(&mut file[..]);
        let id = app.upload("not-a-list.csv", file.clone()).await;
        assert_eq!(app.finished(&id).await["state"], "failed");
        let (export, files) = exported(&app).await;
        assert!(export["bytes"].as_u64().unwrap() > 160 << 20);
        assert!(
            files[&format!("verification/{}/{id}/list.csv", app.workspace)] == file,
            "the file as it was"
        );
        let peaks = stack.lambda().peak_memory();
        for function in ["verify-export-workspace", "account-build-export"] {
            println!("{function}: {} MiB, budget {} MiB", peaks[function] >> 20, BUDGET >> 20);
            assert!(peaks[function] < BUDGET, "{function}: {}", peaks[function]);
        }
        stack.stop().await;
    });
}

#[test]
fn who_is_not_known_exports_nothing() {
    run(async {
        let app = App::person(stack(), None).await;
        app.send(app.anonymous(Method::POST, "/v1/me/export")).await.problem(401, "unauthenticated");
        app.post("/v1/me/export", &Value::Null).await.expect(202);
        settled(&app).await;
    });
}
