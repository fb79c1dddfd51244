//! `POST /v1/verification/uploads`: a task that waits for a file, and the link to upload it (V7).

use account::CanVerify;
use verify::{NewUpload, Upload, Verify};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Verify> {
    web::endpoint!(create_upload, verify::UPSTREAM).strict()
}

/// Makes a task of a file to be uploaded.
///
/// The task starts when the file is there. What cannot be read, and a list that the balance does not cover, end it as
/// `failed` with the reason in `problem`; nothing is charged then.
#[utoipa::path(post, path = "/v1/verification/uploads", tag = "verification", operation_id = "createUpload", request_body = NewUpload,
    params(("idempotency-key" = inline(Option<String>), Header, nullable = false, description = "Makes a repeat safe for 24 hours.")),
    responses((status = 201, description = "The task, and where to put the file.", body = Upload, headers(("location" = String)))))]
async fn create_upload(
    State(verify): State<Verify>,
    caller: Caller<CanVerify>,
    key: IdempotencyKey,
    Json(new): Json<NewUpload>,
) -> Result<Answer, Problem> {
    let actor = caller.principal().user;
    Ok(verify.create_upload(caller.workspace(), actor, new, key.0.as_ref()).await?.into())
}
