//! `POST /v1/auth/refresh`: new tokens for a session (P6).

use account::{Refresh, Sessions, SignedIn};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Sessions> {
    web::endpoint!(refresh_session).strict()
}

/// Refreshes a session.
///
/// The refresh token is in the body or in the cookie that the login set, and is good once: one that comes again was copied, and its
/// session ends. Within ten seconds that is taken for a race of two tabs: 409, and the session goes on.
#[utoipa::path(post, path = "/v1/auth/refresh", tag = "auth", operation_id = "refreshSession", request_body = Refresh,
    responses((status = 200, description = "The new tokens.", body = SignedIn, headers(("set-cookie" = String)))))]
async fn refresh_session(
    State(sessions): State<Sessions>,
    _: Public,
    cookies: Cookies,
    Json(refresh): Json<Refresh>,
) -> Result<WithCookies<Landing<SignedIn>>, Problem> {
    let presented =
        refresh.refresh_token.or_else(|| cookies.get(account::REFRESH_COOKIE)).unwrap_or_default();
    let signed_in = sessions.refresh(&presented).await?;
    let cookie = account::refresh_cookie(&signed_in.refresh_token, account::SESSION_LIFE);
    Ok(WithCookies(Landing::Here(signed_in), vec![cookie]))
}
