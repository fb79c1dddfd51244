//! Operating the system: health, dispatch of events, the API description.

mod description;
mod dispatch;
mod docs;
mod health;

pub use description::{OPENAPI, Route, allowed_methods};
pub use dispatch::Dispatcher;
pub use docs::Docs;
pub use health::{Health, HealthReport, QueueReport, ThinHealth, ThinReport};
