//! Dead letters, and what an operator does with them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use local::{Stack, services::sqs::Sqs};
use serde_json::Value;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// What one look takes from a queue at most.
const BATCH: usize = 10;

/// Moves what was set aside back to where it came from, as docs/operations.md tells an operator to. A message that meets faults in
/// each of its five receives is set aside; where faults are planned at random, one in many thousands does.
pub struct DeadLetters {
    seen: Arc<Mutex<Seen>>,
    looking: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    /// Bodies of those moved back, by queue.
    moved: BTreeMap<String, Vec<String>>,
    /// Those that a function refused for good: nothing in a history may be.
    refused: Vec<String>,
}

impl DeadLetters {
    /// Looks after the dead letters of a stack.
    pub fn of(stack: &Stack) -> Self {
        let sqs = stack.sqs().clone();
        // Where each dead-letter queue's messages come from.
        let name = |arn: &str| arn.rsplit(':').next().unwrap_or_default().to_owned();
        let target = |policy: &str| {
            let policy: Value = serde_json::from_str(policy).unwrap();
            name(policy["deadLetterTargetArn"].as_str().unwrap())
        };
        let queues = stack.model().queues.iter();
        let sources: BTreeMap<String, String> = queues
            .filter_map(|queue| Some((target(queue.attributes.get("RedrivePolicy")?), queue.name.clone())))
            .collect();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let looking = tokio::spawn({
            let seen = Arc::clone(&seen);
            async move {
                loop {
                    for (dead, source) in &sources {
                        look(&sqs, dead, source, &seen).await;
                    }
                    tokio::time::sleep(LOOK).await;
                }
            }
        });
        Self { seen, looking }
    }

    /// How many were moved back, by the queue that they came from.
    pub fn moved(&self) -> BTreeMap<String, usize> {
        self.locked().moved.iter().map(|(queue, bodies)| (queue.clone(), bodies.len())).collect()
    }

    /// Those that a function refused for good.
    pub fn refused(&self) -> Vec<String> {
        self.locked().refused.clone()
    }

    /// From which queue those came back that speak of something, each time.
    pub fn speak_of(&self, what: &str) -> Vec<String> {
        let seen = self.locked();
        let of = |(queue, bodies): (&String, &Vec<String>)| {
            let times = bodies.iter().filter(|body| body.contains(what)).count();
            (times > 0).then(|| format!("{queue} {times} times"))
        };
        seen.moved.iter().filter_map(of).collect()
    }

    /// Ends the look after them.
    pub fn stop(&self) {
        self.looking.abort();
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn look(sqs: &Sqs, dead: &str, source: &str, seen: &Mutex<Seen>) {
    for message in sqs.receive(dead, BATCH, Duration::ZERO).await.unwrap() {
        // What a function refuses bears the reason (shared/worker).
        let refused = message.message_attributes.contains_key("reason");
        if !refused {
            sqs.send(source, &message.body).await.unwrap();
        }
        sqs.delete(dead, vec![message.receipt_handle]).await.unwrap();
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        match refused {
            true => seen.refused.push(format!("{dead}: {}", message.body)),
            false => seen.moved.entry(source.to_owned()).or_default().push(message.body),
        }
    }
}
