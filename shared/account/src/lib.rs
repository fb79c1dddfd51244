//! Users, workspaces and API keys: who calls, and what they may do.

mod authenticator;
mod error;
mod identity;
mod key;
mod permission;
mod profile;
mod sso;
mod store;
mod token;

pub use authenticator::Authenticator;
pub use error::Error;
pub use key::{ApiKey, ApiKeyToken, CreatedKey, NewKey, RollKey};
pub use permission::{
    CanBuy, CanManageKeys, CanManagePersonalData, CanRead, CanReadCredits, CanVerify, IsAdmin, Permission,
    Scope,
};
pub use profile::{Me, MeChanges};
pub use sso::{
    Arrival, CallbackQuery, Departure, LoginQuery, REFRESH_COOKIE, Refresh, SESSION_LIFE, Sessions, SignIn,
    SignedIn, refresh_cookie,
};
pub use store::{Account, NewUser, Principal, Provisioned};
pub use token::{TokenError, Tokens, Verified};
