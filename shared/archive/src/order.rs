//! What is asked of an area, and what it answers.

use piecework_core::{DomainEvent, UserId, WorkspaceId, typed_id};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

typed_id!(ExportId, "xpt", "An export of a user's data.");

/// An export, and the workspace of which an area is to write what it has. Read from `account.workspace.exporting`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Whose export.
    pub user: UserId,
    /// Which.
    pub export: ExportId,
}

#[derive(Serialize, Deserialize)]
struct Data {
    export: ExportId,
    user: UserId,
}

impl<'de> Deserialize<'de> for Order {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let event = DomainEvent::deserialize(deserializer)?;
        let Data { export, user } = serde_json::from_value(event.data).map_err(D::Error::custom)?;
        Ok(Self { workspace: event.workspace, user, export })
    }
}

impl Order {
    /// An event of this kind about this export.
    pub fn event(&self, kind: &str) -> DomainEvent {
        let data = serde_json::json!({ "export": self.export, "user": self.user });
        DomainEvent::new(kind, self.workspace, self.workspace, data)
    }

    /// An area's word that all it has of the workspace is written: in so many parts.
    pub fn written(&self, area: &str, parts: u64) -> DomainEvent {
        let mut event = self.event(&format!("{area}.workspace.exported"));
        event.data["parts"] = parts.into();
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_read_from_its_own_event_and_from_no_other() {
        let order = Order { workspace: WorkspaceId::new(), user: UserId::new(), export: ExportId::new() };
        let event = serde_json::to_string(&order.event("account.workspace.exporting")).unwrap();
        assert_eq!(serde_json::from_str::<Order>(&event).unwrap(), order);
        let other =
            DomainEvent::new("x", order.workspace, "y", serde_json::json!({ "export": order.export }));
        assert!(serde_json::from_str::<Order>(&serde_json::to_string(&other).unwrap()).is_err());
    }
}
