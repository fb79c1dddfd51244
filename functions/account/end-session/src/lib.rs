//! `POST /v1/auth/logout`: ends a session (P6).

use account::{Refresh, Sessions};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Sessions> {
    web::endpoint!(end_session).strict()
}

/// Signs out.
///
/// Ends the session of the refresh token in the body or in the cookie, and with it all of its tokens: the access token too is refused
/// from now on. A session that is no more changes nothing.
#[utoipa::path(post, path = "/v1/auth/logout", tag = "auth", operation_id = "endSession", request_body = Refresh,
    responses((status = 204, description = "The session is over.", headers(("set-cookie" = String)))))]
async fn end_session(
    State(sessions): State<Sessions>,
    _: Public,
    cookies: Cookies,
    Json(refresh): Json<Refresh>,
) -> Result<WithCookies<StatusCode>, Problem> {
    let presented =
        refresh.refresh_token.or_else(|| cookies.get(account::REFRESH_COOKIE)).unwrap_or_default();
    sessions.end(&presented).await?;
    Ok(WithCookies(StatusCode::NO_CONTENT, vec![account::refresh_cookie("", 0)]))
}
