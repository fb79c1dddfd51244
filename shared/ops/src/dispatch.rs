//! The dispatcher: events that a table's stream shows go to their subscribers' queues (P9).

use std::{collections::BTreeMap, sync::Arc};

use aws::{Clients, Deps, Queue};
use piecework_core::{DomainEvent, Settings, settings::SettingError};

/// Sends events by `SUBSCRIPTIONS`, a JSON array with an object from each area: event kind → URLs of queues.
#[derive(Clone)]
pub struct Dispatcher {
    subscribers: Arc<BTreeMap<String, Vec<Queue>>>,
}

impl Deps for Dispatcher {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        let areas: Vec<BTreeMap<String, Vec<String>>> =
            serde_json::from_str(settings.required("SUBSCRIPTIONS")?)
                .map_err(|e| SettingError::Unusable { name: "SUBSCRIPTIONS", why: e.to_string() })?;
        // Several areas may want the same event.
        let mut subscribers: BTreeMap<String, Vec<Queue>> = BTreeMap::new();
        for (kind, urls) in areas.into_iter().flatten() {
            let queues = urls.iter().map(|url| Queue::new(clients, url));
            subscribers.entry(kind).or_default().extend(queues);
        }
        Ok(Self { subscribers: Arc::new(subscribers) })
    }
}

impl Dispatcher {
    /// Sends an event to everyone who asked for its kind. Sending again after a failure repeats some: subscribers know repeats.
    pub async fn dispatch(&self, event: &DomainEvent) -> Result<(), aws::Error> {
        let subscribers = self.subscribers.get(&event.kind).map_or(&[][..], Vec::as_slice);
        let event = event.passed_on();
        for queue in subscribers {
            queue.send_all(&[&event]).await?;
        }
        tracing::info!(kind = event.kind, event = %event.id, subscribers = subscribers.len(), "event");
        Ok(())
    }
}
