//! The fault plan: what is to go wrong, with whose call, and which one of them.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::lock;

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The sandbox is killed before the call reaches the service.
    KillBefore,
    /// The sandbox is killed after the service has done it, before the answer arrives.
    KillAfter,
    /// The connection breaks before the call reaches the service.
    Drop,
    /// The connection breaks after the service has done it.
    LoseAnswer,
    /// The call reaches the service late.
    Delay(Duration),
    /// The service gets the call twice, as from a network that repeats; the second answer counts.
    Repeat,
    /// The service has too much to do: `ProvisionedThroughputExceededException`, `SlowDown`, `RequestThrottled`.
    Throttle,
    /// Another transaction has one of the items: `TransactionConflict`. For DynamoDB's writes and transactions; other calls pass.
    Conflict,
    /// The service fails: 500.
    Fail,
}

/// A fault for some calls of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The function.
    pub function: String,
    /// The first call it hits, from 1, counted from when the rule is armed.
    pub nth: u32,
    /// How many calls in a row it hits.
    pub times: u32,
    /// What happens to them.
    pub fault: Fault,
}

struct Armed {
    rule: Rule,
    /// Calls so far.
    seen: u32,
    hit: Arc<AtomicBool>,
}

/// Whether a rule has come to anything.
#[derive(Debug, Clone)]
pub struct Trigger(Arc<AtomicBool>);

impl Trigger {
    /// Whether a call was hit.
    pub fn hit(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

#[derive(Default)]
pub(crate) struct Plan(Mutex<Vec<Armed>>);

impl Plan {
    pub fn arm(&self, rule: Rule) -> Trigger {
        let hit = Arc::new(AtomicBool::new(false));
        lock(&self.0).push(Armed { rule, seen: 0, hit: Arc::clone(&hit) });
        Trigger(hit)
    }

    pub fn clear(&self) {
        lock(&self.0).clear();
    }

    /// The fault for this call of the function, if one is due. Every rule counts it.
    pub fn due(&self, function: &str, possible: impl Fn(Fault) -> bool) -> Option<Fault> {
        let mut due = None;
        let mut plan = lock(&self.0);
        for armed in plan.iter_mut().filter(|a| a.rule.function == function && possible(a.rule.fault)) {
            armed.seen += 1;
            if due.is_none() && (armed.rule.nth..armed.rule.nth + armed.rule.times).contains(&armed.seen) {
                armed.hit.store(true, Ordering::SeqCst);
                due = Some(armed.rule.fault);
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_hits_its_calls_and_no_others() {
        let plan = Plan::default();
        let trigger = plan.arm(Rule { function: "f".into(), nth: 2, times: 2, fault: Fault::Drop });
        let hits: Vec<_> = (0..5).map(|_| plan.due("f", |_| true)).collect();
        assert_eq!(hits, [None, Some(Fault::Drop), Some(Fault::Drop), None, None]);
        assert!(trigger.hit());
        let trigger = plan.arm(Rule { function: "f".into(), nth: 1, times: 1, fault: Fault::Conflict });
        assert_eq!(plan.due("g", |_| true), None);
        assert_eq!(plan.due("f", |fault| fault != Fault::Conflict), None);
        assert!(!trigger.hit());
        assert_eq!(plan.due("f", |_| true), Some(Fault::Conflict));
        plan.clear();
        assert_eq!(plan.due("f", |_| true), None);
    }
}
