//! A crash, a refusal or a lost answer at every call of every processor and of every request that spends: each run must end as an
//! undisturbed one.

use std::time::{Duration, Instant};

use account::Scope;
use futures::{StreamExt as _, stream};
use local::Stack;
use local_gate::{Fault, Rule};
use local_parties::PADDLE_PRICES;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    chaos::outcome::{Outcome, settled},
    erasure::{completed, everything, sums},
    export::{ready, unpacked},
    paddle::{CHECKOUT, Till},
    support::{Answer, App, Operator, run, start, until},
};

/// What goes wrong, and how often in a row: once for what is final, and as often as the SDK tries for what it tries again.
const FAULTS: [(Fault, u32); 8] = [
    (Fault::KillBefore, 1),
    (Fault::KillAfter, 1),
    (Fault::Drop, 3),
    (Fault::LoseAnswer, 3),
    (Fault::Repeat, 1),
    (Fault::Throttle, 3),
    (Fault::Conflict, 3),
    (Fault::Fail, 3),
];

/// What goes wrong with the processors of personal data. They stand on the same calls as the others; what is their own is where a
/// crash leaves them, and what a failure does.
const FEW: [(Fault, u32); 2] = [(Fault::KillAfter, 1), (Fault::Fail, 3)];

/// More calls than any of these functions makes for so small a list.
const MOST_CALLS: u32 = 60;

/// Functions disturbed at once, each in a stack of its own.
const AT_ONCE: usize = 5;

const LIST: &str =
    "id,email\n1,ada@gmail.com\n2,ADA@gmail.com\n3,bob@a.corp.example\n4,no address\n5,cyd@x.nowhere.test\n";

/// What a customer does, and how it must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Story {
    /// Uploads a list.
    Upload,
    /// Pastes a list, and repeats the request until it is answered.
    Paste,
    /// Checks one address, and repeats the request likewise.
    Check,
    /// Cancels a list that is not there yet, likewise.
    Cancel,
    /// Begins a purchase at Paddle, likewise; the stand-in says that it was paid and refunded in part, until it is answered.
    Buy,
    /// Begins a payment into the wallet, likewise, which PayFast then says is complete until that is taken.
    TopUp,
    /// Has such a payment charged back by support, likewise, and the chargeback reversed.
    Chargeback,
    /// Has a list checked, and takes all data along.
    Export,
    /// Has a list checked, and ends.
    Erase,
}

impl Story {
    fn faults(self) -> &'static [(Fault, u32)] {
        if matches!(self, Self::Export | Self::Erase) { &FEW } else { &FAULTS }
    }
}

/// Who is disturbed in which story.
const DISTURBED: [(&str, Story); 25] = [
    ("verify-split-list", Story::Upload),
    ("verify-check-chunk", Story::Upload),
    ("verify-finish-task", Story::Upload),
    ("verify-record-usage", Story::Upload),
    ("ops-dispatch-events", Story::Upload),
    ("verify-create-task", Story::Paste),
    ("verify-check-address", Story::Check),
    ("verify-cancel-task", Story::Cancel),
    ("account-export-user", Story::Export),
    ("billing-export-workspace", Story::Export),
    ("verify-export-workspace", Story::Export),
    ("account-build-export", Story::Export),
    ("account-erase-user", Story::Erase),
    ("account-erase-workspace", Story::Erase),
    ("account-record-erasure", Story::Erase),
    ("billing-erase-workspace", Story::Erase),
    ("verify-erase-workspace", Story::Erase),
    ("billing-create-checkout", Story::Buy),
    ("billing-take-paddle", Story::Buy),
    ("billing-apply-paddle", Story::Buy),
    ("billing-initiate-payment", Story::TopUp),
    ("billing-take-itn", Story::TopUp),
    ("billing-apply-itn", Story::TopUp),
    ("billing-charge-back", Story::Chargeback),
    ("billing-reverse-chargeback", Story::Chargeback),
];

