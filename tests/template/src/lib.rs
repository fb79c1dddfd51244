//! The templates, the crates, the events and the API description, read once and side by side.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use cargo_metadata::{CargoOpt, Metadata, MetadataCommand};
use local::template::model::{Function, Model, Site, SourceKind, Templates};
use serde_json::Value;

/// What invokes a function.
#[derive(Debug)]
pub enum Trigger<'a> {
    /// Routes of the API, as `GET /v1/things/{id}` or `$default`.
    Http(Vec<String>),
    /// Queues, streams and clocks.
    Events(Vec<&'a SourceKind>),
}

/// The repository's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The templates as written.
#[expect(clippy::expect_used, reason = "a test that cannot read the templates has nothing to say")]
pub static TEMPLATES: LazyLock<Templates> = LazyLock::new(|| {
    Templates::load(&root().join("template.yaml"), "piecework").expect("the templates load")
});

/// The templates at a site of that `Environment`.
#[expect(clippy::expect_used, reason = "as above")]
pub fn model(environment: &str) -> Model {
    let site = Site {
        stack_name: "piecework".into(),
        region: "us-east-1".into(),
        account_id: "000000000000".into(),
        sqs_endpoint: "https://sqs.us-east-1.amazonaws.com".into(),
        api_endpoint: "https://example.execute-api.us-east-1.amazonaws.com".into(),
        parameters: [("Environment".to_owned(), environment.to_owned())].into(),
        ..Site::default()
    };
    TEMPLATES.model(&site).expect("the templates make sense")
}

/// The workspace without its dependencies.
#[expect(clippy::expect_used, reason = "as above")]
pub static METADATA: LazyLock<Metadata> = LazyLock::new(|| {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .features(CargoOpt::SomeFeatures(Vec::new()))
        .no_deps()
        .exec()
        .expect("cargo describes the workspace")
});

/// The packages under `functions/`.
pub fn packages() -> Vec<String> {
    let folder = METADATA.workspace_root.join("functions");
    let ours = METADATA.packages.iter().filter(|p| p.manifest_path.starts_with(&folder));
    ours.map(|p| p.name.to_string()).collect()
}

/// A text file of the repository.
///
/// # Panics
/// If it is not there.
pub fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// A JSON file of the repository.
///
/// # Panics
/// If it is not there or not JSON.
pub fn json(path: &str) -> Value {
    serde_json::from_str(&text(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// What invokes `function`.
pub fn trigger<'a>(model: &'a Model, function: &Function) -> Trigger<'a> {
    let routes: Vec<String> = model
        .routes
        .iter()
        .filter(|r| r.function == function.name)
        .map(|r| if r.path == "$default" { r.path.clone() } else { format!("{} {}", r.method, r.path) })
        .collect();
    if !routes.is_empty() {
        return Trigger::Http(routes);
    }
    Trigger::Events(model.sources.iter().filter(|s| s.function == function.name).map(|s| &s.kind).collect())
}

/// Every resource: stack's name, logical id, resource.
pub fn resources() -> impl Iterator<Item = (&'static str, &'static str, &'static Value)> {
    TEMPLATES.stacks.iter().flat_map(|stack| {
        stack.resources().map(|(logical, resource)| (stack.name.as_str(), logical.as_str(), resource))
    })
}

/// The resources of one type.
pub fn of_type(kind: &str) -> impl Iterator<Item = (&'static str, &'static str, &'static Value)> {
    resources().filter(move |(_, _, resource)| resource["Type"] == kind)
}
