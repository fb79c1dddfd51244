//! A gate before the AWS services of the one-command stack. Every call of a function passes it, and it
//!
//! - **evaluates the function's policies** as deployed, and answers `AccessDenied` as the service would ([`Policy`]);
//! - **counts** calls and DynamoDB's capacity units ([`Call`]);
//! - **breaks** what it is told to: kills the caller before or after its n-th call, drops, delays, repeats or refuses that call
//!   ([`Fault`]).
//!
//! It tells functions apart by their access keys and sandboxes by their session tokens, and knows nothing of the services behind it
//! but their address: they may be embedded ones or another emulator's.

mod answer;
mod ask;
mod fault;
mod policy;
mod proxy;
mod service;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use ask::Ask;
use ask::Wanted;
pub use fault::{Fault, Rule, Trigger};
pub use policy::{Grant, Policy, PolicyError};
pub use service::Service;

/// Calls kept.
const MAX_CALLS: usize = 50_000;

/// A function as the gate knows it.
pub struct Principal {
    /// The function's name.
    pub name: String,
    /// Its access key.
    pub access_key: String,
    /// Its role's ARN, for denials to name.
    pub role_arn: String,
    /// What it may do.
    pub policy: Policy,
}

/// Ends a sandbox by its session token; `false` if it is gone.
pub type Kill = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Settings.
#[derive(Default)]
pub struct GateOptions {
    /// The functions. A call with any other key passes unseen: the service decides.
    pub principals: Vec<Principal>,
    /// Region in ARNs.
    pub region: String,
    /// Account in ARNs.
    pub account_id: String,
    /// Longest visibility time-out that a function may set, for a service that knows no cap of its own.
    pub visibility_cap: Option<Duration>,
}

/// A call of a function that came to the gate.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The function.
    pub function: String,
    /// The operation in the service's words, such as `dynamodb:TransactWriteItems`.
    pub operation: String,
    /// What it asked to be allowed, action and resource.
    pub asks: Vec<Ask>,
    /// What was not allowed.
    pub denied: Option<Ask>,
    /// Read capacity units.
    pub read_units: f64,
    /// Write capacity units.
    pub write_units: f64,
    /// Items that a query or scan read and threw away.
    pub wasted: u64,
}

/// The gate. Clones share it.
#[derive(Clone)]
pub struct Gate(Arc<Shared>);

pub(crate) struct Shared {
    options: GateOptions,
    kill: Mutex<Option<Kill>>,
    /// Functions by the further keys that they were given.
    admitted: Mutex<BTreeMap<String, String>>,
    plan: fault::Plan,
    calls: Mutex<VecDeque<Call>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gate {
    /// A gate that nothing comes through yet.
    pub fn new(options: GateOptions) -> Self {
        Self(Arc::new(Shared {
            options,
            kill: Mutex::default(),
            admitted: Mutex::default(),
            plan: fault::Plan::default(),
            calls: Mutex::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }))
    }

    /// How sandboxes are ended, once there is somebody who can.
    pub fn kill_with(&self, kill: Kill) {
        *lock(&self.0.kill) = Some(kill);
    }

    /// Says that an access key is a function's too, where each sandbox is given its own.
    pub fn admit(&self, access_key: String, function: &str) {
        lock(&self.0.admitted).insert(access_key, function.to_owned());
    }

    /// Lets calls to `service` that come to `listener` through to `upstream`.
    pub fn serve(&self, listener: TcpListener, service: Service, upstream: SocketAddr) {
        self.0.tasks.spawn(proxy::serve(Arc::clone(&self.0), listener, service, upstream));
    }

    /// Whether a function may take an action on a resource; a grant that says so counts as used. For what AWS does in a function's
    /// name, such as polling its queue.
    pub fn allows(&self, function: &str, ask: &Ask) -> bool {
        let principal = self.0.options.principals.iter().find(|p| p.name == function);
        principal.is_some_and(|p| p.policy.allows(ask))
    }

    /// Whether the owner of an access key may do what only the service reads out of a request: a form's signature, the keys of a
    /// deletion. A key that is no function's may do everything.
    pub fn permits(&self, access_key: &str, ask: Ask) -> bool {
        let Some(principal) = self.0.principal(access_key) else { return true };
        let allowed = principal.policy.allows(&ask);
        if !allowed {
            let operation = ask.action.clone();
            self.0.note(Call::new(principal, Wanted { operation, asks: vec![ask] }));
        }
        allowed
    }

    /// The calls so far, oldest first; only the last 50,000.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.0.calls).iter().cloned().collect()
    }

    /// What was denied, by function.
    pub fn denied(&self) -> BTreeMap<String, BTreeSet<Ask>> {
        let mut denied = BTreeMap::<String, BTreeSet<Ask>>::new();
        for call in lock(&self.0.calls).iter() {
            denied.entry(call.function.clone()).or_default().extend(call.denied.clone());
        }
        denied.retain(|_, asks| !asks.is_empty());
        denied
    }

    /// Grants that no call has needed, by function.
    pub fn unused(&self) -> BTreeMap<String, Vec<Grant>> {
        let unused = self.0.options.principals.iter().map(|p| (p.name.clone(), p.policy.unused()));
        unused.filter(|(_, grants)| !grants.is_empty()).collect()
    }

    /// Adds a rule to the fault plan.
    pub fn arm(&self, rule: Rule) -> Trigger {
        self.0.plan.arm(rule)
    }

    /// Takes every rule out of the fault plan.
    pub fn disarm(&self) {
        self.0.plan.clear();
    }

    /// Ends it; calls under way are cut off.
    pub async fn shutdown(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

impl Call {
    fn new(principal: &Principal, Wanted { operation, asks }: Wanted) -> Self {
        Self {
            function: principal.name.clone(),
            operation,
            denied: asks.iter().find(|ask| !principal.policy.allows(ask)).cloned(),
            asks,
            read_units: 0.0,
            write_units: 0.0,
            wasted: 0,
        }
    }
}

impl Shared {
    /// Whose access key it is.
    fn principal(&self, access_key: &str) -> Option<&Principal> {
        let function = lock(&self.admitted).get(access_key).cloned();
        self.options.principals.iter().find(|p| match &function {
            Some(function) => p.name == *function,
            None => p.access_key == access_key,
        })
    }

    fn note(&self, call: Call) {
        let mut calls = lock(&self.calls);
        if calls.len() == MAX_CALLS {
            calls.pop_front();
        }
        calls.push_back(call);
    }

    fn kill(&self, session: Option<&str>) -> bool {
        let kill = lock(&self.kill).clone();
        session.zip(kill).is_some_and(|(session, kill)| kill(session))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_service_asks_for_is_decided_and_a_denial_noted() {
        let policies = json!([{ "Statement": { "Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:b/in/*" } }]);
        let gate = Gate::new(GateOptions {
            principals: vec![Principal {
                name: "f".to_owned(),
                access_key: "AKIDF".to_owned(),
                role_arn: "arn:role".to_owned(),
                policy: Policy::read(&policies).unwrap(),
            }],
            ..GateOptions::default()
        });
        let put = |key: &str| Ask { action: "s3:PutObject".to_owned(), resource: format!("arn:b/{key}") };
        assert!(gate.permits("AKIDF", put("in/x")));
        assert_eq!((gate.unused(), gate.denied()), (BTreeMap::new(), BTreeMap::new()));
        assert!(!gate.permits("AKIDF", put("out/x")));
        assert_eq!(gate.denied(), BTreeMap::from([("f".to_owned(), BTreeSet::from([put("out/x")]))]));
        assert!(gate.permits("the stack's own", put("out/x")));
    }
}
