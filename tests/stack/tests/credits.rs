//! Credits: granted once, held, spent and given back, never made or lost (V10 to V12, V16).

use std::collections::BTreeMap;

use account::{NewUser, Scope};
use aws::{CommitError, Transaction};
use billing::{Book, CREDITS_LABEL, EntryKind, Grant, GrantSource};
use futures::future::join_all;
use piecework_core::{PageRequest, UserId};
use serde_json::{Value, json};

use crate::support::{App, Operator, run, stack, start, until};

const TASKS: &str = "/v1/verification/tasks";

/// What the entries of the history make of each account.
async fn sums(app: &App) -> BTreeMap<String, i64> {
    let mut sums = BTreeMap::new();
    for entry in app.all("/v1/account/credits/history", 200).await {
        let credits = entry["amount"].as_i64().unwrap();
        *sums.entry(entry["from"].as_str().unwrap().to_owned()).or_default() -= credits;
        *sums.entry(entry["to"].as_str().unwrap().to_owned()).or_default() += credits;
        let by_lot: i64 =
            entry["lots"].as_array().unwrap().iter().map(|l| l["amount"].as_i64().unwrap()).sum();
        assert_eq!(by_lot, credits, "{entry}");
    }
    sums
}

/// The history adds up to the balance, account by account.
async fn history_adds_up(app: &App) {
    let (sums, balance) = (sums(app).await, app.balance().await);
    let sum = |name: &str| sums.get(name).copied().unwrap_or(0);
    assert_eq!(-sum("granted"), balance["granted"]);
    for account in ["available", "held", "spent", "clawed", "expired"] {
        assert_eq!(sum(account), balance[account], "{account}: {sums:?} {balance:?}");
    }
}

#[test]
fn a_list_that_the_balance_does_not_cover_is_refused_with_what_it_costs() {
    run(async {
        let app = App::new().await;
        Operator::of(stack()).leave(&app, 3).await;
        let before = app.belongings().await;
        let list =
            json!({ "emails": ["a@gmail.com", "b@gmail.com", "c@gmail.com", "d@gmail.com", "A@gmail.com"] });
        let problem = app.post(TASKS, &list).await.problem(402, "insufficient-credits");
        assert_eq!((&problem["required"], &problem["available"]), (&json!(4), &json!(3)), "{problem}");
        assert_eq!(app.belongings().await, before);
        // Three different addresses are covered, however often they stand there.
        let id = app.task(&["a@gmail.com", "b@gmail.com", "c@gmail.com", "B@gmail.com"]).await;
        assert_eq!(app.finished(&id).await["credits"]["charged"], 3);
        assert_eq!(app.balance().await["available"], 0);
    });
}

#[test]
fn a_list_of_the_longest_kind_is_told_its_price() {
    run(async {
        let app = App::new().await;
        let emails: Vec<String> =
            (0..100_000).map(|n| format!("somebody.with.a.name.{n:06}@gmail.com")).collect();
        let problem =
            app.post(TASKS, &json!({ "emails": emails })).await.problem(402, "insufficient-credits");
        assert_eq!((&problem["required"], &problem["available"]), (&json!(100_000), &json!(10_000)));
        assert_eq!(app.balance().await["available"], 10_000);
    });
}

#[test]
fn an_empty_balance_buys_no_check() {
    run(async {
        let app = App::new().await;
        Operator::of(stack()).leave(&app, 0).await;
        let before = app.belongings().await;
        let answer = app.post("/v1/verify", &json!({ "email": "ada@gmail.com" })).await;
        let problem = answer.problem(402, "insufficient-credits");
        assert_eq!((&problem["required"], &problem["available"]), (&json!(1), &json!(0)));
        assert_eq!(app.belongings().await, before);
    });
}

#[test]
fn an_upload_that_the_balance_does_not_cover_fails_and_holds_nothing() {
    run(async {
        let app = App::new().await;
        Operator::of(stack()).leave(&app, 3).await;
        let before = app.balance().await;
        let id = app.upload("a.csv", "email\na@gmail.com\nb@gmail.com\nc@gmail.com\nd@gmail.com\n").await;
        let task = app.finished(&id).await;
        assert_eq!(task["state"], "failed");
        let problem = &task["problem"];
        assert_eq!(problem["code"], "insufficient_credits");
        assert_eq!((&problem["required"], &problem["available"]), (&json!(4), &json!(3)));
        assert_eq!(task["credits"], json!({ "held": 0, "charged": 0 }));
        assert_eq!(app.balance().await, before);
        let kinds: Vec<Value> = app.all(&format!("{TASKS}/{id}/events"), 50).await;
        assert_eq!(kinds.last().unwrap()["kind"], "verification.task.failed");
        app.get(&format!("{TASKS}/{id}/download")).await.problem(409, "wrong-state");
    });
}

