//! New functions in a copy of the templates, read by the one-command stack's own reader.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

use std::path::{Path, PathBuf};
use std::process::Command;

use local::template::model::{Model, Site, SourceKind, Templates};
use scaffold::{Error, Request, Trigger, plan, write};
use tempfile::TempDir;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The files that a new function touches or must fit to.
fn copy() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("infra")).unwrap();
    for name in [
        "Cargo.toml",
        "template.yaml",
        "rustfmt.toml",
        "infra/account.yaml",
        "infra/billing.yaml",
        "infra/verify.yaml",
        "infra/ops.yaml",
    ] {
        std::fs::copy(root().join(name), folder.path().join(name)).unwrap();
    }
    folder
}

fn model(folder: &Path) -> Model {
    let site = Site {
        stack_name: "piecework".into(),
        region: "us-east-1".into(),
        account_id: "000000000000".into(),
        sqs_endpoint: "http://127.0.0.1:1".into(),
        ..Site::default()
    };
    Templates::load(&folder.join("template.yaml"), "piecework").unwrap().model(&site).unwrap()
}

fn route(area: &str, name: &str, method: &str, path: &str) -> Request {
    let trigger = Trigger::Route { method: method.into(), path: path.into() };
    Request { area: area.into(), name: name.into(), trigger }
}

fn queue(area: &str, name: &str, queue: &str) -> Request {
    Request { area: area.into(), name: name.into(), trigger: Trigger::Queue(queue.into()) }
}

fn add(folder: &Path, request: &Request) {
    let plan = plan(folder, request).unwrap();
    assert!(
        plan.files.len() <= 6,
        "apart from its test and what a command makes anew, six files are touched"
    );
    write(folder, &plan).unwrap();
    for file in ["lib.rs", "main.rs"] {
        let source = folder.join("functions").join(&request.area).join(&request.name).join("src").join(file);
        let check =
            Command::new("rustfmt").args(["--edition", "2024", "--check"]).arg(&source).output().unwrap();
        let said =
            String::from_utf8_lossy(&check.stdout).into_owned() + &String::from_utf8_lossy(&check.stderr);
        assert!(check.status.success(), "{said}");
    }
}

fn event(folder: &Path, request: &Request) -> serde_json::Value {
    let path = folder.join("events").join(request.package() + ".json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_new_endpoint_is_routed_and_may_look_up_its_caller() {
    let folder = copy();
    let before = model(folder.path()).functions.len();
    let cases = [
        route("verify", "get-thing", "GET", "/v1/things/{id}"),
        route("verify", "create-thing", "POST", "/v1/things"),
        route("account", "delete-member", "DELETE", "/v1/workspaces/{workspace}/members/{member}"),
        route("billing", "list-plans", "GET", "/v1/plans"),
    ];
    for request in &cases {
        add(folder.path(), request);
    }
    let model = model(folder.path());
    assert_eq!(model.functions.len(), before + cases.len());
    for request in &cases {
        let Trigger::Route { method, path } = &request.trigger else { unreachable!() };
        let routed = model.routes.iter().find(|r| r.function == request.package()).unwrap();
        assert_eq!((&routed.method, &routed.path), (method, path));
        let function = model.function(&request.package()).unwrap();
        assert_eq!(function.env["ACCOUNT_TABLE"], "piecework-dev-account");
        assert!(function.env.contains_key("CURSOR_KEY"));
        assert!(function.policies.to_string().contains(":table/piecework-dev-account"));
        assert_eq!(event(folder.path(), request)["routeKey"], format!("{method} {path}"));
        let watched = format!(
            "\n  {{ path = \"{path}\", methods = [\"{method}\"], function = \"{}\" }},\n",
            request.package()
        );
        let manifest = std::fs::read_to_string(folder.path().join("Cargo.toml")).unwrap();
        assert_eq!(manifest.matches(&watched).count(), 1, "cargo lambda watch serves it");
    }
}

#[test]
fn a_new_endpoint_of_an_area_without_accounts_is_public() {
    let folder = copy();
    let request = route("ops", "get-time", "GET", "/v1/time");
    add(folder.path(), &request);
    let model = model(folder.path());
    let function = model.function("ops-get-time").unwrap();
    assert!(!function.env.contains_key("ACCOUNT_TABLE"));
    assert!(event(folder.path(), &request)["headers"].get("x-api-key").is_none());
}

#[test]
fn a_new_processor_has_its_queue_and_the_health_page_shows_it() {
    let folder = copy();
    let request = queue("verify", "tidy-thing", "Tidy");
    add(folder.path(), &request);
    let model = model(folder.path());
    let source = model.sources.iter().find(|s| s.function == "verify-tidy-thing").unwrap();
    let SourceKind::Sqs(sqs) = &source.kind else { panic!("{:?}", source.kind) };
    assert_eq!(sqs.queue, "piecework-dev-verify-tidy");
    assert!(sqs.report_failures);
    let health = &model.function("ops-get-health").unwrap().env["QUEUES"];
    let shown: serde_json::Value = serde_json::from_str(health).unwrap();
    assert!(shown["tidy-dead"].as_str().unwrap().ends_with("/piecework-dev-verify-tidy-dead"));
    let policies = model.function("ops-get-health").unwrap().policies.to_string();
    assert!(policies.contains(":piecework-dev-verify-tidy-dead\""), "and may look at it");
    let arn = event(folder.path(), &request)["Records"][0]["eventSourceARN"].clone();
    assert!(arn.as_str().unwrap().ends_with(":piecework-dev-verify-tidy"));
}

#[test]
fn what_is_there_or_unusable_is_refused_and_nothing_is_written() {
    let folder = copy();
    for (request, exists) in [
        (route("verify", "get-task", "GET", "/v1/elsewhere"), true),
        (route("verify", "read-task", "GET", "/v1/verification/tasks/{id}"), true),
        (queue("verify", "split-again", "Split"), true),
        (route("verify", "thing", "GET", "/v1/things"), false),
        (route("verify", "get-Thing", "GET", "/v1/things"), false),
        (route("verify", "get-thing", "LOOK", "/v1/things"), false),
        (route("verify", "get-thing", "GET", "/things"), false),
        (route("verify", "get-thing", "GET", "/v1/things/"), false),
        (queue("verify", "tidy-thing", "tidy"), false),
    ] {
        let error = plan(folder.path(), &request).unwrap_err();
        assert_eq!(matches!(error, Error::Exists(_)), exists, "{request:?}: {error}");
    }
    assert!(matches!(
        plan(folder.path(), &route("nowhere", "get-thing", "GET", "/v1/x")),
        Err(Error::File { .. })
    ));
    assert!(!folder.path().join("functions").exists());
}
