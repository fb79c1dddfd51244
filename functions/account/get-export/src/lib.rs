//! `GET /v1/me/exports/{id}`: how far an export is, and a link to it (P19).

use account::{CanManagePersonalData, Export, ExportId, Exporter};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Exporter> {
    web::endpoint!(get_export)
}

/// Shows how far an export of the user's is.
///
/// When it is ready, every answer has a new link, which lasts 15 minutes. The zip is kept for seven days.
#[utoipa::path(get, path = "/v1/me/exports/{id}", tag = "me", operation_id = "getExport",
    params(("id" = ExportId, Path, description = "The export.")),
    responses((status = 200, description = "The export.", body = Export)))]
async fn get_export(
    State(exporter): State<Exporter>,
    caller: Caller<CanManagePersonalData>,
    Path(id): Path<ExportId>,
) -> Result<Json<Export>, Problem> {
    Ok(Json(exporter.export(caller.principal().user, id).await?))
}
