//! What every other crate stands on: ids, time, pages, domain events, idempotency, settings and problems. No I/O.

pub mod correlation;
mod cursor;
mod digest;
mod event;
mod feature;
mod id;
pub mod idempotency;
mod money;
mod problem;
mod scrub;
pub mod settings;
mod time;
pub mod trace;

pub use cursor::{Cursor, CursorKey, Page, PageQuery, PageRequest};
pub use digest::{hex, sha256};
pub use event::DomainEvent;
pub use feature::{Feature, Features};
pub use id::{EventId, IdError, KeyId, UserId, WorkspaceId};
pub use money::{Currency, CurrencyError, MOST, Money, MoneyError};
pub use problem::{Fault, Kind, Problem};
pub use scrub::{scrub, scrub_json};
pub use settings::Settings;
pub use time::{now, sortable};

// Re-exported so that `typed_id!` works in a crate that names neither.
#[doc(hidden)]
pub mod __private {
    pub use {serde, ulid, utoipa};
}
