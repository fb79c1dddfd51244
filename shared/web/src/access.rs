//! Who may call, as argument types.

use std::{marker::PhantomData, net::IpAddr, sync::Arc};

use account::{Authenticator, Permission, Principal, Role, Scope};
use axum::extract::FromRequestParts;
use bytes::Bytes;
use http::{HeaderMap, request::Parts};
use piecework_core::{CursorKey, Kind, Page, PageQuery, PageRequest, Problem as Cause, WorkspaceId};

use crate::{
    Problem,
    extract::{self, MAX_BODY},
    limit::{Limiter, Meter},
};

/// What the access types need, put into every request's extensions.
pub(crate) struct Gate {
    pub authenticator: Option<Authenticator>,
    pub cursors: CursorKey,
    pub limiter: Limiter,
}

/// An argument type that says who may call.
pub trait Access: FromRequestParts<(), Rejection = Problem> + Send + 'static {
    /// Whether it looks at credentials; a function whose handler does not needs no account table.
    const AUTHENTICATES: bool;
    /// The scope that it requires, for the API description.
    const SCOPE: Option<Scope>;
    /// Whether a member's role is not enough, for the API description.
    const OWNER_ONLY: bool;
    /// The longest body that is read, octets.
    const MAX_BODY: usize = MAX_BODY;
}

/// Anyone, without credentials.
#[derive(Debug, Clone, Copy)]
pub struct Public;

/// A provider that signs what it sends. The handler checks the signature, over the body's very octets, and keeps every call:
/// also one that is longer than any of ours.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// The body as it was sent: not decoded but for the gateway's base64, and never written anew.
    pub body: Bytes,
    /// The header fields.
    pub headers: HeaderMap,
    /// The sender's address, as the gateway saw it.
    pub source: Option<IpAddr>,
}

/// A caller whose credentials give `P`.
pub struct Caller<P> {
    principal: Arc<Principal>,
    gate: Arc<Gate>,
    permission: PhantomData<P>,
}

/// A caller with the admin scope.
pub type Admin = Caller<account::IsAdmin>;

impl Access for Public {
    const AUTHENTICATES: bool = false;
    const SCOPE: Option<Scope> = None;
    const OWNER_ONLY: bool = false;
}
impl Access for Webhook {
    const AUTHENTICATES: bool = false;
    const SCOPE: Option<Scope> = None;
    const OWNER_ONLY: bool = false;
    /// What Lambda takes at most, base64 and all, is less.
    const MAX_BODY: usize = 10_000_000;
}
impl<P: Permission> Access for Caller<P> {
    const AUTHENTICATES: bool = true;
    const SCOPE: Option<Scope> = Some(P::SCOPE);
    const OWNER_ONLY: bool = matches!(P::ROLES, [Role::Owner]);
}
impl<P> Caller<P> {
    /// Who calls.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }
    /// The tenant.
    pub fn workspace(&self) -> WorkspaceId {
        self.principal.workspace
    }
    /// Checks a page request; its cursor must be one that this tenant got for this filter.
    pub fn page(&self, query: &PageQuery, filter: &str) -> Result<PageRequest, Cause> {
        query.open(&self.gate.cursors, &self.tenant(), filter)
    }
    /// One page of what was found, its cursor sealed for this tenant and filter.
    pub fn paged<T>(&self, found: aws::Found<T>, filter: &str) -> Page<T> {
        let next_cursor = found.next.map(|key| self.gate.cursors.seal(&self.tenant(), filter, key));
        Page { data: found.items, next_cursor }
    }
    fn tenant(&self) -> String {
        self.principal.workspace.to_string()
    }
}

/// The header in which somebody who signed in says which of their workspaces they mean; their own, if they do not.
const WORKSPACE: &str = "x-workspace-id";

/// The key in `X-API-Key`; without one, the token or key in `Authorization: Bearer`.
async fn authenticate(parts: &Parts) -> Result<(Principal, Arc<Gate>), Cause> {
    let gate = parts.extensions.get::<Arc<Gate>>().cloned();
    let gate = gate.ok_or_else(|| Cause::internal("no gate in the request"))?;
    let known = gate.authenticator.as_ref();
    let known = known.ok_or_else(|| Cause::internal("no account table for this function"))?;
    let unauthenticated = |detail: &str| Cause::new(Kind::Unauthenticated).detail(detail);
    let header = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let principal = match (header("x-api-key"), header("authorization")) {
        (Some(key), _) => known.key(key).await?,
        (None, Some(text)) => match text.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                // Boxed, for what a token may need would make every future around this one as large.
                Box::pin(known.bearer(token.trim())).await?
            }
            _ => return Err(unauthenticated("The Authorization header must be: Bearer and a token.")),
        },
        (None, None) => {
            return Err(unauthenticated(
                "Send a token in Authorization: Bearer, or an API key in X-API-Key.",
            ));
        }
    };
    let principal = match header(WORKSPACE) {
        Some(id) => match id.parse::<WorkspaceId>() {
            Ok(workspace) => known.within(principal, workspace).await?,
            Err(_) => return Err(Cause::new(Kind::NotFound).detail("X-Workspace-Id names no workspace.")),
        },
        None => principal,
    };
    let meter = parts.extensions.get::<Meter>().cloned().unwrap_or_default();
    tracing::Span::current().record("workspace", tracing::field::display(principal.workspace));
    if let Some(key) = principal.key {
        tracing::Span::current().record("key", tracing::field::display(key));
    }
    gate.limiter.user(principal.user, &meter).await?;
    Ok((principal, gate))
}

fn require(principal: &Principal, scope: Scope) -> Result<(), Cause> {
    if principal.may(scope) {
        return Ok(());
    }
    Err(Cause::new(Kind::Forbidden).detail(match scope {
        Scope::Admin => "This needs an administrator, or a key with the scope \"admin\".".to_owned(),
        _ => format!("This needs a key with the scope {:?}.", scope.name()),
    }))
}

impl<S: Sync, P: Permission> FromRequestParts<S> for Caller<P> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let (principal, gate) = authenticate(parts).await?;
        require(&principal, P::SCOPE)?;
        let principal = Arc::new(principal);
        parts.extensions.insert(Arc::clone(&principal));
        Ok(Self { principal, gate, permission: PhantomData })
    }
}

impl<S: Sync> FromRequestParts<S> for Public {
    type Rejection = Problem;
    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self)
    }
}

/// Where a request came from, put into its extensions.
#[derive(Clone, Copy)]
pub(crate) struct Source(pub Option<IpAddr>);

impl<S: Sync> FromRequestParts<S> for Webhook {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self {
            body: extract::body(parts),
            headers: parts.headers.clone(),
            source: parts.extensions.get::<Source>().and_then(|source| source.0),
        })
    }
}

/// The argument tuples of handlers that say who may call: `State`, then an [`Access`] type, then the rest.
pub trait Guarded {
    /// Who may.
    type Who: Access;
}

macro_rules! guarded {
    ($($rest:ident),*) => {
        impl<M, S, A: Access, $($rest),*> Guarded for (M, axum::extract::State<S>, A, $($rest),*) {
            type Who = A;
        }
    };
}
guarded!();
guarded!(T1);
guarded!(T1, T2);
guarded!(T1, T2, T3);
guarded!(T1, T2, T3, T4);
