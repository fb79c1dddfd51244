//! Users, workspaces and API keys: who calls, and what they may do.

mod error;
mod key;
mod permission;
mod store;
mod token;

pub use error::Error;
pub use key::{ApiKey, ApiKeyToken, CreatedKey, NewKey};
pub use permission::{CanManageKeys, CanRead, CanReadCredits, CanVerify, IsAdmin, Permission, Scope};
pub use store::{Account, NewUser, Principal, Provisioned};
pub use token::{TokenError, Tokens, Verified};
