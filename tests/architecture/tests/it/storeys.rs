//! `functions → web | worker → <area> → aws → core`. Nothing points back up.

use std::collections::{BTreeMap, BTreeSet};

use architecture_tests::{Member, members};

const AREAS: &[&str] = &["account", "billing", "ops", "verify"];

/// Areas that need another's effect inside their own transaction. Everything else goes by event.
const TOGETHER: &[(&str, &str)] = &[("account", "billing"), ("verify", "billing")];

/// The storey of a shared crate. A crate may use lower ones.
fn storey(name: &str) -> Option<u8> {
    Some(match name {
        "piecework-core" => 0,
        // Engines without I/O of ours: they know addresses, tables and mail servers, not Piecework.
        "email" => 0,
        "probe" | "tabular" => 1,
        "aws" => 1,
        // What the areas agree on about exports, and the zip that they become.
        "archive" => 2,
        area if AREAS.contains(&area) => 3,
        "web" | "worker" => 4,
        _ => return None,
    })
}

fn ours() -> (Vec<Member>, BTreeMap<&'static str, String>) {
    let members = members();
    let folders = members.iter().map(|m| (m.package.name.as_str(), m.folder.clone())).collect();
    (members, folders)
}

#[test]
fn a_shared_crate_uses_only_what_stands_below_it() {
    let (members, folders) = ours();
    for member in members.iter().filter(|m| m.folder.starts_with("shared/")) {
        let name = member.package.name.as_str();
        let own = storey(name).unwrap_or_else(|| panic!("{name} has no storey: say here where it stands"));
        for used in member.uses().filter(|used| folders.contains_key(used)) {
            let below = storey(used).is_some_and(|s| s < own) || TOGETHER.contains(&(name, used));
            assert!(below, "{name} uses {used}");
        }
    }
}

#[test]
fn a_function_uses_its_own_area_and_one_way_to_be_invoked() {
    let (members, folders) = ours();
    for member in members.iter().filter(|m| m.folder.starts_with("functions/")) {
        let name = &member.package.name;
        let area = member.folder.split('/').nth(1).unwrap();
        let used: BTreeSet<&str> = member.uses().filter(|u| folders.contains_key(u)).collect();
        // Permissions are the account area's; everything shares the storeys below.
        let known = [area, "account", "web", "worker", "aws", "piecework-core"];
        let unknown: Vec<_> = used.iter().filter(|u| !known.contains(u)).collect();
        assert!(unknown.is_empty(), "{name} uses {unknown:?}");
        assert_ne!(used.contains("web"), used.contains("worker"), "{name} is either HTTP or a processor");
    }
}

#[test]
fn only_shared_aws_names_an_sdk() {
    let (members, _) = ours();
    let deployed = |m: &&Member| m.folder.starts_with("shared/") || m.folder.starts_with("functions/");
    for member in members.iter().filter(deployed).filter(|m| m.package.name.as_str() != "aws") {
        let sdk = member.uses().find(|u| u.starts_with("aws-sdk-") || u.starts_with("aws-smithy-"));
        assert_eq!(sdk, None, "{}", member.package.name);
    }
}

#[test]
fn nothing_that_deploys_knows_the_one_command_stack_or_the_tests() {
    let (members, folders) = ours();
    let deployed = |m: &&Member| m.folder.starts_with("shared/") || m.folder.starts_with("functions/");
    for member in members.iter().filter(deployed) {
        for used in member.uses() {
            let folder = folders.get(used).map_or("", String::as_str);
            let outside = folder.starts_with("infra/") || folder.starts_with("tests/");
            assert!(!outside, "{} uses {used}", member.package.name);
        }
    }
}

#[test]
fn the_checker_of_the_ledger_knows_nothing_of_ours() {
    let (members, folders) = ours();
    let checker = members.iter().find(|m| m.folder == "tests/ledger").unwrap();
    let used: Vec<_> = checker.uses().filter(|used| folders.contains_key(used)).collect();
    assert_eq!(used, [""; 0], "what judges the ledger shares no code with it");
    // Nor does what plays the histories name the ledger.
    let all: BTreeSet<&str> = checker.package.dependencies.iter().map(|d| d.name.as_str()).collect();
    assert!(all.contains("local") && !all.contains("billing"), "{all:?}");
}

#[test]
fn a_package_is_named_after_its_folder() {
    for member in members() {
        let name = member.package.name.as_str();
        let parts: Vec<&str> = member.folder.split('/').collect();
        let expected = match parts.as_slice() {
            ["functions", area, verb] => format!("{area}-{verb}"),
            ["shared", "core"] => "piecework-core".to_owned(),
            ["infra", "local", part] => format!("local-{part}"),
            ["tests", "bench"] => "bench".to_owned(),
            ["tests", what] => format!("{what}-tests"),
            [_, crate_] => (*crate_).to_owned(),
            other => panic!("a package at {other:?}"),
        };
        assert_eq!(name, expected, "{}", member.folder);
        if parts[0] == "functions" {
            assert!(parts[2].contains('-'), "{}: a verb and a noun", member.folder);
            let binaries: Vec<_> =
                member.package.targets.iter().filter(|t| t.is_bin()).map(|t| t.name.as_str()).collect();
            assert_eq!(binaries, [name], "one binary, named like its package");
        }
    }
}
