//! A constant answer for anyone: what `guarded` is compared with. It takes the place of `GET /docs`.

use web::prelude::*;

fn endpoint() -> Endpoint<()> {
    web::endpoint!(open)
}

/// Answers.
#[utoipa::path(get, path = "/docs", responses((status = 200)))]
async fn open(State(()): State<()>, _: Public) -> Result<Json<&'static str>, Problem> {
    Ok(Json("done"))
}

fn main() -> std::process::ExitCode {
    web::run(endpoint)
}
