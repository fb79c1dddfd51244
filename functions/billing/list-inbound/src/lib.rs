//! `GET /v1/admin/inbound`: what payment providers sent, for support.

use billing::inbound::{Inbound, InboundCall, Provider, Status};
use serde::Deserialize;
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<Inbound> {
    web::endpoint!(list_inbound)
}

/// As [`PageQuery`], which serde cannot flatten and refuse unknown names at once.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Who called.
    provider: Provider,
    /// Only calls that stand so.
    status: Option<Status>,
    /// Rows a page; 50 unless given, 200 at most.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next_cursor` of the page before. Good for 24 hours, for the same caller and filter.
    cursor: Option<String>,
}

/// Lists the calls of a provider, newest first.
#[utoipa::path(get, path = "/v1/admin/inbound", tag = "support", operation_id = "listInbound", params(Filter),
    responses((status = 200, description = "A page of calls.", body = Page<InboundCall>)))]
async fn list_inbound(
    State(inbound): State<Inbound>,
    admin: Admin,
    Query(filter): Query<Filter>,
) -> Result<Json<Page<InboundCall>>, Problem> {
    let query = PageQuery { limit: filter.limit, cursor: filter.cursor };
    let words = format!("inbound {:?} {:?}", filter.provider, filter.status);
    let page = admin.page(&query, &words)?;
    Ok(Json(admin.paged(inbound.list(filter.provider, filter.status, &page).await?, &words)))
}
