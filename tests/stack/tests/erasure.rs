//! The end of a user: what is theirs goes from every area, what others need stays, and the ledger keeps its sums (P19).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use account::{NewKey, Scope};
use billing::{Book, Grant, GrantSource};
use local::Stack;
use local_parties::PADDLE_PRICES;
use piecework_core::Currency;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    chaos::outcome::settled,
    export::ready,
    paddle::Till,
    support::{App, Kept, Operator, run, stack, start, until},
};

pub const NAME: &str = "Ada Unforgettable";
pub const EMAIL: &str = "ada.unforgettable@example.com";
/// An address in a list of theirs.
pub const LISTED: &str = "listed.unforgettable@gmail.com";

async fn own_stack(lines: Arc<Kept>) -> Stack {
    start(|options| {
        options.log = lines;
        options.visibility_cap = Some(Duration::from_secs(1));
    })
    .await
}

pub async fn ada(stack: &Stack) -> App {
    let scopes: Vec<Scope> = account::Role::Owner.scopes().into_iter().collect();
    let accounts = local::accounts::Accounts::of(stack).unwrap();
    App::at(stack.base_url(), &accounts.create_with(NAME, Some(EMAIL), &scopes).await.unwrap())
}

/// Something in every area: keys, workspaces, invitations, lists that are done, waiting and under way, checks, credits held and spent.
pub async fn leave_traces(app: &App, stack: &Stack) -> String {
    app.finished(&app.task(&[LISTED, "bob@corp.example"]).await).await;
    app.finished(&app.upload("unforgettable.csv", format!("name,email\n{NAME},{LISTED}\n")).await).await;
    app.link(&json!({ "file_name": "unforgettable-too.csv", "size": 10 })).await;
    app.post("/v1/verify", &json!({ "email": LISTED })).await.expect(200);
    app.post_once("/v1/verify", "a-check-to-be-kept", &json!({ "email": LISTED })).await.expect(200);
    app.post("/v1/api-keys", &json!({ "name": "unforgettable key", "scopes": ["read"] })).await.expect(201);
    let made = app.post("/v1/workspaces", &json!({ "name": "unforgettable team" })).await.expect(201);
    let team = made["id"].as_str().unwrap().to_owned();
    let body = json!({ "email": "friend.unforgettable@example.com", "role": "member" });
    app.post(&format!("/v1/workspaces/{team}/invitations"), &body).await.expect(201);
    app.inside(stack, &team, &[Scope::Verify, Scope::Read]).await;
    settled(app).await;
    let asked = app.post("/v1/me/export", &Value::Null).await;
    ready(app, asked.header("location").unwrap()).await;
    // A purchase that is paid, money in the wallet, and a payment that is not there yet.
    let (paddle, till) = (stack.paddle(), Till::on(stack).await);
    let bought = paddle.transaction(&[(PADDLE_PRICES[0].0, 1)], json!({ "workspace": app.workspace }));
    till.done(&paddle.pay(&bought)[1], "applied").await;
    let wallet = Book::wallet(app.user, Currency::ZAR, app.workspace);
    let gift = Grant::new(GrantSource::Manual, piecework_core::EventId::new(), 100);
    assert!(Operator::of(stack).accounts.billing().grant(&wallet, &gift).await.unwrap());
    app.post("/v1/payments/payfast/initiate", &json!({ "amount": 1000 })).await.expect(201);
    settled(app).await;
    team
}

/// What stands of the credits, whoever they belong to.
pub fn sums(
    items: &[std::collections::HashMap<String, aws_sdk_dynamodb::types::AttributeValue>],
) -> BTreeMap<String, i64> {
    let mut sums = BTreeMap::new();
    let number = |item: &std::collections::HashMap<_, aws_sdk_dynamodb::types::AttributeValue>,
                  name: &str| {
        item.get(name).map_or(0, |n: &aws_sdk_dynamodb::types::AttributeValue| {
            n.as_n().unwrap().parse::<i64>().unwrap()
        })
    };
    for item in items {
        let sk = item["sk"].as_s().unwrap();
        if sk == "BOOK#BALANCE" {
            for name in ["granted", "available", "held", "spent", "clawed", "expired"] {
                *sums.entry(name.to_owned()).or_default() += number(item, name);
            }
        } else if sk.starts_with("ENTRY#") {
            let kind = item["kind"].as_s().unwrap();
            *sums.entry(format!("entries: {kind}")).or_default() += number(item, "amount");
        } else if sk.starts_with("BOOK#LOT#") {
            *sums.entry("remaining".to_owned()).or_default() += number(item, "remaining");
        }
    }
    sums
}

