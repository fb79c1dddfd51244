//! `GET /v1/auth/sso/{provider}/callback`: where a provider sends a browser back to (P6).

use account::{CallbackQuery, SignIn, SignedIn};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<SignIn> {
    web::endpoint!(finish_login).strict()
}

/// Ends a login.
///
/// With a `return_to` the browser goes there, with the refresh token in a cookie; without one the tokens are the answer. A login is
/// ended once, whatever comes of it.
#[utoipa::path(get, path = "/v1/auth/sso/{provider}/callback", tag = "auth", operation_id = "finishLogin",
    params(("provider" = String, Path, description = "The provider's name in the settings."), CallbackQuery),
    responses((status = 200, description = "Signed in.", body = SignedIn, headers(("set-cookie" = String))),
        (status = 303, description = "Signed in, and on.", headers(("location" = String), ("set-cookie" = String)))))]
async fn finish_login(
    State(sign_in): State<SignIn>,
    _: Public,
    Path(provider): Path<String>,
    Query(query): Query<CallbackQuery>,
    cookies: Cookies,
) -> Result<WithCookies<Landing<SignedIn>>, Problem> {
    let arrival = sign_in.callback(&provider, &query, |name| cookies.get(name)).await?;
    let landing = match arrival.return_to {
        Some(path) => Landing::There(path),
        None => Landing::Here(arrival.signed_in),
    };
    Ok(WithCookies(landing, arrival.cookies))
}
