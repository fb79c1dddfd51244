//! The constant answer of `open` for callers with credentials: what looking at them costs. It takes the place of `GET /v1/me`.

use account::CanRead;
use web::prelude::*;

fn endpoint() -> Endpoint<()> {
    web::endpoint!(guarded)
}

/// Answers.
#[utoipa::path(get, path = "/v1/me", responses((status = 200)))]
async fn guarded(State(()): State<()>, _: Caller<CanRead>) -> Result<Json<&'static str>, Problem> {
    Ok(Json("done"))
}

fn main() -> std::process::ExitCode {
    web::run(endpoint)
}