pub async fn completed(app: &App, receipt: &Value) -> Value {
    let path = format!("/v1/erasures/{}", receipt["id"].as_str().unwrap());
    until("the end of the erasure", || async {
        let receipt = app.send(app.anonymous(Method::GET, &path)).await.expect(200);
        (receipt["state"] == "completed").then_some(receipt)
    })
    .await
}

/// Everything that is kept anywhere.
pub async fn everything(stack: &Stack) -> Vec<String> {
    let operator = Operator::of(stack);
    let mut all = Vec::new();
    for table in ["AccountTable", "BillingTable", "VerifyTable"] {
        for item in operator.items(table).await {
            // Answers for repeated requests go by themselves within a day.
            if item["sk"].as_s().unwrap() == "IDEM" {
                let end: i64 = item["expires_at"].as_n().unwrap().parse().unwrap();
                assert!(end <= jiff::Timestamp::now().as_second() + 24 * 3600, "{item:?}");
                continue;
            }
            // What payment providers told goes within 90 days.
            if item["pk"].as_s().unwrap().starts_with("INBOUND#") {
                assert!(item.contains_key("expires_at"), "{item:?}");
                continue;
            }
            // So do the counters of the rate limits, within two hours.
            if item["pk"].as_s().unwrap().starts_with("RATE#") {
                assert!(item.contains_key("expires_at"), "{item:?}");
                continue;
            }
            all.push(format!("{table}: {item:?}"));
        }
    }
    let objects = stack.objects();
    for bucket in ["VerifyBucket", "ExportBucket"] {
        let bucket = stack.bucket(bucket).unwrap();
        for key in objects.list(bucket).await.unwrap() {
            // One that is being erased may be gone by now.
            let body = objects.read(bucket, &key).await.unwrap_or_default();
            all.push(format!("object {key}: {}", String::from_utf8_lossy(&body)));
        }
    }
    all
}

