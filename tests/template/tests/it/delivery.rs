//! Stages, workflows and the scripts that they name.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;
use template_tests::{TEMPLATES, root, text};

/// What a stage may not be without.
const CAPABILITIES: &[&str] = &["CAPABILITY_AUTO_EXPAND", "CAPABILITY_IAM"];

/// The workflows by file name.
fn workflows() -> BTreeMap<String, Value> {
    let folder = std::fs::read_dir(root().join(".github/workflows")).unwrap();
    let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .map(|name| {
            let read = local::template::load::parse(&text(&format!(".github/workflows/{name}")));
            let workflow = read.unwrap_or_else(|e| panic!("{name}: {e}"));
            (name, workflow)
        })
        .collect()
}

fn jobs(workflow: &Value) -> &serde_json::Map<String, Value> {
    workflow["jobs"].as_object().unwrap()
}

/// The commands of a job.
fn commands(job: &Value) -> Vec<&str> {
    job["steps"].as_array().into_iter().flatten().filter_map(|step| step["run"].as_str()).collect()
}

#[test]
fn every_stage_of_samconfig_gives_parameters_that_the_template_takes() {
    let config: Value = basic_toml::from_str(&text("samconfig.toml")).unwrap();
    let parameters = TEMPLATES.stacks[0].section("Parameters").as_object().unwrap();
    let stages: BTreeSet<&str> =
        config.as_object().unwrap().keys().map(String::as_str).filter(|k| *k != "version").collect();
    let environments: BTreeSet<&str> = parameters["Environment"]["AllowedValues"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_str().unwrap())
        .collect();
    assert_eq!(stages, environments);
    for stage in stages {
        let deploy = &config[stage]["deploy"]["parameters"];
        assert_eq!(config[stage]["global"]["parameters"]["stack_name"], format!("piecework-{stage}"));
        for capability in CAPABILITIES {
            assert!(deploy["capabilities"].as_array().unwrap().contains(&(*capability).into()), "{stage}");
        }
        let given: BTreeMap<&str, &str> = deploy["parameter_overrides"]
            .as_array()
            .unwrap()
            .iter()
            .map(|o| o.as_str().unwrap().split_once('=').unwrap())
            .collect();
        assert_eq!(given["Environment"], stage);
        for (name, value) in given {
            let parameter = parameters.get(name).unwrap_or_else(|| panic!("{stage}: there is no {name}"));
            if let Some(allowed) = parameter["AllowedValues"].as_array() {
                assert!(allowed.contains(&value.into()), "{stage}: {name} cannot be {value}");
            }
            if stage != "dev" && name == "AllowedOrigins" {
                assert!(value.split(',').all(|origin| origin.starts_with("https://")), "{stage}: {value}");
            }
        }
    }
}

#[test]
fn every_step_of_a_workflow_is_a_script_that_is_there() {
    let check = text(".ci/run");
    let mut seen = 0;
    for (name, workflow) in workflows() {
        for job in jobs(&workflow).values() {
            for command in commands(job) {
                let mut words = command.split_whitespace();
                let script = words.next().unwrap();
                let file = std::fs::metadata(root().join(script));
                let mode = file.unwrap_or_else(|e| panic!("{name}: {command}: {e}")).permissions().mode();
                assert_eq!(mode & 0o111, 0o111, "{name}: {script} cannot be run");
                if script == ".ci/run" {
                    for step in words {
                        assert!(check.contains(&format!("\n{step}() ")), "{name}: .ci/run has no {step}");
                    }
                }
                seen += 1;
            }
        }
    }
    assert!(seen >= 6, "lint, test, build, scan, staging and production");
}

#[test]
fn the_workflows_leave_out_no_step_of_the_check() {
    let check = text(".ci/run");
    let (_, steps) = check.split_once("in \"${@:-").unwrap();
    let (steps, _) = steps.split_once('}').unwrap();
    let workflows = workflows();
    let run: BTreeSet<&str> = jobs(&workflows["check.yml"])
        .values()
        .flat_map(commands)
        .filter_map(|command| command.strip_prefix(".ci/run "))
        .flat_map(str::split_whitespace)
        .collect();
    assert_eq!(run, steps.split_whitespace().collect());
}

#[test]
fn production_follows_staging_and_staging_follows_every_check() {
    let workflows = workflows();
    let (check, deliver) = (jobs(&workflows["check.yml"]), jobs(&workflows["deliver.yml"]));
    let names: BTreeSet<&str> = check.keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(["build", "ledger", "lint", "scan", "test"]));
    assert!(check.values().all(|job| job["if"].is_null() && job["continue-on-error"].is_null()));
    assert_eq!(deliver["check"]["uses"], "./.github/workflows/check.yml");
    for (job, needs, environment, stage) in
        [("staging", "check", "staging", "staging"), ("production", "staging", "production", "prod")]
    {
        let job = &deliver[job];
        assert_eq!(job["needs"], needs);
        // The approval: reviewers are a setting of the environment.
        assert_eq!(job["environment"], environment);
        assert!(job["if"].is_null());
        assert_eq!(commands(job), [format!("delivery/deploy {stage}")]);
    }
}

#[test]
fn the_operators_page_names_what_the_templates_have() {
    let page = text("docs/operations.md");
    let mut known: BTreeSet<String> = BTreeSet::new();
    for stage in ["dev", "staging", "prod"] {
        let model = template_tests::model(stage);
        known.insert(format!("piecework-{stage}"));
        known.extend(model.tables.iter().map(|t| t.name.clone()));
        known.extend(model.queues.iter().map(|q| q.name.clone()));
        known.extend(model.buckets.iter().map(|b| b.name.replace("000000000000", "<account>")));
    }
    let mut seen = 0;
    let part = |c: char| c.is_ascii_alphanumeric() || "-<>".contains(c);
    for (at, _) in page.match_indices("piecework-") {
        let name: String = page[at..].chars().take_while(|c| part(*c)).collect();
        // A restored table has a name that is not there yet, and a prefix none.
        let name = name.trim_end_matches("-restored").replace("<stage>", "prod");
        assert!(
            known.contains(name.trim_end_matches('-')),
            "docs/operations.md names {name}, which no template has"
        );
        seen += 1;
    }
    assert!(seen > 10, "the page names what it is about");
    let functions = template_tests::packages();
    for stack in &TEMPLATES.stacks {
        for (logical, resource) in stack.resources() {
            if resource["Type"] == "AWS::CloudWatch::Alarm" {
                let described = resource["Properties"]["AlarmDescription"].as_str().unwrap();
                let named = page.contains(&format!("`{logical}`"))
                    || functions.iter().any(|f| *logical == format!("{}Errors", camel(f)))
                    || logical.ends_with("DeadLettersAlarm");
                assert!(named, "docs/operations.md does not say what to do about {logical}: {described}");
            }
        }
    }
    for parameter in TEMPLATES.stacks[0].section("Parameters").as_object().unwrap().keys() {
        assert!(page.contains(&format!("`{parameter}`")), "docs/operations.md does not name {parameter}");
    }
}

/// `SplitList` of `verify-split-list`.
fn camel(function: &str) -> String {
    let words = function.split('-').skip(1);
    words.map(|word| word[..1].to_ascii_uppercase() + &word[1..]).collect()
}
