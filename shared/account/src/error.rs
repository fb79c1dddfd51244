use piecework_core::{Fault, Kind, Problem};

use crate::TokenError;

/// Why an account operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key is not there, revoked, expired or wrong: a caller is not told which.
    #[error("the API key is not valid")]
    BadKey,
    /// The bearer token is not good; a caller is told why.
    #[error("the bearer token is refused: {0}")]
    BadToken(#[from] TokenError),
    /// There is no such provider to sign in with.
    #[error("no such provider")]
    NoSuchProvider,
    /// A login that cannot be ended, or begun.
    #[error("{0}")]
    BadSignIn(&'static str),
    /// The provider did not let them in.
    #[error("the provider answers {0}")]
    SignInDeclined(&'static str),
    /// The refresh token is not one, was used before, or its session is over.
    #[error("the session is over")]
    BadSession,
    /// The refresh token was used a moment ago.
    #[error("the refresh token was used a moment ago")]
    SessionRaced,
    /// The key was revoked, has expired or was rolled before.
    #[error("the key is over, or was rolled before")]
    KeyIsOver,
    /// A token from before its user was erased.
    #[error("the user was erased after the token was made")]
    UserErased,
    /// There is no such user any more.
    #[error("no such user")]
    NoSuchUser,
    /// A key cannot be given more than its maker has.
    #[error("a key cannot be given a scope that its maker does not have")]
    ScopeNotHeld,
    /// A value of the new key that cannot be used.
    #[error("{pointer}: {detail}")]
    Unusable {
        /// JSON Pointer into the body.
        pointer: &'static str,
        /// What is wrong.
        detail: &'static str,
    },
    /// There is no such key in this workspace.
    #[error("no such key")]
    NoSuchKey,
    /// There is no such workspace, or the caller is no member of it: they are not told which.
    #[error("no such workspace")]
    NoSuchWorkspace,
    /// The caller is a member, and their role does not have the permission.
    #[error("only an owner may do this")]
    NotAnOwner,
    /// The workspace has no such member.
    #[error("no such member")]
    NoSuchMember,
    /// A workspace has an owner at all times.
    #[error("the last owner stays")]
    LastOwner,
    /// A personal workspace is nobody else's, and goes only with its user.
    #[error("the workspace is personal")]
    Personal,
    /// An invitation for an address that has an open one.
    #[error("the address is invited already")]
    AlreadyInvited,
    /// The caller is a member already.
    #[error("a member already")]
    AlreadyMember,
    /// The token is not one of ours, or what it named is gone.
    #[error("no such invitation")]
    NoSuchInvitation,
    /// The invitation was accepted: it is good for one person, once.
    #[error("the invitation was accepted")]
    InvitationUsed,
    /// The invitation was revoked, or its time is over.
    #[error("the invitation is over")]
    InvitationOver,
    /// The caller has no verified address, or another one than the invitation is for.
    #[error("the invitation is for another address")]
    NotInvited,
    /// The user is the only owner of a workspace that others belong to.
    #[error("others remain in a workspace that only this user owns")]
    OthersRemain,
    /// There is no such erasure.
    #[error("no such erasure")]
    NoSuchErasure,
    /// The user is being erased.
    #[error("the user is being erased")]
    Erased,
    /// The caller has no such export.
    #[error("no such export")]
    NoSuchExport,
    /// The export's zip is no longer kept.
    #[error("the export is no longer kept")]
    ExportGone,
    /// Somebody else was faster, again and again.
    #[error("too many races")]
    Races,
    /// The store failed.
    #[error(transparent)]
    Aws(#[from] aws::Error),
}

impl From<aws::CommitError> for Error {
    fn from(error: aws::CommitError) -> Self {
        Self::Aws(error.into())
    }
}

/// A name that people gave, with nothing around it: 1 to 100 characters.
pub(crate) fn checked_name(name: &str) -> Result<String, Error> {
    let name = name.trim();
    if (1..=100).contains(&name.chars().count()) && !name.chars().any(char::is_control) {
        return Ok(name.to_owned());
    }
    let detail = "must be 1 to 100 characters, none of them a control character";
    Err(Error::Unusable { pointer: "/name", detail })
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::BadKey => Problem::new(Kind::Unauthenticated).detail("The API key is not valid."),
            Error::BadToken(error) => Problem::new(Kind::Unauthenticated).detail(error.to_string()),
            Error::KeyIsOver => Problem::new(Kind::WrongState)
                .detail("The key was revoked, has expired or was rolled before. Make a new one."),
            Error::NoSuchProvider => Problem::new(Kind::NotFound),
            Error::BadSignIn(detail) => Problem::new(Kind::InvalidQuery).detail(detail),
            Error::SignInDeclined(code) => {
                Problem::new(Kind::InvalidQuery).detail(format!("The provider answers: {code}."))
            }
            Error::BadSession => {
                Problem::new(Kind::Unauthenticated).detail("The session is over. Sign in again.")
            }
            Error::UserErased => Problem::new(Kind::Unauthenticated)
                .detail("The account was erased. Sign in again to begin a new one."),
            Error::SessionRaced => Problem::new(Kind::WrongState)
                .detail("This refresh token was used a moment ago. Use the tokens that came of it."),
            Error::NoSuchUser => Problem::new(Kind::NotFound),
            Error::ScopeNotHeld => Problem::new(Kind::Forbidden)
                .detail("A key cannot be given a scope that its maker does not have."),
            Error::Unusable { pointer, detail } => {
                Problem::new(Kind::InvalidBody).fault(Fault::body(pointer, detail))
            }
            Error::NoSuchKey | Error::NoSuchWorkspace | Error::NoSuchMember | Error::NoSuchInvitation => {
                Problem::new(Kind::NotFound)
            }
            Error::NotAnOwner => {
                Problem::new(Kind::Forbidden).detail("Only an owner of the workspace may do this.")
            }
            Error::NoSuchErasure | Error::NoSuchExport => Problem::new(Kind::NotFound),
            Error::Erased => Problem::new(Kind::WrongState).detail("This user is being erased."),
            Error::ExportGone => {
                Problem::new(Kind::Gone).detail("An export is kept for seven days. Ask for another.")
            }
            Error::OthersRemain => Problem::new(Kind::WrongState).detail(
                "You are the only owner of a workspace with other members. Hand it over or delete it first.",
            ),
            Error::LastOwner => Problem::new(Kind::WrongState).detail(
                "A workspace needs an owner. Make another member one, or hand over the ownership, first.",
            ),
            Error::Personal => Problem::new(Kind::WrongState)
                .detail("A personal workspace is not shared, and goes only with its user."),
            Error::AlreadyInvited => Problem::new(Kind::WrongState)
                .detail("This address has an open invitation. Revoke that one to make another."),
            Error::AlreadyMember => {
                Problem::new(Kind::WrongState).detail("You are a member of this workspace already.")
            }
            Error::InvitationUsed => {
                Problem::new(Kind::WrongState).detail("This invitation was accepted. It is good once.")
            }
            Error::InvitationOver => Problem::new(Kind::Gone)
                .detail("This invitation was revoked, its time is over, or who made it may no longer invite. Ask for another."),
            Error::NotInvited => Problem::new(Kind::Forbidden)
                .detail("This invitation is for another address than the verified one of this account."),
            Error::Races => {
                aws::Error::races("account").into()
            }
            Error::Aws(error) => error.into(),
        }
    }
}
