//! `$default`: what no other function answers is 404, or 405 where the path exists.

use axum::{extract::OriginalUri, http::Method};
use piecework_core::{Kind, Problem as Cause};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<()> {
    Endpoint::fallback(refuse_route)
}

async fn refuse_route(
    State(()): State<()>,
    _: Public,
    method: Method,
    OriginalUri(uri): OriginalUri,
) -> Problem {
    let allowed = ops::allowed_methods(uri.path());
    // A path that only becomes one of ours when its dots are followed, as `/v1/x/../usage`, came here because it is none.
    if allowed.is_empty() || allowed.contains(&method.as_str()) {
        return Cause::new(Kind::NotFound).detail("There is no such path.").into();
    }
    let allow = allowed.join(", ");
    Cause::new(Kind::MethodNotAllowed).detail(format!("This path takes {allow}.")).with("allow", allow).into()
}