#[test]
fn nothing_of_an_erased_user_is_found_in_tables_objects_queues_or_logs() {
    run(async {
        let lines = Arc::new(Kept::default());
        let stack = own_stack(Arc::clone(&lines)).await;
        let (app, other) = (ada(&stack).await, App::person(&stack, Some("other@example.com")).await);
        let team = leave_traces(&app, &stack).await;
        // The other one's workspace, in which the user is a member.
        let made = other.post("/v1/workspaces", &json!({ "name": "stays" })).await.expect(201);
        let stays = made["id"].as_str().unwrap();
        let body = json!({ "email": EMAIL, "role": "owner" });
        let made = other.post(&format!("/v1/workspaces/{stays}/invitations"), &body).await.expect(201);
        app.post("/v1/invitations/accept", &json!({ "token": made["token"] })).await.expect(200);
        let revoke = format!("/v1/workspaces/{stays}/members");
        // Their keys for it, and a file that is still on its way when they go.
        let accounts = local::accounts::Accounts::of(&stack).unwrap();
        let key =
            || NewKey { name: "unforgettable bot".to_owned(), scopes: vec![Scope::Read], expires_at: None };
        for _ in 0..2 {
            accounts.account().create_key(app.user, stays.parse().unwrap(), key()).await.unwrap();
        }
        let late_file = format!("name,email\n{NAME},{LISTED}\n");
        let late = app.link(&json!({ "file_name": "late.csv", "size": late_file.len() })).await;
        let theirs = other.finished(&other.task(&["eve@gmail.com"]).await).await;
        settled(&app).await;
        let gone =
            [NAME, EMAIL, LISTED, "nforgettable", &app.workspace.to_string(), &team, &app.user.to_string()];
        let before = everything(&stack).await;
        for what in &gone {
            assert!(before.iter().any(|kept| kept.contains(what)), "{what} is there to be erased");
        }
        let operator = Operator::of(&stack);
        let ledger = sums(&operator.items("BillingTable").await);

        let keys = [app.key.clone(), app.narrowed(&["personal"]).await.key];
        let answer = app.delete("/v1/me").await;
        let receipt = answer.expect(202);
        assert_eq!(
            answer.header("location"),
            Some(format!("/v1/erasures/{}", receipt["id"].as_str().unwrap()).as_str())
        );
        for key in &keys {
            app.holding(key).get("/v1/account/credits").await.problem(401, "unauthenticated");
            app.holding(key).delete("/v1/me").await.problem(401, "unauthenticated");
        }
        let receipt = completed(&app, &receipt).await;
        assert_eq!(receipt["workspaces"], 2);
        assert_eq!(receipt["done"], json!({ "account": 2, "verification": 2, "billing": 2 }));
        assert_eq!(app.put(&late, late_file).await.status, 200, "the link is good still");
        let bucket = stack.bucket("VerifyBucket").unwrap();
        until("the end of the late file", || async {
            let left = stack.objects().list(bucket).await.unwrap();
            (!left.iter().any(|key| key.starts_with("uploads/"))).then_some(())
        })
        .await;
        settled(&other).await;

        for kept in everything(&stack).await {
            for what in &gone {
                // Which workspaces ended is known; whose they were is not. The events of a workspace that stays name a user's id,
                // which leads nowhere any more.
                let ended = kept.contains("ERASED#") || kept.contains("ERASURE#");
                let known = what.starts_with("wsp_") && ended
                    || *what == gone[6] && kept.contains(&format!("WSP#{stays}")) && kept.contains("EVENT#");
                assert!(!kept.contains(what) || known, "{what} in {kept}");
            }
        }
        let health = other.get("/v1/health").await.expect(200);
        assert_eq!(health["status"], "ok", "{health}");
        for (name, queue) in health["queues"].as_object().unwrap() {
            assert_eq!(
                queue["waiting"].as_u64().unwrap() + queue["in_flight"].as_u64().unwrap(),
                0,
                "{name}"
            );
        }
        for (function, line) in lines.lines().iter() {
            assert!(!line.contains("nforgettable"), "{function}: {line}");
        }
        assert_eq!(sums(&operator.items("BillingTable").await), ledger, "the ledger's sums");

        // What is others' stays.
        assert_eq!(other.all(&revoke, 200).await.len(), 1);
        let task = format!("/v1/verification/tasks/{}", theirs["id"].as_str().unwrap());
        assert_eq!(other.get(&task).await.expect(200), theirs);
        other.balance().await;
        stack.stop().await;
    });
}

#[test]
fn who_alone_owns_a_workspace_with_others_in_it_hands_it_over_first() {
    run(async {
        let unique = piecework_core::EventId::new();
        let address = |name: &str| format!("{name}.{unique}@example.com");
        let ann = App::person(stack(), Some(&address("ann"))).await;
        let bob = App::person(stack(), Some(&address("bob"))).await;
        let made = ann.post("/v1/workspaces", &json!({ "name": "Team" })).await.expect(201);
        let team = format!("/v1/workspaces/{}", made["id"].as_str().unwrap());
        let body = json!({ "email": address("bob"), "role": "member" });
        let made = ann.post(&format!("{team}/invitations"), &body).await.expect(201);
        bob.post("/v1/invitations/accept", &json!({ "token": made["token"] })).await.expect(200);
        ann.delete("/v1/me").await.problem(409, "wrong-state");
        ann.get("/v1/account/credits").await.expect(200);
        let transfer = ann.post(&format!("{team}/transfer"), &json!({ "to": bob.user })).await;
        assert_eq!(transfer.status, 204);
        let receipt = ann.delete("/v1/me").await.expect(202);
        completed(&bob, &receipt).await;
        let left = bob.all(&format!("{team}/members"), 200).await;
        assert_eq!((left.len(), &left[0]["role"]), (1, &json!("owner")));
    });
}

