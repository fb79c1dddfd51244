//! One endpoint: a guarded handler, its route, and its description.

use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    handler::Handler,
    routing::{MethodFilter, on},
};
use piecework_core::Feature;
use utoipa::openapi::{HttpMethod, OpenApi};

use crate::{
    access::{Access, Guarded},
    limit::{Class, Tell, tell},
    upstream::{ForPeople, Seat},
};

/// An endpoint, not yet wired to anything.
pub struct Endpoint<S> {
    pub(crate) router: Router<S>,
    pub(crate) authenticates: bool,
    pub(crate) catches_all: bool,
    /// The longest body that is read, octets.
    pub(crate) max_body: usize,
    pub(crate) class: Class,
    /// What switches it off.
    pub(crate) feature: Option<Feature>,
    /// How the table counts; none where each sandbox counts for itself.
    pub(crate) counts: Option<Tell>,
    pub(crate) documents: Vec<fn() -> OpenApi>,
    /// Whose answers may take the place of the handler's.
    pub(crate) upstream: Option<Seat>,
}

impl<S: Clone + Send + Sync + 'static> Endpoint<S> {
    /// Use [`endpoint!`](crate::endpoint!), which fills this in from the handler's `#[utoipa::path]`.
    pub fn new<H, T>(handler: H, methods: Vec<HttpMethod>, path: &str, document: fn() -> OpenApi) -> Self
    where
        H: Handler<T, S>,
        T: Guarded + 'static,
    {
        Self {
            router: Router::new().route(path, on(filter(&methods), handler)),
            authenticates: T::Who::AUTHENTICATES,
            catches_all: false,
            max_body: T::Who::MAX_BODY,
            class: Class::Standard,
            feature: None,
            counts: counts::<T::Who>(),
            documents: vec![document],
            upstream: None,
        }
    }

    /// The same, but where `setting` names an upstream, its answers are given and the handler is never called (V15). Who may call is
    /// the handler's in both cases.
    pub fn or_upstream<H, T>(
        handler: H,
        methods: Vec<HttpMethod>,
        path: &str,
        document: fn() -> OpenApi,
        setting: &'static str,
    ) -> Self
    where
        H: Handler<T, S>,
        T: Guarded + 'static,
    {
        let (at, filter) = (path.to_owned(), filter(&methods));
        let mut endpoint = Self::new(handler, methods, path, document);
        endpoint.upstream = Some(Seat {
            setting,
            document,
            for_people: None,
            route: Box::new(move |upstream| {
                let relay = move |_: T::Who, request: Request| {
                    let upstream = Arc::clone(&upstream);
                    async move { upstream.relay(request).await }
                };
                Router::new().route(&at, on(filter, relay))
            }),
        });
        endpoint
    }

    /// The same endpoint, whose upstream's lists for people are completed by this.
    #[must_use]
    pub fn for_people(mut self, complete: ForPeople) -> Self {
        if let Some(upstream) = &mut self.upstream {
            upstream.for_people = Some(complete);
        }
        self
    }

    /// The same endpoint under the strict rate limits: for what is costly or worth guessing at (P13). It counts in the table of
    /// accounts, so its function needs that even where anyone may call.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.class = Class::Strict;
        self.counts = Some(tell);
        self
    }

    /// The same endpoint behind a feature flag (P20): while it is off, the function answers 404, whoever asks.
    #[must_use]
    pub fn behind(mut self, feature: Feature) -> Self {
        self.feature = Some(feature);
        self
    }

    /// Both endpoints in one function: for an alias of a path.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.authenticates |= other.authenticates;
        self.max_body = self.max_body.max(other.max_body);
        self.counts = self.counts.or(other.counts);
        self.documents.extend(other.documents);
        self
    }

    /// Every path and method, for the one function that answers what no other does.
    pub fn fallback<H, T>(handler: H) -> Self
    where
        H: Handler<T, S>,
        T: Guarded + 'static,
    {
        Self {
            router: Router::new().fallback(handler),
            authenticates: T::Who::AUTHENTICATES,
            catches_all: true,
            max_body: T::Who::MAX_BODY,
            class: Class::Standard,
            feature: None,
            counts: counts::<T::Who>(),
            documents: Vec::new(),
            upstream: None,
        }
    }
}

/// Where callers are known, the table that has their keys counts too.
fn counts<A: Access>() -> Option<Tell> {
    if A::AUTHENTICATES { Some(tell) } else { None }
}

fn filter(methods: &[HttpMethod]) -> MethodFilter {
    let one = |method: &HttpMethod| match method {
        HttpMethod::Get => MethodFilter::GET,
        HttpMethod::Post => MethodFilter::POST,
        HttpMethod::Put => MethodFilter::PUT,
        HttpMethod::Delete => MethodFilter::DELETE,
        HttpMethod::Options => MethodFilter::OPTIONS,
        HttpMethod::Head => MethodFilter::HEAD,
        HttpMethod::Patch => MethodFilter::PATCH,
        HttpMethod::Trace => MethodFilter::TRACE,
    };
    methods.iter().map(one).reduce(MethodFilter::or).unwrap_or(MethodFilter::GET)
}

/// The endpoint of a handler that has `#[utoipa::path]` on it; with the name of a setting, one that may have an upstream there
/// ([`Endpoint::or_upstream`]).
#[macro_export]
macro_rules! endpoint {
    ($handler:ident) => {
        $crate::endpoint!(@ new, $handler,)
    };
    ($handler:ident, $setting:expr) => {
        $crate::endpoint!(@ or_upstream, $handler, $setting)
    };
    (@ $new:ident, $handler:ident, $($setting:expr)?) => {
        $crate::__private::pastey::paste! {
            $crate::Endpoint::$new(
                $handler,
                <[<__path_ $handler>] as $crate::__utoipa::Path>::methods(),
                &<[<__path_ $handler>] as $crate::__utoipa::Path>::path(),
                $crate::fragment::<[<__path_ $handler>], _, _, _>($handler),
                $($setting)?
            )
        }
    };
}
