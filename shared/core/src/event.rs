//! Domain events: what happened, written in the same transaction as the change itself (P9).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{EventId, WorkspaceId, correlation, now, trace};

/// Something that happened to an entity. Stored beside the entity, shown in its timeline, and dispatched to subscribers' queues.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DomainEvent {
    /// The event's own id; a subscriber uses it to tell a repeat.
    pub id: EventId,
    /// What happened: `area.entity.past-tense`, such as `verification.task.completed`.
    #[schema(example = "verification.task.completed")]
    pub kind: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Whose.
    pub workspace: WorkspaceId,
    /// The id of the entity it happened to.
    pub entity: String,
    /// Who or what caused it: a user's or key's id, or the processor's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub actor: Option<String>,
    /// The correlation id of the work that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub correlation_id: Option<String>,
    /// The span of the work that caused it, as a W3C `traceparent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub traceparent: Option<String>,
    /// What a subscriber needs besides. No personal data.
    #[serde(default)]
    #[schema(value_type = Object, required)]
    pub data: serde_json::Value,
}

impl DomainEvent {
    /// An event of now, under the current correlation id.
    pub fn new(kind: &str, workspace: WorkspaceId, entity: impl ToString, data: serde_json::Value) -> Self {
        Self {
            id: EventId::new(),
            kind: kind.to_owned(),
            at: now(),
            workspace,
            entity: entity.to_string(),
            actor: None,
            correlation_id: correlation::current(),
            traceparent: trace::traceparent(),
            data,
        }
    }

    /// The same event as the work under way passes it on: what comes of it is caused by this.
    #[must_use]
    pub fn passed_on(&self) -> Self {
        Self { traceparent: trace::traceparent().or_else(|| self.traceparent.clone()), ..self.clone() }
    }

    /// The same event, with who caused it.
    #[must_use]
    pub fn by(mut self, actor: impl ToString) -> Self {
        self.actor = Some(actor.to_string());
        self
    }
}
