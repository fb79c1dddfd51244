//! What the lists say of a domain, as bits; shared with `build.rs`, which writes them.

/// On the curated list of disposable domains, or denied by an override.
pub(crate) const DISPOSABLE: u64 = 1;
/// Two large, less careful lists call it disposable.
pub(crate) const SUSPECTED: u64 = 2;
/// Never disposable, whatever the lists say.
pub(crate) const ALLOWED: u64 = 4;
