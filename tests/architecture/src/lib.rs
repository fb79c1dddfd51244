//! The workspace as Cargo and the file system show it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};

/// The repository's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The workspace with everything that it depends on, on any platform.
#[expect(clippy::expect_used, reason = "a test that cannot read the workspace has nothing to say")]
pub static METADATA: LazyLock<Metadata> = LazyLock::new(|| {
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join("Cargo.toml"));
    let offline = command.clone().other_options(["--offline".to_owned()]).exec();
    offline.or_else(|_| command.exec()).expect("cargo describes the workspace")
});

/// A package of ours and its folder, `functions/verify/create-task`.
pub struct Member {
    /// The package.
    pub package: &'static Package,
    /// Its folder from the root, with slashes.
    pub folder: String,
}

impl Member {
    /// Names of what it depends on outside tests and build scripts.
    pub fn uses(&self) -> impl Iterator<Item = &'static str> {
        let normal = self.package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal);
        normal.map(|d| d.name.as_str())
    }
}

/// The packages of the workspace.
pub fn members() -> Vec<Member> {
    let root = &METADATA.workspace_root;
    let folder = |p: &Package| {
        p.manifest_path.parent()?.strip_prefix(root).ok().map(|f| f.as_str().replace('\\', "/"))
    };
    METADATA
        .workspace_packages()
        .into_iter()
        .filter_map(|package| Some(Member { package, folder: folder(package)? }))
        .collect()
}

/// Everything that is linked into functions: their dependencies and those of these, without build scripts and tests.
pub fn deployed() -> BTreeSet<&'static PackageId> {
    let nodes: BTreeMap<_, _> =
        METADATA.resolve.iter().flat_map(|r| &r.nodes).map(|node| (&node.id, node)).collect();
    let mut seen = BTreeSet::new();
    let mut left: Vec<&PackageId> =
        members().iter().filter(|m| m.folder.starts_with("functions/")).map(|m| &m.package.id).collect();
    while let Some(id) = left.pop() {
        if !seen.insert(id) {
            continue;
        }
        let linked = nodes.get(id).into_iter().flat_map(|n| &n.deps).filter(|dependency| {
            dependency.dep_kinds.iter().any(|k| {
                // Lambda is Linux.
                let elsewhere = ["windows", "macos", "apple", "wasm", "android"];
                let target = k.target.as_ref().map(ToString::to_string).unwrap_or_default();
                k.kind == DependencyKind::Normal && !elsewhere.iter().any(|e| target.contains(e))
            })
        });
        left.extend(linked.map(|d| &d.pkg));
    }
    seen
}

/// Every Rust file of ours with its text, by path from the root.
///
/// # Panics
/// If a file cannot be read.
pub fn sources() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut left: Vec<PathBuf> = ["functions", "shared", "infra", "tests"].map(|f| root().join(f)).into();
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text =
                    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
                let name = path.strip_prefix(root()).unwrap_or(&path).to_string_lossy().replace('\\', "/");
                found.insert(name, text);
            }
        }
    }
    found
}
