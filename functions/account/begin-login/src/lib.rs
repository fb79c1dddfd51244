//! `GET /v1/auth/sso/{provider}/login`: sends a browser to a provider to sign in (P6).

use account::{LoginQuery, SignIn};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<SignIn> {
    web::endpoint!(begin_login).strict()
}

/// Begins a login.
///
/// For browsers: answers with a redirect to the provider, and a cookie that binds the login to the browser for ten minutes.
#[utoipa::path(get, path = "/v1/auth/sso/{provider}/login", tag = "auth", operation_id = "beginLogin",
    params(("provider" = String, Path, description = "The provider's name in the settings."), LoginQuery),
    responses((status = 303, description = "To the provider.", headers(("location" = String), ("set-cookie" = String)))))]
async fn begin_login(
    State(sign_in): State<SignIn>,
    _: Public,
    Path(provider): Path<String>,
    Query(query): Query<LoginQuery>,
) -> Result<WithCookies<Landing<()>>, Problem> {
    let departure = sign_in.login(&provider, query.return_to).await?;
    Ok(WithCookies(Landing::There(departure.to), vec![departure.cookie]))
}
