//! `GET /v1/verification/tasks/{id}/download`: the list with its result columns (V6).

use account::CanRead;
use axum::response::{IntoResponse as _, Response};
use verify::{Download, Results, TaskId};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Results> {
    web::endpoint!(download_results, verify::UPSTREAM).for_people(verify::complete_list)
}

/// The list as CSV: the original columns in their order, the result columns behind them.
///
/// Cells that a spreadsheet would run as a formula begin with an apostrophe. A list above 2 MiB is answered with a redirect
/// to a link that lasts 15 minutes. A task that has not come to its end is a conflict.
#[utoipa::path(get, path = "/v1/verification/tasks/{id}/download", tag = "verification", operation_id = "downloadResults",
    params(("id" = TaskId, Path, description = "The task.")),
    responses(
        (status = 200, description = "The list.", body = String, content_type = "text/csv"),
        (status = 303, description = "Where the list is.", headers(("location" = String)))))]
async fn download_results(
    State(results): State<Results>,
    caller: Caller<CanRead>,
    Path(id): Path<TaskId>,
) -> Result<Response, Problem> {
    Ok(match results.download(caller.workspace(), id).await? {
        Download::Link(url) => (StatusCode::SEE_OTHER, [("location", url)]).into_response(),
        Download::Inline { file_name, body } => {
            let disposition = format!("attachment; filename=\"{file_name}\"");
            (
                [
                    ("content-type", "text/csv; charset=utf-8".to_owned()),
                    ("content-disposition", disposition),
                ],
                body,
            )
                .into_response()
        }
    })
}
