//! [`CachedResolver`]: each domain asked once.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use email::route::{MailRoute, Resolver};
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// How long and how many answers are kept.
#[derive(Debug, Clone, Copy)]
pub struct CacheSettings {
    /// Most domains kept. About 300 octets each, so 100,000 are some 30 MB.
    pub capacity: usize,
    /// How long an answer holds.
    pub settled_for: Duration,
    /// How long "no answer" holds: long enough that a list full of one dead domain waits for it once, short enough
    /// that a later chunk or task asks again.
    pub unanswered_for: Duration,
}

impl Default for CacheSettings {
    /// 50,000 domains; answers for 1 h; failures for 60 s.
    fn default() -> Self {
        Self {
            capacity: 50_000,
            settled_for: Duration::from_secs(3600),
            unanswered_for: Duration::from_secs(60),
        }
    }
}

/// A resolver in front of which each domain's answer is kept in memory. Concurrent questions about one domain become
/// one. Clones share the answers.
///
/// When it is full, the answer longest kept and not used since goes first.
pub struct CachedResolver<R> {
    inner: Arc<Inner<R>>,
}

impl<R> Clone for CachedResolver<R> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

struct Inner<R> {
    resolver: R,
    settings: CacheSettings,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    slots: HashMap<Arc<str>, Arc<Slot>>,
    /// The keys of `slots`, in the order in which they are looked at for eviction.
    order: VecDeque<Arc<str>>,
}

#[derive(Default)]
struct Slot {
    /// Filled by whoever asks first; the others wait. If the asker is cancelled, the next in line asks.
    answer: OnceCell<(MailRoute, Instant)>,
    used: AtomicBool,
}

impl<R> CachedResolver<R> {
    /// Keeps the answers of `resolver`.
    pub fn new(resolver: R, settings: CacheSettings) -> Self {
        Self { inner: Arc::new(Inner { resolver, settings, state: Mutex::default() }) }
    }
}

impl<R: Resolver + Send + Sync> Resolver for CachedResolver<R> {
    async fn mail_route(&self, domain: &str) -> MailRoute {
        let inner = &self.inner;
        let slot = inner.slot(domain);
        let (route, _) = slot
            .answer
            .get_or_init(|| async {
                let route = inner.resolver.mail_route(domain).await;
                let until = inner.holds_until(&route);
                (route, until)
            })
            .await;
        route.clone()
    }
}

impl<R> Inner<R> {
    /// The slot of a domain: the one that is there, unless it no longer holds, or an empty one.
    fn slot(&self, domain: &str) -> Arc<Slot> {
        let mut state = self.state();
        if let Some(slot) = state.slots.get(domain)
            && slot.answer.get().is_none_or(|(_, until)| *until > Instant::now())
        {
            slot.used.store(true, Ordering::Relaxed);
            return Arc::clone(slot);
        }
        let slot = Arc::<Slot>::default();
        state.put(domain, Arc::clone(&slot), self.settings.capacity);
        slot
    }

    fn holds_until(&self, route: &MailRoute) -> Instant {
        let unanswered = matches!(route, MailRoute::Unanswered { .. });
        Instant::now() + if unanswered { self.settings.unanswered_for } else { self.settings.settled_for }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing is left half-done under the lock, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn put(&mut self, domain: &str, slot: Arc<Slot>, capacity: usize) {
        if let Some(there) = self.slots.get_mut(domain) {
            *there = slot;
            return;
        }
        while self.slots.len() >= capacity.max(1) {
            let Some(oldest) = self.order.pop_front() else { break };
            // Second chance: a slot used since it was last looked at goes to the back instead of out.
            if self.slots.get(&oldest).is_some_and(|slot| slot.used.swap(false, Ordering::Relaxed)) {
                self.order.push_back(oldest);
            } else {
                self.slots.remove(&oldest);
            }
        }
        let key: Arc<str> = domain.into();
        self.order.push_back(Arc::clone(&key));
        self.slots.insert(key, slot);
    }
}
