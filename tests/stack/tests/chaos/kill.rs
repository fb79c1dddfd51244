//! Sandboxes die at any moment.

use std::time::Duration;

use futures::future::join_all;
use local::Stack;
use local_gate::{Fault, Rule, Trigger};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;

use super::{Outcome, customer, outcome::settled, patient, undisturbed, upload};
use crate::support::{Operator, run, until};

const SEEDS: [u64; 3] = [1, 20_261_120, 0x5eed];
const PROCESSORS: [&str; 5] = [
    "ops-dispatch-events",
    "verify-split-list",
    "verify-check-chunk",
    "verify-finish-task",
    "verify-record-usage",
];
/// A message is given up when it was received five times. Each death costs one of them, a claim that still holds another.
const MOST_KILLS: u32 = 3;

/// A stack on which a message comes back soon after its sandbox died, its claim having ended by then.
async fn hasty() -> Stack {
    patient(|options| {
        options.visibility_cap = Some(Duration::from_secs(2));
        options.env.insert("LEASE_SECONDS".to_owned(), "1".to_owned());
    })
    .await
}

/// Plans deaths for each function by the seed: before or after one of its calls to AWS, the next one or, where it makes several for a
/// message, the one after that.
fn havoc(stack: &Stack, seed: u64) -> Vec<(Rule, Trigger)> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut planned = Vec::new();
    for function in PROCESSORS {
        let mut nth = 0;
        for _ in 0..rng.random_range(1..=MOST_KILLS) {
            let several = !["ops-dispatch-events", "verify-record-usage"].contains(&function);
            nth += if several { rng.random_range(1..=2) } else { 1 };
            let fault = if rng.random() { Fault::KillBefore } else { Fault::KillAfter };
            let rule = Rule { function: function.to_owned(), nth, times: 1, fault };
            planned.push((rule.clone(), stack.gate().arm(rule)));
        }
    }
    planned
}

#[expect(clippy::print_stdout, reason = "a failure is repeated by its seed")]
async fn survives(seed: u64, expected: &Outcome) {
    let stack = hasty().await;
    let app = customer(&stack).await;
    let planned = havoc(&stack, seed);
    println!("seed {seed}: {planned:?}");
    let id = upload(&app).await;
    let outcome = Outcome::of(&app, &id).await;
    for (rule, trigger) in planned {
        assert!(trigger.hit(), "seed {seed}: {rule:?} killed nothing");
    }
    outcome.must_equal(expected);
    stack.stop().await;
}

#[test]
fn killing_sandboxes_at_random_changes_neither_results_nor_balance() {
    run(async {
        let expected = undisturbed().await;
        join_all(SEEDS.map(|seed| survives(seed, expected))).await;
    });
}

#[test]
fn a_chunk_that_kills_every_sandbox_is_set_aside_and_done_by_the_sweep_when_it_can_be() {
    run(async {
        let stack = hasty().await;
        let app = customer(&stack).await;
        let function = "verify-check-chunk".to_owned();
        stack.gate().arm(Rule { function, nth: 1, times: 1000, fault: Fault::KillBefore });
        let id = app.task(&["ada@gmail.com", "bob@a.corp.example", "cyd@a.down.example"]).await;
        let health = until("the dead letter", || async {
            let health = app.get("/v1/health").await.expect(200);
            (health["queues"]["chunk-dead"]["waiting"] == 1).then_some(health)
        })
        .await;
        assert_eq!(health["status"], "attention");
        let deaths = stack.gate().calls().iter().filter(|c| c.function == "verify-check-chunk").count();
        assert_eq!(deaths, 5, "one for each time that the message was received");
        stack.gate().disarm();
        let task = app.get(&format!("/v1/verification/tasks/{id}")).await.expect(200);
        assert_eq!((&task["state"], &task["credits"]["held"]), (&"running".into(), &3.into()));

        Operator::of(&stack).let_the_sweep_come(&app, &id).await;
        stack.run_schedule("verify-sweep-tasks").await.unwrap();
        let task = app.finished(&id).await;
        assert_eq!(
            (&task["state"], &task["credits"]),
            (&"completed".into(), &json!({ "held": 0, "charged": 2 }))
        );
        assert_eq!(app.balance().await["spent"], 2);

        // What was set aside can be put back, and changes nothing any more.
        let (dead, chunks) =
            (stack.queue_url("ChunkDeadLetters").unwrap(), stack.queue_url("ChunkQueue").unwrap());
        for message in stack.sqs().receive(&dead, 10, Duration::ZERO).await.unwrap() {
            stack.sqs().send(&chunks, &message.body).await.unwrap();
            stack.sqs().delete(&dead, vec![message.receipt_handle]).await.unwrap();
        }
        settled(&app).await;
        assert_eq!(app.finished(&id).await, task);
        assert_eq!(app.balance().await["spent"], 2);
        until("the usage", || async {
            (app.get("/v1/usage").await.expect(200)["charged"] == 2).then_some(())
        })
        .await;
        stack.stop().await;
    });
}
