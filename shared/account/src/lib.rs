//! Users, workspaces and API keys: who calls, and what they may do.

mod area;
mod authenticator;
mod erasure;
mod error;
mod export;
mod identity;
mod invitation;
mod key;
mod mail;
mod member;
mod permission;
mod profile;
mod sso;
mod store;
mod token;
mod workspace;

pub use archive::{ExportId, Order};
pub use area::{Area, PersonalData};
pub use authenticator::Authenticator;
pub use erasure::{EndMessage, Erasure, ErasureId, ErasureState, Erasures, Kept, UserEraser};
pub use error::Error;
pub use export::{Export, ExportProgress, ExportState, Exporter};
pub use invitation::{
    Acceptance, CreatedInvitation, Invitation, InvitationId, InvitationState, Invitations, NewInvitation,
};
pub use key::{ApiKey, ApiKeyToken, CreatedKey, NewKey, RollKey};
pub use mail::InvitationMail;
pub use member::{Member, NewRole, Transfer};
pub use permission::{
    Allowed, CanBuy, CanDeleteWorkspace, CanInvite, CanManageKeys, CanManageMembers, CanManagePersonalData,
    CanRead, CanReadCredits, CanRenameWorkspace, CanSeeWorkspaces, CanVerify, IsAdmin, PERMISSIONS,
    Permission, Role, Scope,
};
pub use profile::{Me, MeChanges};
pub use sso::{
    Arrival, CallbackQuery, Departure, LoginQuery, REFRESH_COOKIE, Refresh, SESSION_LIFE, Sessions, SignIn,
    SignedIn, refresh_cookie,
};
pub use store::{Account, NewUser, Principal, Provisioned};
pub use token::{TokenError, Tokens, Verified};
pub use workspace::{Membership, NewWorkspace, Workspace};
