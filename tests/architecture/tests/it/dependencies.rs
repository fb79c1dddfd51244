//! What comes from elsewhere: its licence, and how often the same thing comes.

use std::collections::{BTreeMap, BTreeSet};

use architecture_tests::{METADATA, deployed, root};
use cargo_metadata::Package;

/// Licences that ask for no more than being named.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "OpenSSL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Whether an SPDX expression can be satisfied by allowed licences alone.
fn allowed(expression: &str) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    either(&mut rest) && rest.is_empty()
}

fn either(rest: &mut &[&str]) -> bool {
    let mut fine = both(rest);
    while let [first, after @ ..] = *rest
        && *first == "OR"
    {
        *rest = after;
        fine |= both(rest);
    }
    fine
}

fn both(rest: &mut &[&str]) -> bool {
    let mut fine = one(rest);
    while let [first, after @ ..] = *rest
        && *first == "AND"
    {
        *rest = after;
        fine &= one(rest);
    }
    fine
}

fn one(rest: &mut &[&str]) -> bool {
    match *rest {
        ["(", inside @ ..] => {
            *rest = inside;
            let fine = either(rest);
            let [")", after @ ..] = *rest else { return false };
            *rest = after;
            fine
        }
        [licence, "WITH", exception, after @ ..] => {
            *rest = after;
            ALLOWED.contains(&format!("{licence} WITH {exception}").as_str())
        }
        [licence, after @ ..] => {
            *rest = after;
            ALLOWED.contains(licence)
        }
        [] => false,
    }
}

#[test]
fn an_expression_is_read_as_spdx_says() {
    for fine in ["MIT", "MIT/Apache-2.0", "(MIT OR GPL-3.0) AND ISC", "MIT OR LGPL-2.1-or-later AND GPL-2.0"]
    {
        assert!(allowed(fine), "{fine}");
    }
    for wrong in
        ["", "AGPL-3.0", "MIT AND GPL-2.0", "(MIT OR ISC) AND LGPL-3.0", "(MIT", "MIT ISC", "MIT WITH x"]
    {
        assert!(!allowed(wrong), "{wrong}");
    }
}

#[test]
fn every_licence_in_the_tree_is_permissive() {
    let refused: Vec<String> = METADATA
        .packages
        .iter()
        .filter(|p| !p.license.as_deref().is_some_and(allowed))
        .map(|p| format!("{} {}: {:?}", p.name, p.version, p.license))
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

/// `name: 1 2` for each crate that comes in several incompatible versions.
fn duplicates<'a>(packages: impl Iterator<Item = &'a Package>) -> BTreeSet<String> {
    let mut versions = BTreeMap::<&str, BTreeSet<String>>::new();
    for package in packages {
        let v = &package.version;
        let compatible = match (v.major, v.minor) {
            (0, 0) => format!("0.0.{}", v.patch),
            (0, minor) => format!("0.{minor}"),
            (major, _) => major.to_string(),
        };
        versions.entry(package.name.as_str()).or_default().insert(compatible);
    }
    let several = versions.into_iter().filter(|(_, versions)| versions.len() > 1);
    several.map(|(name, versions)| format!("{name}: {}", Vec::from_iter(versions).join(" "))).collect()
}

fn only_those_known(found: &BTreeSet<String>, file: &str) {
    let path = root().join("tests/architecture").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let known: BTreeSet<String> = text.lines().filter(|l| !l.starts_with('#')).map(str::to_owned).collect();
    let new: Vec<_> = found.difference(&known).collect();
    assert!(new.is_empty(), "a second version came in; use the one that is there: {new:#?}");
    let gone: Vec<_> = known.difference(found).collect();
    assert!(gone.is_empty(), "no longer so; take out of {file}: {gone:#?}");
}

#[test]
fn functions_carry_no_new_second_version_of_a_crate() {
    let linked = deployed();
    let packages = METADATA.packages.iter().filter(|p| linked.contains(&p.id));
    only_those_known(&duplicates(packages), "duplicates-deployed.txt");
}

#[test]
fn the_workspace_builds_no_new_second_version_of_a_crate() {
    only_those_known(&duplicates(METADATA.packages.iter()), "duplicates.txt");
}
