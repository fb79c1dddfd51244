//! The overview: what somebody wants to see first (V9).

use aws::{Clients, Deps};
use billing::{Balance, Billing};
use piecework_core::{PageRequest, Settings, WorkspaceId, settings::SettingError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Error, Task, Tasks, Usage, UsageQuery};

/// Tasks that it shows.
const RECENT: u32 = 5;

/// Makes overviews.
#[derive(Clone)]
pub struct Overviews {
    tasks: Tasks,
    billing: Billing,
}

impl Deps for Overviews {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        Ok(Self { tasks: Tasks::new(settings, clients)?, billing: Billing::new(settings, clients)? })
    }
}

/// Credits without their lots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreditOverview {
    /// By account.
    #[schema(inline)]
    pub balance: Balance,
    /// True when few are available.
    pub low: bool,
}

/// Usage, recent tasks and credits.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Overview {
    /// The last thirty days, by day.
    pub usage: Usage,
    /// The newest tasks.
    pub tasks: Vec<Task>,
    /// Credits.
    pub credits: CreditOverview,
}

impl Overviews {
    /// The overview of a workspace: three queries at once.
    pub async fn of(&self, workspace: WorkspaceId) -> Result<Overview, Error> {
        let (query, page) = (UsageQuery::default(), PageRequest { limit: RECENT, start: None });
        let credits = async { self.billing.credits(workspace).await.map_err(Error::from) };
        let (usage, tasks, credits) = futures::try_join!(
            self.tasks.usage(workspace, &query),
            self.tasks.list(workspace, &page),
            credits
        )?;
        let credits = CreditOverview { balance: credits.balance, low: credits.low };
        Ok(Overview { usage, tasks: tasks.items, credits })
    }
}
