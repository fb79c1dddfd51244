//! The crate of a function.

use crate::{Request, Trigger, parameters, template::Area};

pub(crate) fn manifest(request: &Request, area: &Area) -> String {
    let package = request.package();
    let mut uses = vec!["piecework-core"];
    match request.trigger {
        Trigger::Route { .. } => {
            uses.extend(["utoipa", "web"]);
            uses.extend(area.authenticates().then_some("account"));
        }
        Trigger::Queue(_) => uses.extend(["serde", "worker"]),
    }
    uses.sort_unstable();
    let uses: String = uses.iter().map(|name| format!("{name}.workspace = true\n")).collect();
    format!(
        r#"[package]
name = "{package}"
version.workspace = true
edition.workspace = true
rust-version.workspace = true
license.workspace = true
publish.workspace = true

[lints]
workspace = true

# Tested from outside, as it is deployed: see tests/stack.
[lib]
test = false
doctest = false

[[bin]]
name = "{package}"
path = "src/main.rs"
test = false

[dependencies]
{uses}"#
    )
}

/// The line in the workspace's manifest that the routes of `cargo lambda watch` end with.
const REST: &str = "  # What no route takes";

/// The workspace's manifest with the route in it: `cargo lambda watch` reads no template.
pub(crate) fn watched(
    manifest: &str,
    request: &Request,
    method: &str,
    path: &str,
    next: &mut Vec<String>,
) -> String {
    let package = request.package();
    let route = format!(r#"{{ path = "{path}", methods = ["{method}"], function = "{package}" }},"#);
    match manifest.split_once(REST) {
        Some((before, after)) => format!("{before}  {route}\n{REST}{after}"),
        None => {
            next.push(format!("route it in Cargo.toml for cargo lambda watch: {route}"));
            manifest.to_owned()
        }
    }
}

pub(crate) fn main(request: &Request) -> String {
    let library = request.package().replace('-', "_");
    let start = match request.trigger {
        Trigger::Route { .. } => format!("web::run({library}::endpoint)"),
        Trigger::Queue(_) => format!("{library}::run()"),
    };
    format!("//! See the library of this crate.\n\nfn main() -> std::process::ExitCode {{\n    {start}\n}}\n")
}

pub(crate) fn library(request: &Request, area: &Area) -> String {
    match &request.trigger {
        Trigger::Route { method, path } => endpoint(request, area, method, path),
        Trigger::Queue(queue) => processor(request, queue),
    }
}

fn endpoint(request: &Request, area: &Area, method: &str, path: &str) -> String {
    let (handler, sentence) = (request.handler(), request.sentence());
    let mut id = request.logical();
    id[..1].make_ascii_lowercase();
    let names = parameters(path);
    let described: Vec<String> =
        names.iter().map(|n| format!(r#"("{n}" = String, Path, description = "Which.")"#)).collect();
    let described = match described.as_slice() {
        [] => String::new(),
        all => format!("\n    params({}),", all.join(", ")),
    };
    let arguments: Vec<String> = names.iter().map(|n| format!("_{}", n.replace(['-', '.'], "_"))).collect();
    let argument = match arguments.as_slice() {
        [] => String::new(),
        [one] => format!("\n    Path({one}): Path<String>,"),
        all => format!("\n    Path(({})): Path<({})>,", all.join(", "), vec!["String"; all.len()].join(", ")),
    };
    let (import, who) = match (area.authenticates(), method) {
        (false, _) => ("", "_: Public"),
        (true, "GET") => ("use account::CanRead;\n", "_caller: Caller<CanRead>"),
        (true, _) => ("use account::CanVerify;\n", "_caller: Caller<CanVerify>"),
    };
    let arguments = match argument.as_str() {
        "" => format!("State(()): State<()>, {who}"),
        path => format!("\n    State(()): State<()>,\n    {who},{path}\n"),
    };
    format!(
        r#"//! `{method} {path}`: {plain}.

{import}use piecework_core::{{Kind, Problem as Cause}};
use web::prelude::*;

/// This function's endpoint.
pub fn endpoint() -> Endpoint<()> {{
    web::endpoint!({handler})
}}

/// {sentence}.
#[utoipa::path({verb}, path = "{path}", tag = "{area}", operation_id = "{id}",{described}
    responses((status = 204, description = "Done.")))]
async fn {handler}({arguments}) -> Result<StatusCode, Problem> {{
    Err(Cause::new(Kind::NotFound).detail("This is not there yet.").into())
}}
"#,
        plain = sentence.to_lowercase(),
        verb = method.to_lowercase(),
        area = request.area,
    )
}

fn processor(request: &Request, queue: &str) -> String {
    let (handler, sentence, queue) =
        (request.handler(), request.sentence().to_lowercase(), queue.to_lowercase());
    format!(
        r#"//! The {queue} queue: {sentence}.

use std::process::ExitCode;

use piecework_core::WorkspaceId;
use serde::Deserialize;
use worker::Failure;

/// What the queue carries.
#[derive(Debug, Deserialize)]
pub struct Message {{
    /// Whose.
    pub workspace: WorkspaceId,
}}

/// Serves the queue.
pub fn run() -> ExitCode {{
    worker::run_queue({handler})
}}

async fn {handler}(_: (), message: Message) -> Result<(), Failure> {{
    Err(Failure::reject(format!("nothing is done for {{}} yet", message.workspace)))
}}
"#
    )
}