#[test]
fn the_history_adds_up_to_the_balance() {
    run(async {
        let app = App::new().await;
        history_adds_up(&app).await;
        let operator = Operator::of(stack());
        let source = format!("goodwill for {}", app.workspace);
        assert!(operator.grant(&app, &source, 500).await);
        assert!(!operator.grant(&app, &source, 500).await, "a grant happens once");
        let id = app.task(&["a@gmail.com", "b@gmail.com", "x@a.down.example", "a@gmail.com"]).await;
        app.finished(&id).await;
        app.post("/v1/verify", &json!({ "email": "ada@gmail.com" })).await.expect(200);
        app.post("/v1/verify", &json!({ "email": "ada@b.down.example" })).await.expect(200);
        let link = app.link(&json!({ "file_name": "a.csv", "size": 23 })).await;
        let path = format!("{TASKS}/{}/cancel", link["task"]["id"].as_str().unwrap());
        app.post(&path, &Value::Null).await.expect(200);
        history_adds_up(&app).await;
        assert_eq!(app.balance().await["spent"], 3);

        let entries = app.all("/v1/account/credits/history", 2).await;
        let kinds: Vec<_> = entries.iter().map(|e| e["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds[0], "charge", "newest first");
        assert_eq!(*kinds.last().unwrap(), "grant");
        let of_task: Vec<_> = entries.iter().filter(|e| e["reference"] == id.as_str()).collect();
        let moved: BTreeMap<_, _> =
            of_task.iter().map(|e| (e["kind"].as_str().unwrap(), e["amount"].as_u64().unwrap())).collect();
        assert_eq!(moved, BTreeMap::from([("hold", 3), ("settle", 2), ("void", 1)]));
    });
}

#[test]
fn the_low_flag_goes_up_below_its_bound() {
    run(async {
        let app = App::new().await;
        let operator = Operator::of(stack());
        operator.leave(&app, 1_000).await;
        let credits = app.get("/v1/account/credits").await.expect(200);
        assert_eq!((&credits["low"], &credits["low_below"]), (&json!(false), &json!(1_000)));
        operator.leave(&app, 999).await;
        assert_eq!(app.get("/v1/account/credits").await.expect(200)["low"], true);
    });
}

#[test]
fn signing_up_is_granted_once_however_often_it_comes() {
    run(async {
        let operator = Operator::of(stack());
        let accounts = &operator.accounts;
        let new = NewUser { user: UserId::new(), name: "twice".to_owned(), email: None };
        let made = join_all((0..5).map(|_| accounts.account().provision(accounts.billing(), &new))).await;
        let made: Vec<_> = made.into_iter().map(Result::unwrap).collect();
        assert_eq!(made.iter().filter(|m| m.new).count(), 1);
        assert!(made.iter().all(|m| m.workspace == made[0].workspace));
        let key = account::NewKey { name: "n".to_owned(), scopes: vec![Scope::Credits], expires_at: None };
        let key = accounts.account().create_key(new.user, made[0].workspace, key).await.unwrap();
        let app = App::with(&[Scope::Read]).await.holding(&key.token);
        assert_eq!(app.balance().await["granted"], 10_000);
        let entries = app.all("/v1/account/credits/history", 50).await;
        assert_eq!(entries.len(), 1, "{entries:?}");
        assert_eq!(
            (&entries[0]["kind"], &entries[0]["reference"]),
            (&json!("grant"), &json!(new.user.to_string()))
        );
    });
}

#[test]
fn of_thirty_tasks_at_once_exactly_those_are_accepted_that_the_balance_covers() {
    run(async {
        let app = App::new().await;
        Operator::of(stack()).leave(&app, 105).await;
        let lists: Vec<Value> = (0..30)
            .map(|list| (0..10).map(|n| format!("somebody.{list}.{n}@gmail.com")).collect::<Vec<_>>())
            .map(|emails| json!({ "emails": emails }))
            .collect();
        let answers = join_all(lists.iter().map(|list| app.post(TASKS, list))).await;
        let (accepted, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|a| a.status == 202);
        assert_eq!(accepted.len(), 10, "{:?}", answers.iter().map(|a| a.status).collect::<Vec<_>>());
        for answer in refused {
            assert_eq!(answer.problem(402, "insufficient-credits")["required"], 10);
        }
        for answer in accepted {
            let task = app.finished(answer.json()["id"].as_str().unwrap()).await;
            assert_eq!(task["credits"], json!({ "held": 0, "charged": 10 }));
        }
        let balance = app.balance().await;
        assert_eq!((balance["available"], balance["held"], balance["spent"]), (5, 0, 9_995));
        assert_eq!(app.all(TASKS, 50).await.len(), 10);
        history_adds_up(&app).await;
    });
}

#[test]
fn checks_at_once_spend_the_last_credits_and_no_more() {
    run(async {
        let app = App::new().await;
        Operator::of(stack()).leave(&app, 5).await;
        let body = json!({ "email": "ada@gmail.com" });
        let answers = join_all((0..15).map(|_| app.post("/v1/verify", &body))).await;
        assert_eq!(answers.iter().filter(|a| a.status == 200).count(), 5);
        answers.iter().filter(|a| a.status != 200).for_each(|a| _ = a.problem(402, "insufficient-credits"));
        assert_eq!(app.balance().await["available"], 0);
        history_adds_up(&app).await;
    });
}

#[test]
fn a_refund_goes_back_to_the_lots_that_paid_and_never_beyond_what_was_charged() {
    run(async {
        let app = App::new().await;
        let operator = Operator::of(stack());
        let (billing, book) = (operator.accounts.billing(), Book::credits(app.workspace));
        operator.leave(&app, 40).await;
        assert!(operator.grant(&app, &format!("more for {}", app.workspace), 60).await);
        let before = billing.standing(&book).await.unwrap().lots;
        let plan = billing.plan(&book, 70).await.unwrap();
        let mut transaction = Transaction::new();
        billing.charge_in(&mut transaction, &plan, "order-1");
        transaction.commit().await.unwrap();
        let page = PageRequest { limit: 1, start: None };
        let charge = billing.history(&book, &page).await.unwrap().items.remove(0);
        assert_eq!((charge.kind, charge.lots.len()), (EntryKind::Charge, 2));
        let refund = async |already: u64, amount: u64| {
            let mut transaction = Transaction::new();
            billing.refund_in(&mut transaction, &book, &charge, already, amount);
            transaction.commit().await
        };
        refund(0, 25).await.unwrap();
        assert_eq!(billing.refunded(&book, charge.id).await.unwrap(), 25);
        // Somebody else's refund was faster; then the rest, and no more than the rest.
        assert!(matches!(refund(0, 25).await, Err(CommitError::Refused { label: CREDITS_LABEL, .. })));
        assert_eq!(app.balance().await["available"], 55);
        let lots = billing.standing(&book).await.unwrap().lots;
        assert_eq!(
            lots.iter().map(|lot| lot.remaining).collect::<Vec<_>>(),
            [0, 55],
            "what was spent last comes back first"
        );
        refund(25, 1_000).await.unwrap();
        assert_eq!(billing.standing(&book).await.unwrap().lots, before);
        refund(70, 1).await.unwrap();
        assert_eq!(app.balance().await["available"], 100);
        history_adds_up(&app).await;
    });
}

#[test]
fn what_comes_back_to_a_lot_whose_time_is_over_expires_too() {
    run(async {
        let stack = start(|_| {}).await;
        let app = App::on(&stack, &[Scope::Credits]).await;
        let operator = Operator::of(&stack);
        let (billing, book) = (operator.accounts.billing(), Book::credits(app.workspace));
        operator.leave(&app, 0).await;
        let end = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(3);
        let grant = Grant::new(GrantSource::Manual, "for three seconds", 10).expiring(Some(end));
        assert!(billing.grant(&book, &grant).await.unwrap());
        let plan = billing.plan(&book, 6).await.unwrap();
        let mut transaction = Transaction::new();
        billing.hold_in(&mut transaction, &plan, "job-1");
        transaction.commit().await.unwrap();
        let stale = billing.plan(&book, 2).await.unwrap();
        until("the end", || async { (app.balance().await["expired"] == 4).then_some(()) }).await;
        assert_eq!(app.balance().await["available"], 0, "nobody waits for the sweep");
        assert!(matches!(
            billing.plan(&book, 1).await,
            Err(billing::Error::Insufficient { available: 0, .. })
        ));
        stack.run_schedule("billing-expire-lots").await.unwrap();
        history_adds_up(&app).await;
        // What was planned before is not there any more.
        let mut late = Transaction::new();
        billing.charge_in(&mut late, &stale, "too late");
        assert!(matches!(late.commit().await, Err(CommitError::Refused { label: CREDITS_LABEL, .. })));
        let hold = billing.hold(&book, "job-1").await.unwrap().unwrap();
        let mut transaction = Transaction::new();
        billing.settle_in(&mut transaction, &book, &hold, 1);
        transaction.commit().await.unwrap();
        let balance = app.balance().await;
        assert_eq!(
            (balance["available"], balance["spent"], balance["expired"]),
            (0, 10_001, 9),
            "{balance:?}"
        );
        for _ in 0..2 {
            stack.run_schedule("billing-expire-lots").await.unwrap();
            assert_eq!(app.balance().await, balance);
        }
        history_adds_up(&app).await;
        stack.stop().await;
    });
}