/// Sends a request as a client would that has lost the answer: with an idempotency key of its own, until it is answered for good.
async fn insist(stack: &Stack, app: &App, path: &str, body: &Value) -> Answer {
    let key = path.replace('/', ":");
    for _ in 0..20 {
        let request = app.request(Method::POST, path).header("idempotency-key", &key);
        let answer = app.send(request.json(body)).await;
        match answer.status {
            // Its sandbox died in the middle: the claim on the key runs out.
            409 => Operator::of(stack).let_the_claims_end().await,
            500.. => {}
            _ => return answer,
        }
    }
    panic!("{path} is never answered");
}

/// Lives through the story; what the customer sees at its end.
async fn live(stack: &Stack, story: Story) -> Value {
    let scopes = [Scope::Verify, Scope::Read, Scope::Credits, Scope::Personal];
    let app = App::on(stack, &scopes).await;
    let outcome = async |id: &str| Outcome::of(&app, id).await.visible();
    match story {
        Story::Upload => outcome(&app.upload("five.csv", LIST).await).await,
        Story::Paste => {
            let body = json!({ "emails": ["ada@gmail.com", "ADA@gmail.com", "bob@a.corp.example"] });
            let made = insist(stack, &app, "/v1/verification/tasks", &body).await.expect(202);
            outcome(made["id"].as_str().unwrap()).await
        }
        Story::Check => {
            let mut found =
                insist(stack, &app, "/v1/verify", &json!({ "email": "ada@gmail.com" })).await.expect(200);
            for differs in ["id", "checked_at", "validated_at"] {
                found.as_object_mut().unwrap().remove(differs);
            }
            json!([found, app.balance().await])
        }
        Story::Buy => {
            let (paddle, body) = (stack.paddle(), json!({ "price_id": PADDLE_PRICES[0].0 }));
            let made = insist(stack, &app, CHECKOUT, &body).await.expect(201);
            let transaction = made["transaction_id"].as_str().unwrap();
            let mut told = paddle.pay(transaction);
            let asked = paddle.adjust(transaction, "refund", Some(&[(0, 250)]));
            told.push(paddle.decide(asked["data"]["id"].as_str().unwrap(), "approved"));
            let answers = paddle.deliver(&told).await;
            assert_eq!(answers.iter().filter(|status| **status == 200).count(), 3, "{answers:?}");
            let till = Till::on(stack).await;
            for notification in &told[1..] {
                till.acted(notification).await;
            }
            // A refund that came first is settled with the purchase; the balance is the last to be seen.
            until("the purchase", || async { (app.balance().await["clawed"] == 250).then_some(()) }).await;
            json!([app.balance().await, app.all("/v1/account/purchases", 50).await.len()])
        }
        Story::Cancel => {
            let link = app.link(&json!({ "file_name": "never.csv", "size": 10 })).await;
            let path = format!("/v1/verification/tasks/{}/cancel", link["task"]["id"].as_str().unwrap());
            let task = insist(stack, &app, &path, &Value::Null).await.expect(200);
            json!([task["state"], app.balance().await])
        }
        Story::Export => {
            app.finished(&app.task(&["ada@gmail.com"]).await).await;
            settled(&app).await;
            let asked = app.post("/v1/me/export", &Value::Null).await;
            let location = asked.header("location").unwrap().to_owned();
            let export = ready(&app, &location).await;
            settled(&app).await;
            let zip = app.send(app.elsewhere(Method::GET, export["url"].as_str().unwrap())).await;
            let files = unpacked(&zip.body);
            let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
            // A repeat may find one more event of the user's.
            let records = |file: &Value| match file["name"].as_str() {
                Some("account/events.json") => Value::Null,
                _ => file["records"].clone(),
            };
            let listed = manifest["files"].as_array().unwrap().iter();
            let listed: Vec<_> =
                listed.map(|f| json!([nameless(f["name"].as_str().unwrap()), records(f)])).collect();
            let names: Vec<_> = files.keys().map(|name| nameless(name)).collect();
            json!([listed, names])
        }
        Story::Erase => {
            let operator = Operator::of(stack);
            let before = sums(&operator.items("BillingTable").await);
            app.finished(&app.task(&["ada@gmail.com"]).await).await;
            settled(&app).await;
            let receipt = app.delete("/v1/me").await.expect(202);
            let mut receipt = completed(&app, &receipt).await;
            settled(&app).await;
            for differs in ["id", "requested_at", "completed_at"] {
                receipt.as_object_mut().unwrap().remove(differs);
            }
            let kept = everything(stack).await;
            let kept = kept.iter().find(|kept| kept.contains(&app.user.to_string()));
            let mut moved = sums(&operator.items("BillingTable").await);
            moved.iter_mut().for_each(|(name, sum)| *sum -= before.get(name).copied().unwrap_or(0));
            json!([receipt, kept, moved])
        }
        Story::TopUp | Story::Chargeback => top_up(stack, &app, story == Story::Chargeback).await,
    }
}

