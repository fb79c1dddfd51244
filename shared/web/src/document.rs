//! The OpenAPI description of one endpoint: what `#[utoipa::path]` says, and what the signature says besides (P15).

use axum::handler::Handler;
use piecework_core::Feature;
use serde::Serialize;
use utoipa::{
    PartialSchema, Path, ToSchema,
    openapi::{
        Components, Content, Header, InfoBuilder, OpenApi, OpenApiBuilder, PathItem, Paths, RefOr,
        ResponseBuilder,
        schema::{Object, Schema, SchemaType, Type},
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use crate::{
    access::{Access, Guarded},
    limit::Class,
};

/// An error: RFC 9457 problem details.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ProblemDocument {
    /// The kind of problem, a stable URI.
    #[schema(example = "https://piecework.example/problems/insufficient-credits")]
    pub r#type: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// This occurrence, for people.
    pub detail: Option<String>,
    /// What to name when asking for help.
    pub request_id: Option<String>,
    /// What is wrong with the request, point by point.
    pub errors: Option<Vec<piecework_core::Fault>>,
}

/// The function that describes a handler's endpoint. Called by a tool, never at a cold start.
pub fn fragment<P, H, T, S>(_: H) -> fn() -> OpenApi
where
    P: Path + utoipa::__dev::SchemaReferences + for<'t> utoipa::__dev::Tags<'t>,
    H: Handler<T, S>,
    T: Guarded,
{
    describe::<P, T::Who>
}

pub(crate) fn empty() -> OpenApi {
    let about = "Work by the piece: upload input, let it be processed, fetch the results, pay once.\n\nErrors are `application/problem+json` (RFC 9457). Lists are paged: pass `next_cursor` on as `cursor` until it is null. `Idempotency-Key` makes a POST safe to repeat for 24 hours. How often a user and an address may ask is in `RateLimit-Policy` and `RateLimit`; beyond, the answer is 429 with `Retry-After`. Who signed in acts in their own workspace, or in the one of theirs that `X-Workspace-Id` names. `X-Correlation-Id`, if sent, comes back and is in every log line of the request.";
    let info = InfoBuilder::new()
        .title("Piecework")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(about))
        .build();
    OpenApiBuilder::new().info(info).build()
}

/// The description with the class of rate limits at each operation, and the feature that switches it off.
pub(crate) fn marked(mut document: OpenApi, class: Class, feature: Option<Feature>) -> OpenApi {
    for item in document.paths.paths.values_mut() {
        let operations = [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.delete,
            &mut item.options,
            &mut item.head,
            &mut item.patch,
            &mut item.trace,
        ];
        for operation in operations.into_iter().flatten() {
            let extensions = operation.extensions.get_or_insert_default();
            extensions.insert("x-rate-limit".into(), class.name().into());
            if let Some(feature) = feature {
                extensions.insert("x-feature".into(), feature.name().into());
            }
        }
    }
    document
}

/// The answer to a caller whose quota is used up.
fn too_many() -> utoipa::openapi::Response {
    let header = |type_, description: &str| {
        let mut header = Header::new(Object::with_type(SchemaType::Type(type_)));
        header.description = Some(description.to_owned());
        header
    };
    let field = "draft-ietf-httpapi-ratelimit-headers; every answer has it.";
    ResponseBuilder::new()
        .description("The quota of the user or of the address is used up.")
        .content(
            "application/problem+json",
            Content::new(Some(RefOr::Ref(utoipa::openapi::Ref::from_schema_name("ProblemDocument")))),
        )
        .header("retry-after", header(Type::Integer, "Seconds until there is more."))
        .header("ratelimit", header(Type::String, field))
        .header("ratelimit-policy", header(Type::String, field))
        .build()
}

fn describe<P, A: Access>() -> OpenApi
where
    P: Path + utoipa::__dev::SchemaReferences + for<'t> utoipa::__dev::Tags<'t>,
{
    let mut operation = P::operation();
    operation.tags = Some(P::tags().into_iter().map(str::to_owned).collect());
    let problem = RefOr::T(
        ResponseBuilder::new()
            .description("A problem (RFC 9457).")
            .content(
                "application/problem+json",
                Content::new(Some(RefOr::Ref(utoipa::openapi::Ref::from_schema_name("ProblemDocument")))),
            )
            .header("x-correlation-id", Header::new(Object::with_type(SchemaType::Type(Type::String))))
            .build(),
    );
    operation.responses.responses.insert("default".into(), problem);
    operation.responses.responses.insert("429".into(), RefOr::T(too_many()));
    let mut components = Components::new();
    let mut schemas: Vec<(String, RefOr<Schema>)> = Vec::new();
    P::schemas(&mut schemas);
    schemas.push((ProblemDocument::name().into_owned(), ProblemDocument::schema()));
    ProblemDocument::schemas(&mut schemas);
    components.schemas.extend(schemas);
    operation.security = Some(match A::SCOPE {
        None => vec![SecurityRequirement::default()],
        Some(_) => {
            let scheme = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-API-Key")));
            components.security_schemes.insert("api_key".into(), RefOr::T(scheme));
            let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
            components.security_schemes.insert("bearer".into(), RefOr::T(SecurityScheme::Http(bearer)));
            let either = ["api_key", "bearer"];
            either.map(|name| SecurityRequirement::new(name, Vec::<String>::new())).into()
        }
    });
    if let Some(scope) = A::SCOPE {
        let text = operation.description.get_or_insert_default();
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        text.push_str(&match scope {
            account::Scope::Admin => {
                "Needs an administrator's token, or a key with the scope `admin`.".to_owned()
            }
            _ => format!("Needs a token, or a key with the scope `{}`.", scope.name()),
        });
        if A::OWNER_ONLY {
            text.push_str(" For owners of the workspace.");
        }
    }
    let mut paths = Paths::new();
    for method in P::methods() {
        paths.paths.entry(P::path()).or_default().merge_operations(PathItem::new(method, operation.clone()));
    }
    let mut document = empty();
    document.paths = paths;
    document.components = Some(components);
    document
}
