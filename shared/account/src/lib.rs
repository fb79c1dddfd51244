//! Users, workspaces and API keys: who calls, and what they may do.

mod area;
mod erasure;
mod error;
mod export;
mod invitation;
mod key;
mod member;
mod permission;
mod store;
mod workspace;

pub use archive::{ExportId, Order};
pub use area::{Area, PersonalData};
pub use erasure::{EndMessage, Erasure, ErasureId, ErasureState, Erasures, Kept, UserEraser};
pub use error::Error;
pub use export::{Export, ExportProgress, ExportState, Exporter};
pub use invitation::{
    Acceptance, CreatedInvitation, Invitation, InvitationId, InvitationState, Invitations, NewInvitation,
};
pub use key::{ApiKey, ApiKeyToken, CreatedKey, NewKey};
pub use member::{Member, NewRole, Transfer};
pub use permission::{
    Allowed, CanDeleteWorkspace, CanInvite, CanManageKeys, CanManageMembers, CanManagePersonalData, CanRead,
    CanReadCredits, CanRenameWorkspace, CanSeeWorkspaces, CanVerify, IsAdmin, PERMISSIONS, Permission, Role,
    Scope,
};
pub use store::{Account, NewUser, Principal, Provisioned};
pub use workspace::{Membership, NewWorkspace, Workspace};