/// A path without the ids in it.
fn nameless(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').map(|part| part.split('_').next().unwrap_or(part)).collect();
    parts.join("/")
}

/// Pays into the wallet, and has it taken back and given again; how the payment and the wallet are then.
async fn top_up(stack: &Stack, app: &App, claimed: bool) -> Value {
    let begun =
        insist(stack, app, "/v1/payments/payfast/initiate", &json!({ "amount": 1000 })).await.expect(201);
    let id = begun["payment"]["id"].as_str().unwrap();
    let body = stack.payfast().notification(id, "10.00", &[]);
    until("the notification", || async {
        let request = app.anonymous(Method::POST, "/v1/payments/payfast/itn").body(body.clone());
        (app.send(request).await.status == 200).then_some(())
    })
    .await;
    let status = format!("/v1/payments/payfast/status?payment_id={id}");
    until("the payment", || async {
        (app.get(&status).await.expect(200)["state"] == "complete").then_some(())
    })
    .await;
    let mut balances = Vec::new();
    let support = App::on(stack, &[Scope::Admin]).await;
    for claim in ["chargeback", "chargeback/reversal"].iter().filter(|_| claimed) {
        let path = format!("/v1/admin/payments/payfast/{id}/{claim}");
        let done = insist(stack, &support, &path, &json!({ "reason": "a story" })).await.expect(200);
        balances.push(json!([done["taken_back"], done["owed"], done["payment"]["state"]]));
    }
    let wallet = app.get("/v1/wallet/balance").await.expect(200);
    let entries = wallet["transactions"]["data"].as_array().unwrap();
    let kinds: Vec<_> =
        entries.iter().map(|e| json!([e["kind"], e["amount"], e["reference"] == id])).collect();
    json!([balances, wallet["balance"], kinds])
}

/// Disturbs a function at each of its calls by each fault; how many of them were.
async fn sweep(function: &str, story: Story) -> u32 {
    let stack = start(|options| {
        options.visibility_cap = Some(Duration::from_secs(1));
        options.env.insert("LEASE_SECONDS".to_owned(), "1".to_owned());
        options.env.insert("DNS_SECONDS".to_owned(), "60".to_owned());
    })
    .await;
    let undisturbed = live(&stack, story).await;
    let mut points = 0;
    for &(fault, times) in story.faults() {
        for nth in 1.. {
            assert!(nth < MOST_CALLS, "{function} never ends calling");
            stack.gate().disarm();
            let rule = Rule { function: function.to_owned(), nth, times, fault };
            let trigger = stack.gate().arm(rule.clone());
            let disturbed = live(&stack, story).await;
            if !trigger.hit() {
                break;
            }
            assert_eq!(disturbed, undisturbed, "{rule:?}");
            points += 1;
        }
    }
    stack.stop().await;
    points
}

#[test]
fn a_fault_at_any_call_changes_neither_results_nor_balance() {
    run(async {
        let mut points = 0;
        // For trying out one: the functions whose names begin so.
        let only = std::env::var("PIECEWORK_DISTURB").unwrap_or_default();
        let disturbed: Vec<_> =
            DISTURBED.iter().filter(|(function, _)| function.starts_with(&only)).collect();
        // As many at once as mostly wait for a message to come back.
        let swept = stream::iter(disturbed).map(|(function, story)| async move {
            let begun = Instant::now();
            (function, story, sweep(function, *story).await, begun.elapsed())
        });
        let mut swept = swept.buffer_unordered(AT_ONCE);
        while let Some((function, story, covered, took)) = swept.next().await {
            println!("{function} ({story:?}): {covered} points in {took:.0?}");
            assert!(covered >= story.faults().len() as u32, "{function} was hardly disturbed");
            points += covered;
        }
        println!("{points} points in all");
    });
}