#[test]
fn a_deleted_workspace_is_emptied_too_and_work_under_way_is_paid_for() {
    run(async {
        let ann = App::person(stack(), None).await;
        let made = ann.post("/v1/workspaces", &json!({ "name": "short" })).await.expect(201);
        let team = made["id"].as_str().unwrap();
        let inside = ann.inside(stack(), team, &[Scope::Verify, Scope::Read, Scope::Credits]).await;
        let payment = format!("payment {}", piecework_core::EventId::new());
        Operator::of(stack()).grant(&inside, &payment, 100).await;
        inside.task(&["ada@gmail.com", "bob@slow.example"]).await;
        assert_eq!(ann.delete(&format!("/v1/workspaces/{team}")).await.status, 204);
        let operator = Operator::of(stack());
        until("the end of the workspace", || async {
            let ended = operator.item("AccountTable", &format!("ERASED#{team}"), "ERASED").await;
            ended?.contains_key("billing_at").then_some(())
        })
        .await;
        for table in ["AccountTable", "BillingTable", "VerifyTable"] {
            for item in operator.items(table).await {
                let place = item["pk"].as_s().unwrap();
                let kept = place.starts_with("ERASED#") || item["sk"].as_s().unwrap() == "IDEM";
                assert!(kept || !place.contains(team), "{table}: {item:?}");
            }
        }
        assert!(!operator.grant(&ann, &payment, 100).await, "what was granted once is not granted again");
        let held = operator.items("BillingTable").await;
        let held = held.iter().filter(|item| item["sk"].as_s().unwrap().starts_with("HOLD#"));
        for hold in held.filter(|hold| format!("{hold:?}").contains("erased")) {
            assert!(hold.contains_key("settled"), "{hold:?}");
        }
    });
}

#[test]
fn a_receipt_is_seen_by_whoever_has_its_id_and_no_other_is_found() {
    run(async {
        let app = App::person(stack(), None).await;
        for id in ["ers_01j9z3k5m8n2p4q6r7s8t9v0wx", "ers_", "x"] {
            let answer = app.send(app.anonymous(Method::GET, &format!("/v1/erasures/{id}"))).await;
            answer.problem(404, "not-found");
        }
    });
}

#[test]
fn erasing_and_exporting_much_takes_no_more_memory_than_a_page_of_it() {
    run(async {
        let stack = start(|_| {}).await;
        let (app, watcher) = (ada(&stack).await, App::person(&stack, None).await);
        let task = app.task(&[LISTED]).await;
        app.finished(&task).await;
        settled(&app).await;
        // Ten megabytes and more in a partition of each area: read at once, each would take some 100 MiB.
        let operator = Operator::of(&stack);
        let (own, padding) = (format!("WSP#{}", app.workspace), "x".repeat(1000));
        let entry = json!({
            "kind": "charge", "from": "available", "to": "spent", "amount": 0, "reference": padding, "lots": [],
            "at": "2026-11-20T00:00:00Z",
        });
        let event = json!({ "note": padding });
        operator.fill("BillingTable", &own, "ENTRY#ent", Some("id"), &entry).await;
        operator
            .fill("VerifyTable", &format!("TASK#{}#{task}", app.workspace), "MAILBOX#mbx", None, &event)
            .await;
        operator.fill("AccountTable", &own, "NOTE#evt", None, &event).await;
        let asked = app.post("/v1/me/export", &Value::Null).await;
        ready(&app, asked.header("location").unwrap()).await;
        settled(&app).await;
        completed(&watcher, &app.delete("/v1/me").await.expect(202)).await;
        settled(&watcher).await;
        let peaks = stack.lambda().peak_memory();
        for (function, peak) in &peaks {
            if function.contains("-erase-")
                || function.contains("-export-")
                || function == "account-build-export"
            {
                println!("{function}: {} MiB", peak >> 20);
                assert!(*peak < 64 << 20, "{function}: {peak}");
            }
        }
        for function in ["account-erase-workspace", "billing-erase-workspace", "verify-erase-workspace"] {
            assert!(peaks.contains_key(function), "{function} was at work");
        }
        stack.stop().await;
    });
}
